"""Posed pictures at the network's size, and sets of them that see the same.

The network takes the principal point to be the middle of its picture, and pictures of one size in a set. So each
picture is cut, around its principal point, to the largest window of the wanted aspect, and that window is resized.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ...arrays import Bytes, Float, Float32
from ...errors import CaptureError
from ...imageio import read_rgb
from ..correspondence import correspondences
from ..samples import Batch
from .contract import PosedImage, PosedScene

__all__ = ["choose_views", "covisibility", "load_batch", "load_view"]

_SMALL = (112, 84)  # at which covisibility is found: 48 patches a view
_CANDIDATES = 24


@dataclass(frozen=True)
class _Window:
    """Left, top, right, bottom in whole pixels of the stored picture."""

    left: int
    top: int
    right: int
    bottom: int

    def of(self, size: tuple[int, int], whole: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of the same part of a map of `size` (h, w) over a picture of `whole` (H, W)."""
        down, across = size[0] / whole[0], size[1] / whole[1]
        rows = slice(round(self.top * down), max(round(self.bottom * down), round(self.top * down) + 1))
        columns = slice(round(self.left * across), max(round(self.right * across), round(self.left * across) + 1))
        return rows, columns


def load_view(view: PosedImage, size: tuple[int, int]) -> tuple[Bytes, Float32, Float]:
    """Picture (H, W, 3), depth (H, W), 0 where unknown, and K of one view at `size` (width, height)."""
    picture = read_rgb(view.image)
    whole = (picture.shape[0], picture.shape[1])
    window = _window(view, whole, size)
    rows, columns = window.of(whole, whole)
    shrinks = rows.stop - rows.start > size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.asarray(cv2.resize(picture[rows, columns], size, interpolation=how), np.uint8)
    depth = np.zeros((size[1], size[0]), np.float32)
    if view.depth is not None:
        stored = view.depth()
        part = stored[window.of((stored.shape[0], stored.shape[1]), whole)]
        depth = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_NEAREST_EXACT), np.float32)
    K = view.K.copy()
    K[0, 2] -= window.left
    K[1, 2] -= window.top
    K[0] *= size[0] / (window.right - window.left)
    K[1] *= size[1] / (window.bottom - window.top)
    return resized, depth, K


def load_batch(scene: PosedScene, views: Sequence[int], size: tuple[int, int]) -> Batch:
    """One set of views of a scene at `size` (width, height)."""
    loaded = [load_view(scene.views[view], size) for view in views]
    poses = np.stack([scene.views[view].cam_from_world for view in views])
    images = torch.from_numpy(np.stack([picture for picture, _, _ in loaded])).permute(0, 3, 1, 2)
    return Batch(
        images[None],
        torch.from_numpy(np.stack([depth for _, depth, _ in loaded]))[None],
        torch.tensor(poses, dtype=torch.float32)[None],
        torch.tensor(np.stack([K for _, _, K in loaded]), dtype=torch.float32)[None],
    )


def covisibility(scene: PosedScene, views: Sequence[int]) -> Float:
    """(V, V) share of view i's patches that are seen in view j, by the depth of both."""
    if not scene.has_depth:
        raise CaptureError(f"{scene.name} has no depth: views of it cannot be chosen by what they share")
    small = load_batch(scene, views, _SMALL)
    seen = correspondences(small.depth, small.cam_from_world, small.K).visible[0].float().mean(-1)
    return seen.numpy().astype(float)


def choose_views(
    rng: np.random.Generator, scene: PosedScene, count: int, shared: tuple[float, float] = (0.15, 0.9)
) -> tuple[int, ...]:
    """`count` views of a scene in random order, each sharing from `shared[0]` to `shared[1]` with another.

    Two views share the smaller of what each sees of the other. They are looked for among pictures near each other in
    the scene's order, with gaps that vary from set to set; where too few fit, those that share most stand in.
    Raises CaptureError where the scene has too few pictures or no depth.
    """
    total = len(scene.views)
    if total < count:
        raise CaptureError(f"{scene.name} has {total} pictures, fewer than {count}")
    reach = min(total, max(_CANDIDATES, 2 * count))
    gap = int(rng.integers(1, max(2, total // reach + 1)))
    first = int(rng.integers(0, max(1, total - (reach - 1) * gap)))
    candidates = [first + gap * step for step in range(reach) if first + gap * step < total]
    seen = covisibility(scene, candidates)
    mutual = np.minimum(seen, seen.T)
    chosen = [int(rng.integers(0, len(candidates)))]
    while len(chosen) < count:
        rest = np.setdiff1d(np.arange(len(candidates)), chosen)
        best = mutual[chosen][:, rest].max(0)
        fits = rest[(best >= shared[0]) & (best <= shared[1])]
        chosen.append(int(rng.choice(fits)) if len(fits) else int(rest[best.argmax()]))
    return tuple(candidates[index] for index in rng.permutation(chosen))


def _window(view: PosedImage, whole: tuple[int, int], size: tuple[int, int]) -> _Window:
    """The largest window of the aspect of `size` whose middle is the principal point, within half a pixel."""
    height, width = whole
    cx, cy = float(view.K[0, 2]), float(view.K[1, 2])
    half_width, half_height = min(cx, width - cx), min(cy, height - cy)
    if half_width < 1 or half_height < 1:
        raise CaptureError(f"{view.image}: its principal point ({cx:.0f}, {cy:.0f}) is not inside: leave the scene out")
    aspect = size[0] / size[1]
    half_width, half_height = min(half_width, half_height * aspect), min(half_height, half_width / aspect)
    left, top = round(cx - half_width), round(cy - half_height)
    across, down = max(1, round(2 * half_width)), max(1, round(2 * half_height))
    return _Window(max(0, left), max(0, top), min(width, left + across), min(height, top + down))
