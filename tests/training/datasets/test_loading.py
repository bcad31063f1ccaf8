"""Pictures of a data set become the network's: centred, resized, with depth and lens that still fit each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from da3_pipeline.arrays import Float32
from da3_pipeline.errors import CaptureError
from da3_pipeline.training.datasets.contract import PosedImage, PosedScene, pinhole
from da3_pipeline.training.datasets.loading import choose_views, covisibility, load_batch, load_view

WIDTH, HEIGHT = 160, 100
LENS = (120.0, 122.0, 74.0, 56.0)


def _depth(path: Path) -> Float32:
    return np.asarray(np.load(path), np.float32)


def _scene(folder: Path, steps: int = 12, aside: float = 0.25) -> PosedScene:
    """A camera that slides along a wall at z = 2, whose depth is half the picture's size; a dot marks (0, 0, 2)."""
    views = []
    for step in range(steps):
        pose = np.eye(3, 4)
        pose[0, 3] = -aside * step
        picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        x, y = 120 * (0 - aside * step) / 2 + 74, 56
        if 0 <= x < WIDTH:
            cv2.circle(picture, (round(x), y), 4, (255, 255, 255), -1)
        image, depth = folder / f"{step}.png", folder / f"{step}.npy"
        cv2.imwrite(str(image), picture)
        np.save(depth, np.full((HEIGHT // 2, WIDTH // 2), 2.0, np.float32))
        views.append(PosedImage(image, pinhole(*LENS), pose, partial(_depth, depth)))
    return PosedScene("wall", tuple(views), metric=True)


@pytest.mark.parametrize("size", [(56, 42), (42, 56), (112, 112), (168, 70)])
def test_lens_picture_and_depth_still_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    view = _scene(tmp_path).views[1]
    picture, depth, K = load_view(view, size)
    assert picture.shape == (size[1], size[0], 3) and depth.shape == (size[1], size[0])
    assert K[0, 0] / K[1, 1] == pytest.approx(LENS[0] / LENS[1], rel=0.03)
    np.testing.assert_allclose(K[:2, 2], np.array(size) / 2, atol=0.02 * max(size))
    bright = np.argwhere(picture[..., 0] > 200).mean(0) + 0.5
    expected = K @ (view.cam_from_world @ np.array([0, 0, 2.0, 1]))
    np.testing.assert_allclose(bright[::-1], expected[:2] / expected[2], atol=0.012 * max(size) + 0.5)
    assert (depth == 2).all()


def test_the_window_is_as_large_as_it_can_be(tmp_path: Path) -> None:
    """The lens's middle lies 44 px above the lower edge: 88 rows, 140.8 columns of a picture as wide as that."""
    _, _, K = load_view(_scene(tmp_path).views[0], (160, 100))
    assert K[0, 0] == pytest.approx(120 * 160 / 141, rel=0.01)


def test_a_batch_is_the_trainers(tmp_path: Path) -> None:
    scene = _scene(tmp_path)
    batch = load_batch(scene, (3, 0), (56, 42))
    assert batch.images.shape == (1, 2, 3, 42, 56) and batch.images.dtype == torch.uint8
    assert batch.size == (42, 56)
    np.testing.assert_allclose(batch.cam_from_world[0, :, 0, 3].numpy(), [-0.75, 0])


def test_covisibility_falls_with_the_way_between(tmp_path: Path) -> None:
    seen = covisibility(_scene(tmp_path), (0, 1, 4, 11))
    assert seen[0, 1] > 0.7 and seen[0, 1] > seen[0, 2] > 0 and seen[0, 3] == 0
    np.testing.assert_allclose(seen, seen.T, atol=0.1)


def test_chosen_views_share_what_was_asked_for(tmp_path: Path) -> None:
    scene = _scene(tmp_path)
    for seed in range(8):
        chosen = choose_views(np.random.default_rng(seed), scene, 3, (0.3, 0.8))
        assert len(set(chosen)) == 3
        seen = covisibility(scene, chosen)
        mutual = np.minimum(seen, seen.T) - np.eye(3)
        assert (mutual.max(1) >= 0.25).all() and (mutual.max(1) <= 0.85).all()
    assert len({choose_views(np.random.default_rng(seed), scene, 2) for seed in range(6)}) > 3
    assert choose_views(np.random.default_rng(1), scene, 3) == choose_views(np.random.default_rng(1), scene, 3)


def test_what_cannot_be_chosen_from_is_said(tmp_path: Path) -> None:
    scene = _scene(tmp_path)
    with pytest.raises(CaptureError, match="fewer than 13"):
        choose_views(np.random.default_rng(0), scene, 13)
    blind = PosedScene("blind", tuple(PosedImage(v.image, v.K, v.cam_from_world) for v in scene.views), False)
    with pytest.raises(CaptureError, match="no depth"):
        choose_views(np.random.default_rng(0), blind, 2)
    outside = PosedImage(scene.views[0].image, pinhole(100, 100, 500, 50), np.eye(3, 4))
    with pytest.raises(CaptureError, match="principal point"):
        load_view(outside, (56, 42))
