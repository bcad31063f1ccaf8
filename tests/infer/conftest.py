"""Frames on disk, a tiny network, and truth to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import nearest_rotation
from da3_pipeline.imageio import UnreadableImageError
from da3_pipeline.infer.views import RawViews
from da3_pipeline.types import Frame, FrameSet

settings.register_profile("untimed", deadline=None, max_examples=40)
settings.load_profile("untimed")


@pytest.fixture
def make_frames(tmp_path: Path) -> Callable[..., FrameSet]:
    """Write textured PNGs of the given (width, height) px and list them as frames of one camera per size."""

    def make(sizes: Sequence[tuple[int, int]], **fields: object) -> FrameSet:
        rng = np.random.default_rng(5)
        frames = []
        for index, (width, height) in enumerate(sizes):
            coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
            path = tmp_path / f"photo {index:03d}.png"
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(path)
            frames.append(
                Frame(f"room/{path.name}", path, width, height, f"camera {width}x{height}", f"digest {index}", **fields)  # type: ignore[arg-type]
            )
        return FrameSet(tuple(frames), ())

    return make


@pytest.fixture
def random_poses() -> Callable[..., NDArray[np.float64]]:
    """`random_poses(count, seed, spread)`: (count, 3, 4) arbitrary rigid poses."""
    return _random_poses


@pytest.fixture
def true_views() -> Callable[..., RawViews]:
    """`true_views(count, seed)`: random poses, depths between 1 and 5, one camera."""

    def make(count: int, seed: int = 0, height: int = 14, width: int = 28) -> RawViews:
        rng = np.random.default_rng(seed)
        depth = rng.uniform(1, 5, (count, height, width)).astype(np.float32)
        conf = rng.uniform(1, 2, (count, height, width)).astype(np.float32)
        matrix = np.array([[25.0, 0, width / 2], [0, 25.0, height / 2], [0, 0, 1]])
        return RawViews(depth, conf, _random_poses(count, seed), np.tile(matrix, (count, 1, 1)))

    return make


def _random_poses(count: int, seed: int = 0, spread: float = 2.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    rotations = nearest_rotation(rng.normal(size=(count, 3, 3)))
    return np.concatenate([rotations, rng.normal(scale=spread, size=(count, 3, 1))], axis=2)


class NumberedReader:
    """Stands in for a FrameReader: a picture is the number of its frame; some frames cannot be read."""

    def __init__(self, count: int, unreadable: Sequence[int] = ()) -> None:
        self._count = count
        self._unreadable = set(unreadable)
        self.in_memory: set[int] = set()
        self.most_in_memory = 0
        self.read: list[int] = []

    def __len__(self) -> int:
        return self._count

    def prefetch(self, frames: Iterable[int]) -> None:
        fresh = {frame for frame in frames if frame < self._count} - self.in_memory
        self.read += sorted(fresh)
        self.in_memory |= fresh
        self.most_in_memory = max(self.most_in_memory, len(self.in_memory))

    def get(self, frame: int) -> NDArray[np.uint8] | UnreadableImageError:
        self.prefetch((frame,))
        if frame in self._unreadable:
            return UnreadableImageError(Path(f"{frame}.jpg"), "gone bad")
        return np.full((14, 28, 3), frame % 256, np.uint8)

    def stack(self, frames: Sequence[int]) -> NDArray[np.uint8]:
        views = [self.get(int(frame)) for frame in frames]
        assert not any(isinstance(view, UnreadableImageError) for view in views)
        return np.stack([np.asarray(view) for view in views])

    def release(self, before: int | None = None) -> None:
        self.in_memory = {frame for frame in self.in_memory if before is not None and frame >= before}


@pytest.fixture
def numbered_reader() -> type[NumberedReader]:
    return NumberedReader


@pytest.fixture
def walk_views() -> Callable[..., RawViews]:
    """`walk_views(count, seed)`: a camera that walks along a wavy line, 0.2 a frame, depths between 2 and 6."""

    def make(count: int, seed: int = 0, height: int = 14, width: int = 28) -> RawViews:
        rng = np.random.default_rng(seed)
        along = np.arange(count)
        turns = Rotation.from_euler("yx", np.column_stack([0.4 * np.sin(along / 9), 0.1 * np.sin(along / 5)]))
        rotations = turns.as_matrix()
        places = np.column_stack([0.2 * along, 0.3 * np.sin(along / 7), np.cos(along / 11)])
        poses = np.concatenate([rotations, -rotations @ places[:, :, None]], axis=2)
        depth = rng.uniform(2, 6, (count, height, width)).astype(np.float32)
        conf = rng.uniform(1, 2, (count, height, width)).astype(np.float32)
        matrix = np.array([[25.0, 0, width / 2], [0, 25.0, height / 2], [0, 0, 1]])
        return RawViews(depth, conf, poses, np.tile(matrix, (count, 1, 1)))

    return make


class Tower:
    """Walks around the inside of a painted round tower, looking outwards: analytic pictures, depth and cameras.

    The paint is different everywhere. `lap` frames are one round; frame k + lap sees what frame k saw. Two cameras take
    turns, neither with square pixels nor with its principal point in the middle.
    """

    radius, path = 6.0, 2.0
    width, height = 84, 56
    cameras = np.array([[[60.0, 0, 40.5], [0, 57, 29], [0, 0, 1]], [[63.0, 0, 43], [0, 65, 27], [0, 0, 1]]])

    def __init__(self, count: int, lap: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._waves = rng.normal(0, 1, (40, 4)) * [14, 3.4, 1, 1]
        self._waves[:, 0] = np.round(self._waves[:, 0])  # whole waves around the tower
        angle = 2 * np.pi * np.arange(count) / lap
        self.poses = np.stack([self._pose(one) for one in angle])
        self.matrices = self.cameras[np.arange(count) % 2]
        made = [self._look(pose, matrix) for pose, matrix in zip(self.poses, self.matrices, strict=True)]
        self.pixels = np.stack([picture for picture, _ in made])
        self.views = RawViews(
            np.stack([depth for _, depth in made]),
            np.full((count, self.height, self.width), 2.0, np.float32),
            self.poses,
            self.matrices,
            self.pixels.reshape(count, 8, 7, 12, 7, 3).mean((2, 4)).reshape(count, -1).astype(np.float32),
        )

    def _pose(self, angle: float) -> NDArray[np.float64]:
        out = np.array([np.cos(angle), np.sin(angle), 0])
        down = np.array([0, 0, -1.0])
        rotation = np.stack([np.cross(down, out), down, out])
        return np.column_stack([rotation, -rotation @ (self.path * out)])

    def _look(
        self, pose: NDArray[np.float64], matrix: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        y, x = np.mgrid[: self.height, : self.width] + 0.5
        rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(matrix).T
        rays, centre = rays @ pose[:, :3], -pose[:, :3].T @ pose[:, 3]
        a, b = (rays[..., :2] ** 2).sum(-1), rays[..., :2] @ centre[:2]
        depth = (-b + np.sqrt(b**2 + a * (self.radius**2 - centre[:2] @ centre[:2]))) / a
        points = centre + depth[..., None] * rays
        around = np.arctan2(points[..., 1], points[..., 0])
        paint = np.zeros(depth.shape)
        for k, (turns, rise, phase, strength) in enumerate(self._waves):
            paint += strength * np.sin(turns * around + rise * points[..., 2] + 6 * phase + k)
        shade = 127 + 25 * paint
        picture = np.stack([shade, np.roll(shade, 3, axis=1), 255 - shade], -1).clip(0, 255).astype(np.uint8)
        return picture, depth.astype(np.float32)


@pytest.fixture(scope="session")
def tower() -> type[Tower]:
    return Tower
