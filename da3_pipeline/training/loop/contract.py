"""What the loop asks of a trainer, and what belongs to one sitting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..run_files import Textured

__all__ = ["OPEN_SITTING", "Findings", "LoopConfig", "Place", "Sitting", "Task", "TaskKind"]


class LoopConfig(Textured, Protocol):
    """Of a run's configuration, what the loop goes by. Each step takes `accumulate` batches in each of `processes`."""

    @property
    def steps(self) -> int: ...
    @property
    def processes(self) -> int: ...
    @property
    def accumulate(self) -> int: ...
    @property
    def clip_norm(self) -> float: ...
    @property
    def ema_decay(self) -> float: ...
    @property
    def ema_every(self) -> int: ...
    @property
    def evaluate_every(self) -> int: ...
    @property
    def checkpoint_every(self) -> int: ...
    @property
    def keep_every(self) -> int: ...
    def rate(self, step: int) -> float: ...


@dataclass(frozen=True)
class Sitting:
    """What belongs to one sitting rather than to the run, and changes nothing of its result.

    max_minutes: after these the run is saved and left. save_minutes: the longest time between two checkpoints.
    captures: folders of photographs with a truth.json, to be evaluated on. pictures: folders of photographs for
    textures beside the usual ones; read when the run begins. tensorboard: whether figures and validation pictures are
    also written for TensorBoard.
    """

    max_minutes: float = float("inf")
    save_minutes: float = 5.0
    captures: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    tensorboard: bool = False


OPEN_SITTING = Sitting()
"""Until the run is at its end."""


@dataclass(frozen=True)
class Place:
    """Where a process stands: its number among so many, and its device."""

    rank: int
    processes: int
    device: torch.device


class Findings(NamedTuple):
    """Of an evaluation: figures by name, and pictures (3, H, W) from 0 to 1 by name."""

    figures: dict[str, float]
    pictures: dict[str, Tensor]


class Task(Protocol):
    """What is trained, in one process. Everything random in it is drawn from the seed, the step and the shard alone.

    net: what is averaged and saved. objective: a module that holds the net and whatever is trained beside it; called
    with what `draw` returns, it gives the loss and its parts. optimisers: in the order in which they are saved.
    """

    @property
    def net(self) -> nn.Module: ...
    @property
    def objective(self) -> nn.Module: ...
    @property
    def optimisers(self) -> list[Optimizer]: ...

    def begin(self, step: int, average: nn.Module) -> None:
        """Before a step: what changes with the step beside the learning rates."""

    def draw(self, step: int, shard: int) -> tuple[Any, ...]:
        """Arguments of the objective for one part of a step's batch; its first is as long as the part has samples."""

    def update(self, step: int) -> None:
        """Step the optimisers."""

    def evaluate(self, average: nn.Module, samples: int) -> Findings:
        """Of the averaged net; called in every process at once."""

    def beside(self) -> dict[str, Any]:
        """State beside net and optimisers, as the checkpoint keeps it."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `beside` returned, from a whole checkpoint."""


class TaskKind(Protocol):
    """Makes the task of a process; `fresh`: with the weights that training starts from. Pickled, so a module's name."""

    def __call__(self, config: Any, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> Task: ...
