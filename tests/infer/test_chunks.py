"""Several passes that each live in a world of their own become one world."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, nearest_rotation, rotation_angle_deg
from da3_pipeline.infer.alignment import align_views, robust_alignment
from da3_pipeline.infer.chunks import chunk_layout, merge_chunks
from da3_pipeline.infer.views import RawViews

Poses = Callable[..., NDArray[np.float64]]
Views = Callable[..., RawViews]


def random_sim3(rng: np.random.Generator) -> Sim3:
    scale = float(np.exp(rng.normal(scale=0.7)))
    return Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=3.0, size=3))


def assert_same_world(views: RawViews, truth: RawViews, tolerance: float = 1e-5) -> None:
    """Equal but for one common similarity, which the first camera and the depth decide."""
    b_from_a = align_views(views.subset([0]), truth.subset([0]))
    moved = views.moved(b_from_a)
    np.testing.assert_allclose(moved.cam_from_world, truth.cam_from_world, atol=tolerance)
    np.testing.assert_allclose(moved.depth, truth.depth, rtol=1e-4)


@given(count=st.integers(1, 400), size=st.integers(2, 100), overlap=st.integers(2, 20))
def test_every_frame_is_at_home_once_and_every_pass_is_tied_to_the_earlier_ones(
    count: int, size: int, overlap: int
) -> None:
    chunks = chunk_layout(count, size, overlap)
    homes = np.concatenate([chunk.home for chunk in chunks])
    np.testing.assert_array_equal(np.sort(homes), np.arange(count))
    seen: set[int] = set()
    for chunk in chunks:
        views = set(chunk.views.tolist())
        assert len(views) == len(chunk.views) <= size
        assert views >= set(chunk.home.tolist())
        assert not seen or views & seen
        seen |= views


def test_frames_that_fit_are_one_pass() -> None:
    (chunk,) = chunk_layout(10, 10, 4)
    np.testing.assert_array_equal(chunk.views, np.arange(10))


def test_long_captures_share_anchors_and_overlap() -> None:
    chunks = chunk_layout(300, 60, 8)
    anchors = set.intersection(*(set(chunk.views.tolist()) for chunk in chunks))
    assert {0, 299} <= anchors
    assert len(anchors) >= 8
    for before, after in itertools.pairwise(chunks):
        assert len(set(before.views.tolist()) & set(after.views.tolist()) - anchors) >= 6


@pytest.mark.parametrize(("count", "size"), [(20, 20), (20, 7), (50, 12), (9, 2), (7, 3)])
def test_passes_in_arbitrary_worlds_become_one(true_views: Views, count: int, size: int) -> None:
    truth = true_views(count)
    rng = np.random.default_rng(3)

    def predict(indices: NDArray[np.int64]) -> RawViews:
        return truth.subset(indices).moved(random_sim3(rng))

    merged = merge_chunks(chunk_layout(count, size, 4), count, predict, tied=False)
    assert_same_world(merged, truth)
    np.testing.assert_array_equal(merged.conf, truth.conf)
    np.testing.assert_array_equal(merged.intrinsics, truth.intrinsics)


def test_passes_that_share_a_world_are_put_together_untouched(true_views: Views) -> None:
    truth = true_views(30)
    merged = merge_chunks(chunk_layout(30, 9, 4), 30, truth.subset, tied=True)
    np.testing.assert_array_equal(merged.cam_from_world, truth.cam_from_world)
    np.testing.assert_array_equal(merged.depth, truth.depth)


def test_one_misplaced_frame_in_the_overlap_does_not_bend_the_rest(true_views: Views, random_poses: Poses) -> None:
    truth = true_views(40)
    rng = np.random.default_rng(4)
    wild = random_poses(40, seed=9, spread=50.0)

    def predict(indices: NDArray[np.int64]) -> RawViews:
        views = truth.subset(indices)
        poses, depth = views.cam_from_world.copy(), views.depth.copy()
        stray = len(indices) // 2
        poses[stray], depth[stray] = wild[indices[stray]], 7 * depth[stray]
        return replace(views, cam_from_world=poses, depth=depth).moved(random_sim3(rng))

    merged = merge_chunks(chunk_layout(40, 16, 4), 40, predict, tied=False)
    moved = merged.moved(robust_alignment(merged.cam_from_world, truth.cam_from_world))
    right = rotation_angle_deg(moved.cam_from_world[:, :, :3], truth.cam_from_world[:, :, :3]) < 0.1
    assert right.sum() >= 40 - len(chunk_layout(40, 16, 4)) * 2


def test_a_failed_frame_in_the_overlap_is_passed_over(true_views: Views) -> None:
    truth = true_views(20)
    rng = np.random.default_rng(5)

    def predict(indices: NDArray[np.int64]) -> RawViews:
        views = truth.subset(indices).moved(random_sim3(rng))
        depth = views.depth.copy()
        depth[indices == 5] = np.nan
        return replace(views, depth=depth)

    merged = merge_chunks(chunk_layout(20, 8, 4), 20, predict, tied=False)
    fine = [index for index in range(20) if index != 5]
    np.testing.assert_array_equal(merged.usable(), np.arange(20) != 5)
    assert_same_world(merged.subset(fine), truth.subset(fine))
