"""Which machine a capture goes to, and what it takes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Node", "Share", "homes", "nodes_of", "shares"]


@dataclass(frozen=True)
class Node:
    """A machine of the cluster: cores and GPUs that it gives away."""

    id: str
    cores: float
    gpus: float


@dataclass(frozen=True)
class Share:
    """What a capture takes of a machine while it is at work there."""

    cores: float
    gpus: float = 0.0

    @property
    def options(self) -> dict[str, float]:
        """As Ray has it."""
        return {"num_cpus": self.cores} | ({"num_gpus": self.gpus} if self.gpus else {})


def nodes_of(told: Sequence[Mapping[str, Any]]) -> list[Node]:
    """The machines that are alive and have cores to give, from `ray.nodes()`."""
    alive = [(node.get("NodeID", ""), node.get("Resources") or {}) for node in told if node.get("Alive", True)]
    return [Node(id_, has["CPU"], has.get("GPU", 0.0)) for id_, has in alive if has.get("CPU")]


def shares(nodes: Sequence[Node], jobs: int) -> tuple[Share, Share]:
    """Of stages that want a GPU, and of those that do not, where a machine works on `jobs` captures of either at once.

    The first take a core each beside their GPU, and as many GPUs as the smallest machine with any has for each; the
    second what that leaves of the smallest machine's cores. So a GPU never waits for cores, nor cores for a GPU.
    """
    with_gpus = [node.gpus for node in nodes if node.gpus]
    gpus = min(1.0, min(with_gpus, default=1.0) / jobs)
    left = [node.cores - round(node.gpus / gpus) for node in nodes]
    return Share(1.0, gpus), Share(float(max(1, int(min(left, default=1.0)) // jobs)))


def homes(seen: Mapping[str, frozenset[int]], captures: int) -> dict[int, str]:
    """For captures, by number, that some machines have and others have not: one that does, each with as many as others.

    seen: by machine, the numbers of the captures of which it has the files.
    """
    given: Counter[str] = Counter()
    chosen = {}
    for number in range(captures):
        at = [node for node, numbers in seen.items() if number in numbers]
        if at and len(at) < len(seen):
            chosen[number] = min(at, key=lambda node: (given[node], node))
            given[chosen[number]] += 1
    return chosen
