"""Sets of views from data sets that lie on disk as their authors publish them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from ...errors import CaptureError, UsageError
from ..datasets.contract import PosedScene
from ..datasets.loading import choose_views, load_batch
from ..datasets.registry import data_set
from ..samples import Batch

__all__ = ["PosedSource", "Source", "stacked"]

_TRIES = 20  # scenes that are too short for a set before a source is given up


class Source(Protocol):
    """Sets of views. metric: whether all of its depth is in metres."""

    def draw(self, rng: np.random.Generator, sets: int, views: int, size: tuple[int, int]) -> Batch:
        """`sets` sets of `views` views at `size` (width, height), a function of what it is given."""

    @property
    def metric(self) -> bool: ...


@dataclass(frozen=True)
class _Lazy:
    """A scene that is read when it is first drawn."""

    folder: Path
    reader: Callable[[Path], PosedScene]

    @cached_property
    def scene(self) -> PosedScene:
        return self.reader(self.folder)


class PosedSource:
    """The scenes of one data set under `root`, each as likely as any other.

    Raises UsageError for a name that no data set has and for a root without a scene.
    """

    def __init__(self, name: str, root: Path) -> None:
        known = data_set(name)
        self._scenes = [_Lazy(folder, known.read) for folder in known.find(root)]
        self._name = f"{name}={root}"
        if not self._scenes:
            raise UsageError(f"{root} holds no scene of {name}: see docs/TRAINING.md for the layout that is read")

    def __len__(self) -> int:
        return len(self._scenes)

    def scene(self, index: int) -> PosedScene:
        return self._scenes[index].scene

    @property
    def metric(self) -> bool:
        return self._scenes[0].scene.metric

    def draw(self, rng: np.random.Generator, sets: int, views: int, size: tuple[int, int]) -> Batch:
        """Views are chosen by what they share. Scenes with too few pictures for a set are passed over.

        Raises CaptureError where all scenes that were tried have too few, or pictures without depth.
        """
        return stacked([self._set(rng, views, size) for _ in range(sets)])

    def _set(self, rng: np.random.Generator, views: int, size: tuple[int, int]) -> Batch:
        for _ in range(_TRIES):
            scene = self._scenes[int(rng.integers(0, len(self._scenes)))].scene
            if len(scene.views) >= views and scene.has_depth:
                return load_batch(scene, choose_views(rng, scene, views), size)
        raise CaptureError(f"{self._name}: its scenes have no depth or fewer than {views} pictures: leave it out")


def stacked(parts: list[Batch]) -> Batch:
    """Batches one after the other."""
    return Batch(*(torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])))
