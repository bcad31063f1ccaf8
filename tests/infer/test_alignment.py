"""Similarities between predictions: exact on consistent ones, defined on degenerate ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.geometry import Sim3, nearest_rotation
from da3_pipeline.geometry.robust_alignment import robust_alignment
from da3_pipeline.infer.alignment import align_views
from da3_pipeline.infer.views import RawViews

Views = Callable[..., RawViews]


def random_sim3(rng: np.random.Generator) -> Sim3:
    scale = float(np.exp(rng.normal(scale=0.7)))
    return Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=3.0, size=3))


@given(seed=st.integers(0, 2**16), count=st.integers(2, 8))
def test_a_similarity_between_trajectories_is_found(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rotations = nearest_rotation(rng.normal(size=(count, 3, 3)))
    poses = np.concatenate([rotations, rng.normal(size=(count, 3, 1))], axis=2)
    truth = random_sim3(rng)
    found = robust_alignment(poses, truth.apply_to_cameras(poses))
    assert found.scale == pytest.approx(truth.scale, rel=1e-9)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, truth.translation, atol=1e-7)


def test_depth_gives_the_scale_of_cameras_that_stand_still(true_views: Views) -> None:
    views = true_views(4)
    poses = views.cam_from_world.copy()
    poses[:, :, 3] = 0
    still = replace(views, cam_from_world=poses)
    truth = random_sim3(np.random.default_rng(6))
    found = align_views(still, still.moved(truth))
    assert found.scale == pytest.approx(truth.scale, rel=1e-5)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-9)


def test_cameras_that_stand_still_have_scale_one_without_depth() -> None:
    poses = np.tile(np.eye(3, 4), (3, 1, 1))
    target = poses.copy()
    target[:, 0, 3] = -5.0
    found = robust_alignment(poses, target)
    assert found.scale == 1.0
    np.testing.assert_allclose(found.translation, [5, 0, 0])


def test_nothing_usable_in_common_leaves_the_views_where_they_are(true_views: Views) -> None:
    views = true_views(2)
    blind = replace(views, depth=np.full_like(views.depth, np.nan))
    assert align_views(views, blind).scale == 1.0
