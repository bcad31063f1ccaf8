"""Photographs with known truth, as the first two stages give them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float, Float32, Int
from ...errors import UsageError
from ...ingest import IngestConfig
from ...ingest import run as ingest
from ...progress import Progress
from ...select import SelectConfig
from ...select import run as select
from ...types import FrameSet
from .scene_truth import SceneTruth, read_truth

__all__ = ["KnownScene", "read_scene"]


_MAP_LONG_SIDE_PX, _PATCH_PX = 168, 14


@dataclass(frozen=True)
class KnownScene:
    """Frames, and what is true of them, all in one order.

    cam_from_world (N, 3, 4); intrinsics (N, 3, 3) original pixels; depth (N, h, w) z-depth in units of the poses, NaN
    where nothing is known.
    """

    name: str
    frames: FrameSet
    cam_from_world: Float
    intrinsics: Float
    depth: Float32

    def __len__(self) -> int:
        return len(self.frames)

    def subset(self, chosen: Int) -> KnownScene:
        """The scene as if only the frames `chosen` (K,) had been taken."""
        frames = FrameSet(tuple(self.frames.frames[k] for k in chosen), ())
        return KnownScene(self.name, frames, self.cam_from_world[chosen], self.intrinsics[chosen], self.depth[chosen])


def read_scene(folder: Path, progress: Progress) -> KnownScene:
    """The scene of a folder with images/ and truth.json, depth 1 everywhere. Raises UsageError where that is not there.

    Every image needs a w2c and a K in the truth, and all must have one size.
    """
    truth = read_truth(folder)
    capture = ingest([truth.images], IngestConfig(), progress)
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as stills:
        frames = select(capture, SelectConfig(), progress, Path(stills))
    rows = _rows_of(truth, frames)
    shape = _map_shape(frames.frames[0].width, frames.frames[0].height)
    depth = np.ones((len(frames), *shape), np.float32)
    return KnownScene(folder.name, frames, truth.cam_from_world[rows], truth.intrinsics[rows], depth)


def _rows_of(truth: SceneTruth, frames: FrameSet) -> list[int]:
    row = {name: index for index, name in enumerate(truth.names)}
    for frame in frames.frames:
        if frame.name not in row:
            raise UsageError(f"{truth.folder}: truth.json says nothing of {frame.name}; add it or take the image away")
        if not np.isfinite(truth.intrinsics[row[frame.name]]).all():
            raise UsageError(f"{truth.folder}: truth.json has no K for {frame.name}, which a simulated prior needs")
    if len({(frame.width, frame.height) for frame in frames.frames}) > 1:
        raise UsageError(f"{truth.folder}: has images of several sizes; a simulated prior needs one size")
    return [row[name] for name in frames.names]


def _map_shape(width: int, height: int) -> tuple[int, int]:
    """Height and width of depth maps as the networks make them: multiples of 14."""
    patches = np.round(np.array([height, width]) * (_MAP_LONG_SIDE_PX / _PATCH_PX) / max(width, height))
    rows, columns = (np.maximum(patches, 1) * _PATCH_PX).astype(int).tolist()
    return rows, columns
