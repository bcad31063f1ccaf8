"""The student of relative depth: pictures of which nothing is known, depth and sky of the teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ...arrays import Bytes
from ...errors import CaptureError, UsageError
from ...imageio import read_rgb
from ..loop.contract import OPEN_SITTING, Place, Sitting
from ..loop.run import run
from ..samples import Batch, normalise_images
from ..teacher.labels import Teacher
from ..teacher.trainer import TeacherTask
from .config import MonoConfig

__all__ = ["MonoTask", "train_mono"]

_FIELD_DEG = 60.0  # of the longer side: what is supposed of a photograph, for its normals alone
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_LEAST_SHARE = 0.6  # of a photograph's largest window that a crop covers, in each direction


def train_mono(config: MonoConfig, folder: Path, sitting: Sitting = OPEN_SITTING) -> None:
    """Train, or go on training, in `folder`. Raises UsageError without a teacher."""
    if not config.teacher:
        raise UsageError("a student of relative depth learns from a teacher: give --teacher RUN or FILE")
    run(MonoTask, config, folder, sitting)


class MonoTask(TeacherTask):
    """The student in one process; see `loop.contract.Task`. Its labels are made anew for each picture as it is seen."""

    def __init__(self, config: MonoConfig, folder: Path, sitting: Sitting, place: Place, fresh: bool) -> None:
        super().__init__(config, folder, sitting, place, fresh)
        self.teacher = Teacher.from_source(config.teacher, place.device)
        self.photographs = _found(config.images)

    def draw(self, step: int, shard: int) -> tuple[Tensor, Batch, torch.Generator]:
        if not self.photographs:
            images, batch, generator = super().draw(step, shard)
            pictures = batch.images[:, 0]
        else:
            rng = np.random.default_rng([self.config.seed, step, shard])
            size = self.size(step)
            batch = _unknown([_crop(self._any(rng), size, rng) for _ in range(self.config.batch)])
            batch = Batch(**{name: value.to(self.device) for name, value in vars(batch).items()})
            pictures, generator = batch.images[:, 0], self.generator(step, shard)
            images = normalise_images(pictures)
        return images, replace(batch, depth=self.teacher.depth(pictures)[:, None]), generator

    def _any(self, rng: np.random.Generator) -> Path:
        return self.photographs[int(rng.integers(0, len(self.photographs)))]


def _found(folders: tuple[str, ...]) -> tuple[Path, ...]:
    """The pictures in folders, sorted. Raises CaptureError for a folder without."""
    paths: list[Path] = []
    for folder in folders:
        here = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not here:
            raise CaptureError(f"{folder} holds no photographs to learn from: name a folder of JPEG, PNG or WebP files")
        paths += here
    return tuple(paths)


def _crop(path: Path, size: tuple[int, int], rng: np.random.Generator) -> Bytes:
    """A window of a photograph of the aspect of `size` (width, height), of random size and place, mirrored or not."""
    picture = read_rgb(path)
    height, width = picture.shape[:2]
    share = rng.uniform(_LEAST_SHARE, 1) * min(width / size[0], height / size[1])
    across, down = max(1, int(size[0] * share)), max(1, int(size[1] * share))
    left, top = int(rng.integers(0, width - across + 1)), int(rng.integers(0, height - down + 1))
    part = cv2.resize(picture[top : top + down, left : left + across], size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part, np.uint8)


def _unknown(pictures: list[Bytes]) -> Batch:
    """Pictures without depth, of a camera that is supposed."""
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)[:, None]
    height, width = images.shape[-2:]
    focal = max(height, width) / 2 / float(np.tan(np.radians(_FIELD_DEG / 2)))
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]).expand(len(images), 1, 3, 3)
    poses = torch.eye(3, 4).expand(len(images), 1, 3, 4)
    return Batch(images, torch.zeros(len(images), 1, height, width), poses, K)
