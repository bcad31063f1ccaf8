"""Two predictions of the same frames: the similarity between them, its worth, and what is degenerate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.geometry import Sim3, centres, compose, nearest_rotation, rotation_angle_deg, sim3_exp
from da3_pipeline.infer.config import AlignmentConfig, Spread
from da3_pipeline.infer.sequence.chunk_alignment import align_chunks, align_to_cameras, information_at
from da3_pipeline.infer.views import RawViews

Views = Callable[..., RawViews]
CONFIG = AlignmentConfig()


def random_sim3(seed: int) -> Sim3:
    rng = np.random.default_rng(seed)
    scale = float(np.exp(rng.normal(scale=0.7)))
    return Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=3.0, size=3))


def assert_same(found: Sim3, wanted: Sim3, tolerance: float = 1e-6) -> None:
    assert found.scale == pytest.approx(wanted.scale, rel=tolerance)
    assert rotation_angle_deg(found.rotation, wanted.rotation) < 60 * tolerance
    np.testing.assert_allclose(found.translation, wanted.translation, atol=20 * tolerance)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 9))
def test_exact_views_give_the_exact_similarity(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    poses = np.concatenate([nearest_rotation(rng.normal(size=(count, 3, 3))), rng.normal(size=(count, 3, 1))], axis=2)
    depth = rng.uniform(1, 5, (count, 6, 8)).astype(np.float32)
    source = RawViews(depth, np.ones_like(depth), poses, np.tile(np.eye(3), (count, 1, 1)))
    wanted = random_sim3(seed)
    alignment = align_chunks(source, source.moved(wanted), CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, wanted, tolerance=1e-5)
    assert alignment.agreeing == 1


@pytest.mark.parametrize("case", ["one frame", "standing still", "turning on the spot", "one line"])
def test_motion_that_tells_no_scale_leaves_it_to_depth(walk_views: Views, case: str) -> None:
    truth = walk_views(8)
    poses = truth.cam_from_world.copy()
    if case == "one frame":
        truth, poses = truth.subset([0]), poses[:1]
    elif case == "standing still":
        poses[:] = poses[0]
    elif case == "turning on the spot":
        poses[:, :, 3] = 0
    else:
        poses[:, :, :3] = np.eye(3)
        poses[:, :, 3] = np.arange(8)[:, None] * np.array([0.1, 0, 0])
    source, wanted = replace(truth, cam_from_world=poses), random_sim3(3)
    alignment = align_chunks(source, source.moved(wanted), CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, wanted, tolerance=1e-5)


def test_frames_of_nothing_but_sky_leave_the_scale_to_motion(walk_views: Views) -> None:
    source, wanted = walk_views(12), random_sim3(4)
    target = source.moved(wanted)
    wrong = replace(target, depth=3 * target.depth, sky=np.ones(target.depth.shape, bool))
    alignment = align_chunks(source, wrong, CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, wanted, tolerance=1e-4)


def test_nothing_to_go_by_is_defined(walk_views: Views) -> None:
    """One all-sky frame: orientation and place are found, the scale stays as it is and is said to be unknown."""
    source = replace(walk_views(1), sky=np.ones((1, 14, 28), bool))
    turned = Sim3(1.0, random_sim3(5).rotation, np.array([1.0, 2, 3]))
    alignment = align_chunks(source, source.moved(turned), CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, turned)
    assert np.isfinite(alignment.information).all()
    failed = replace(source, depth=np.full_like(source.depth, np.nan))
    assert align_chunks(failed, source, CONFIG) is None


def test_outlying_frames_and_unsure_pixels_count_for_little(walk_views: Views) -> None:
    source, wanted = walk_views(10), random_sim3(6)
    target = source.moved(wanted)
    poses, depth, conf = target.cam_from_world.copy(), target.depth.copy(), target.conf.copy()
    poses[[2, 7]] = random_sim3(7).apply_to_cameras(poses[[2, 7]])
    depth[2] *= 5
    depth[:, :5], conf[:, :5] = 9.0, 0.01
    alignment = align_chunks(source, replace(target, cam_from_world=poses, depth=depth, conf=conf), CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, wanted, tolerance=5e-3)
    assert alignment.agreeing == pytest.approx(0.8)


def test_information_grows_as_the_frames_agree_better(walk_views: Views) -> None:
    source, rng = walk_views(16), np.random.default_rng(8)
    spreads, informations = [], []
    for level in (0.0, 0.02, 0.2):
        noise = sim3_exp(level * rng.normal(size=(16, 7)) * [0, 0, 0, 1, 1, 1, 0])[:, :3]
        alignment = align_chunks(source, replace(source, cam_from_world=compose(noise, source.cam_from_world)), CONFIG)
        assert alignment is not None
        spreads.append(alignment.spread.rotation_deg)
        informations.append(np.linalg.eigvalsh(alignment.information)[0])
    assert spreads[0] < spreads[1] < spreads[2]
    assert informations[0] > informations[1] > informations[2] > 0


def test_information_says_how_far_a_camera_may_move() -> None:
    """A camera ten units from the origin: a turn about the origin moves it far and so is known well."""
    spread = Spread(rotation_deg=1.0, centre=0.1, log_scale=0.05)
    pose = np.column_stack([np.eye(3), [-10.0, 0, 0]])
    information = information_at(pose, 2.0, spread)
    turn_about_z = np.array([0, 0, 0, 0, 0, 0.01, 0])
    expected = (0.01 / np.radians(1.0)) ** 2 + (0.1 / 2.0 / 0.1) ** 2
    assert turn_about_z @ information @ turn_about_z == pytest.approx(expected, rel=1e-4)


def test_known_cameras_place_views_and_give_the_scale_where_they_are_apart(walk_views: Views) -> None:
    views, wanted = walk_views(6), random_sim3(9)
    given_poses = wanted.apply_to_cameras(views.cam_from_world)
    alignment = align_to_cameras(views, given_poses, CONFIG)
    assert alignment is not None
    assert_same(alignment.target_from_source, wanted, tolerance=1e-4)
    one = align_to_cameras(views.subset([2]), given_poses[[2]], CONFIG)
    assert one is not None
    assert one.target_from_source.scale == pytest.approx(1)
    moved = one.target_from_source.apply_to_cameras(views.cam_from_world[[2]])
    np.testing.assert_allclose(centres(moved), centres(given_poses[[2]]), atol=1e-6)
    failed = replace(views, depth=np.full_like(views.depth, np.nan))
    assert align_to_cameras(failed, given_poses, CONFIG) is None
