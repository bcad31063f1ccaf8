from __future__ import annotations

from typing import Any

import pytest
from da3_workflows.cluster.placement import Node, Share, homes, nodes_of, shares


def told(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Alive": alive, "Resources": resources}


def test_machines_are_those_that_are_alive_and_give_cores() -> None:
    nodes = nodes_of([told("a", CPU=8.0), told("b", False, CPU=8.0), told("head", memory=1e9), told("c", CPU=4, GPU=2)])
    assert nodes == [Node("a", 8.0, 0.0), Node("c", 4.0, 2.0)]


@pytest.mark.parametrize(
    ("nodes", "jobs", "on_gpu", "elsewhere"),
    [
        ([(64, 0), (8, 0)], 1, Share(1, 1), Share(8)),
        ([(64, 0), (8, 0)], 3, Share(1, 1 / 3), Share(2)),
        ([(1, 0)], 99, Share(1, 1 / 99), Share(1)),
        ([(16, 2)], 1, Share(1, 1), Share(14)),  # two on GPUs, with a core each
        ([(16, 2)], 4, Share(1, 0.5), Share(3)),
        ([(16, 1)], 3, Share(1, 1 / 3), Share(4)),
        ([(8, 0), (16, 4)], 1, Share(1, 1), Share(8)),
        ([], 1, Share(1, 1), Share(1)),  # an autoscaler has yet to start some
    ],
)
def test_cores_are_left_to_stages_on_gpus_and_the_rest_is_shared(
    nodes: list[tuple[float, float]], jobs: int, on_gpu: Share, elsewhere: Share
) -> None:
    cluster = [Node(str(number), *has) for number, has in enumerate(nodes)]
    assert shares(cluster, jobs) == (on_gpu, elsewhere)


def test_ray_is_asked_for_a_gpu_only_where_one_is_wanted() -> None:
    assert Share(4.0).options == {"num_cpus": 4.0}
    assert Share(1.0, 0.5).options == {"num_cpus": 1.0, "num_gpus": 0.5}


def test_captures_that_not_all_machines_have_belong_to_one_that_has() -> None:
    seen = {"a": frozenset({0, 1, 2, 3}), "b": frozenset({0, 2, 3, 4}), "c": frozenset({0})}
    assert homes(seen, 6) == {1: "a", 2: "b", 3: "a", 4: "b"}
    assert homes({}, 6) == {}
