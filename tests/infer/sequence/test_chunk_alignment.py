"""Two predictions of the same frames: the similarity between them, its worth, and what is degenerate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, centres, compose, invert, nearest_rotation, rotation_angle_deg, sim3_exp
from da3_pipeline.infer.config import AlignmentConfig, Spread
from da3_pipeline.infer.sequence.chunk_alignment import align_chunks, align_to_cameras, information_at
from da3_pipeline.infer.views import RawViews

Array = NDArray[np.float64]
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


def standing_still(log_ratios: Array, confidences: Array) -> tuple[RawViews, RawViews]:
    """A camera that turns about the origin, seen twice: depths grow by exp(log_ratios), everything else is the same."""
    count = len(log_ratios)
    rotations = nearest_rotation(np.random.default_rng(1).normal(size=(count, 3, 3)))
    poses = np.concatenate([rotations, np.zeros((count, 3, 1))], axis=2)
    depth = np.tile(np.linspace(2, 4, 40, dtype=np.float32).reshape(1, 8, 5), (count, 1, 1))  # portrait
    depth[:, 6:] = 17.0  # the median stays 3
    conf = np.broadcast_to(confidences[:, None, None], depth.shape).astype(np.float32)
    source = RawViews(depth, conf, poses, np.tile(np.eye(3), (count, 1, 1)))
    grown = depth * np.exp(log_ratios)[:, None, None].astype(np.float32)
    return source, replace(source, depth=grown)


PLAIN = AlignmentConfig(half_weight=1e12, expected_frames=1e12, max_rounds=50)
"""Least squares with the expected spreads: what comes out can be written down."""


def test_the_scale_is_the_mean_of_the_frames_by_confidence_drawn_to_where_it_was() -> None:
    """Minimum of sum w ((lambda - r) / 0.03)^2 + ((lambda - median r) / 0.02)^2, weights over the median in 1/4..4."""
    ratios, confidences = np.array([0.0, 0.05, 0.5, 0.2, -0.4]), np.array([2.0, 3.0, 100.0, 0.1, 2.0])
    weight = np.array([1.0, 1.5, 4.0, 0.25, 1.0]) / 0.03**2
    source, target = standing_still(ratios, confidences)
    alignment = align_chunks(source, target, PLAIN.model_copy(update={"scale_sigma": 0.02}))
    assert alignment is not None
    expected = (weight @ ratios + 0.05 / 0.02**2) / (weight.sum() + 1 / 0.02**2)
    assert np.log(alignment.target_from_source.scale) == pytest.approx(expected, abs=1e-6)


def test_information_is_what_one_frame_of_these_tells() -> None:
    """At the origin a turn moves no centre: 1/sigma^2 of turn and scale, 1/(depth sigma)^2 of the place."""
    confidences = np.array([1.0, 1.0, 3.0])
    source, target = standing_still(np.array([0.0, 0.0, np.log(2)]), confidences)
    alignment = align_chunks(source, target, PLAIN)
    assert alignment is not None
    inverse_depth_squared = confidences @ np.array([3.0, 3.0, 6.0]) ** -2 / confidences.sum()
    expected = np.diag([*3 * [inverse_depth_squared / 0.02**2], *3 * [np.radians(1) ** -2], 0.03**-2])
    np.testing.assert_allclose(alignment.information, expected, rtol=2e-3, atol=0.5)
    assert alignment.spread.rotation_deg == pytest.approx(1.0)
    assert alignment.spread.centre == pytest.approx(0.02)
    assert alignment.spread.log_scale == pytest.approx(0.03)


def test_the_spread_is_that_of_the_frames_and_of_what_is_expected() -> None:
    """Half of the frames turned by 2 degrees, half back; centres 0.3 to either side at depth 3; depths likewise."""
    source, _ = standing_still(np.zeros(8), np.ones(8))
    sides = np.tile([1.0, -1.0], 4)
    poses = np.repeat(source.cam_from_world[::2], 2, axis=0)  # in pairs that look the same way: nothing moves in all
    source = replace(source, cam_from_world=poses.copy())
    turn = sim3_exp(np.outer(sides, [0, 0, 0, 0, np.radians(2.0), 0, 0]))[:, :3, :3]
    poses[:, :, :3] = turn @ poses[:, :, :3]
    poses[:, 0, 3] = 0.3 * sides
    depth = source.depth * np.exp(0.1 * np.roll(sides, 1))[:, None, None].astype(np.float32)
    config = AlignmentConfig(half_weight=1e12, max_rounds=50)
    alignment = align_chunks(source, replace(source, cam_from_world=poses, depth=depth), config)
    assert alignment is not None
    assert_same(alignment.target_from_source, Sim3.identity(), tolerance=3e-3)
    between = lambda square, expected: np.sqrt((8 * square + 2 * expected**2) / 10)  # noqa: E731
    assert alignment.spread.rotation_deg == pytest.approx(between(2.0**2 / 3, 1.0), rel=2e-3)
    assert alignment.spread.centre == pytest.approx(between(0.1**2 / 3, 0.02), rel=2e-2)
    assert alignment.spread.log_scale == pytest.approx(between(0.1**2, 0.03), rel=2e-3)
    floor = Spread(rotation_deg=9.0, centre=0.9, log_scale=0.8)
    blunt = align_chunks(source, source, config.model_copy(update={"floor": floor}))
    assert blunt is not None
    assert blunt.spread == floor


@pytest.mark.parametrize(("half_weight", "agreeing"), [(40.0, 1.0), (30.0, 0.75)])
def test_a_frame_counts_for_half_at_the_stated_residual(half_weight: float, agreeing: float) -> None:
    """One depth of four is six sigmas off: its squared residual is 36, less a little that the others give way."""
    source, target = standing_still(np.array([0.0, 0.0, 0.0, 0.18]), np.ones(4))
    config = PLAIN.model_copy(update={"half_weight": half_weight, "scale_sigma": 1e-4})
    alignment = align_chunks(source, target, config)
    assert alignment is not None
    assert alignment.agreeing == agreeing


def test_depth_is_compared_where_both_are_sure_and_nothing_is_sky(walk_views: Views) -> None:
    """Wrong depths under either one's sky, where either one is unknown, and at the less confident few."""
    source, rng = walk_views(3), np.random.default_rng(2)
    source = replace(source, cam_from_world=source.cam_from_world * [1, 1, 1, 0])  # it stands still
    wrong, sky = np.exp(rng.normal(size=source.depth.shape)).astype(np.float32), np.zeros(source.depth.shape, bool)
    depth, ours, theirs = 2 * source.depth, sky.copy(), sky.copy()
    ours[:, 0], theirs[:, 1] = True, True
    conf = source.conf.copy()
    conf[:, 2:6] = 0.5
    depth[:, :6] *= wrong[:, :6]
    depth[:, 6] = np.resize([np.nan, -1.0, 0.0, np.inf], 28)
    source, target = replace(source, sky=ours, conf=conf), replace(source, depth=depth, sky=theirs, conf=conf)
    conf = conf.copy()
    conf[:, 2:4] = np.resize([np.nan, np.inf, np.inf], 28)
    for one, other in (
        (source, target),
        (target, source),
        (source, replace(target, conf=conf)),
        (replace(source, conf=conf), target),
    ):
        alignment = align_chunks(one, other, CONFIG)
        assert alignment is not None
        assert alignment.target_from_source.scale == pytest.approx(0.5 if one is target else 2.0, rel=1e-5)


def test_ratios_count_by_the_confidence_of_both() -> None:
    """Three surfaces grow by different factors; the middle one of the sure half by weight is in the heavy surface."""
    source, target = standing_still(np.zeros(1), np.ones(1))
    growth, conf = np.full((8, 5), 1.0, np.float32), np.full((8, 5), 0.01, np.float32)
    growth[:2], growth[2:3], growth[3:5] = 1.1, 1.3, 1.2
    conf[:2], conf[2:3], conf[3:5] = 2.2**2, 4.6**2, 0.5**2
    target = replace(target, depth=target.depth * growth, conf=np.ones_like(target.conf))
    for sure, other in ((conf, target.conf[0]), (target.conf[0], conf), (np.sqrt(conf), np.sqrt(conf))):
        alignment = align_chunks(replace(source, conf=sure[None]), replace(target, conf=other[None]), CONFIG)
        assert alignment is not None  # weights in order of growth: 10 of 2.2, 10 of 0.5, 5 of 4.6; the rest is unsure
        assert alignment.target_from_source.scale == pytest.approx(1.2, rel=1e-5)


def test_only_so_many_pixels_are_compared() -> None:
    source, target = standing_still(np.zeros(2), np.ones(2))
    depth = target.depth.copy()
    depth.reshape(2, -1)[:, ::10] *= 2
    target = replace(target, depth=depth)
    for pixels, scale in ((4, 2.0), (40, 1.0)):
        alignment = align_chunks(source, target, AlignmentConfig(sampled_pixels=pixels))
        assert alignment is not None
        assert alignment.target_from_source.scale == pytest.approx(scale, rel=1e-5)


def test_without_depth_centres_are_measured_by_how_far_the_cameras_reach(walk_views: Views) -> None:
    source = replace(walk_views(9), sky=np.ones((9, 14, 28), bool))
    alignment = align_chunks(source, source, PLAIN)
    assert alignment is not None
    place = centres(source.cam_from_world)
    reach = np.median(np.linalg.norm(place - place.mean(0), axis=1))
    np.testing.assert_allclose(np.diag(alignment.information)[:3], 1 / (reach * 0.02) ** 2, rtol=1e-4)


def test_given_cameras_are_known_in_units_of_the_depth_they_give(walk_views: Views) -> None:
    views, grown = walk_views(5), Sim3(3.0, np.eye(3), np.zeros(3))
    depth = views.depth.copy()
    depth[:, :2], depth[:, 2], depth[:, 3:5] = 1.0, 2.0, 9.0  # the median is 2
    depth[:, 5:] = np.resize([np.nan, -1.0, 0.0, np.inf, -1.0], (9, 28))
    alignment = align_to_cameras(replace(views, depth=depth), grown.apply_to_cameras(views.cam_from_world), PLAIN)
    assert alignment is not None
    np.testing.assert_allclose(np.diag(alignment.information)[:3], 1 / (3.0 * 2.0 * 0.02) ** 2, rtol=1e-3)


def test_a_frame_of_nothing_but_sky_still_tells_where_it_stands(walk_views: Views) -> None:
    """Two thirds of the frames show sky alone; those that show more are turned by a degree."""
    source, wanted = walk_views(9), random_sim3(10)
    sky = np.zeros(source.depth.shape, bool)
    sky[3:] = True
    target = source.moved(wanted)
    poses = target.cam_from_world.copy()
    poses[:3] = compose(sim3_exp(np.array([0, 0, 0, np.radians(1.0), 0, 0, 0]))[:3], poses[:3])
    config = AlignmentConfig(half_weight=1e12, expected_frames=1e12, scale_sigma=1e-6)
    alignment = align_chunks(replace(source, sky=sky), replace(target, cam_from_world=poses), config)
    assert alignment is not None
    assert alignment.agreeing == 1
    turned = compose(
        alignment.target_from_source.apply_to_cameras(source.cam_from_world), invert(target.cam_from_world)
    )
    angles = rotation_angle_deg(turned[:, :, :3], np.eye(3))
    np.testing.assert_allclose(angles[3:], angles[3], atol=0.02)
    assert 0.2 < angles[3] < 0.45  # a third of the frames draws a third of the way; their centres hold against it


@pytest.mark.parametrize("nothing", [np.inf, np.nan, -1.0, 0.0])
def test_depths_that_one_side_does_not_know_are_none_however_many(walk_views: Views, nothing: float) -> None:
    """Three rows of fourteen tell, at a hundredth of the usual depth."""
    source = replace(walk_views(3), depth=walk_views(3).depth / 100)
    source = replace(source, cam_from_world=source.cam_from_world * [1, 1, 1, 0])  # it stands still
    blind = source.depth.copy()
    blind[:, 3:] = nothing
    grown = replace(source, depth=2 * source.depth)
    for one, other in ((replace(source, depth=blind), grown), (source, replace(grown, depth=2 * blind))):
        alignment = align_chunks(one, other, CONFIG)
        assert alignment is not None
        assert alignment.target_from_source.scale == pytest.approx(2.0, rel=1e-5)


def test_one_frame_with_depth_is_enough_for_the_scale_of_a_camera_that_stands_still() -> None:
    source, target = standing_still(np.full(3, np.log(2)), np.ones(3))
    sky = np.zeros(source.depth.shape, bool)
    sky[1:] = True
    alignment = align_chunks(source, replace(target, sky=sky), CONFIG)
    assert alignment is not None
    assert alignment.target_from_source.scale == pytest.approx(2.0, rel=1e-5)


def test_a_frame_without_depth_counts_as_the_middle_one_at_the_middle_depth() -> None:
    """Depths 3, 6 and 9 and confidences 1, 1 and 3 of the target; a fourth frame shows sky."""
    confidences = np.array([1.0, 1.0, 3.0, 7.0])
    source, target = standing_still(np.log([1.0, 2.0, 3.0, 5.0]), confidences)
    sky = np.zeros(source.depth.shape, bool)
    sky[3] = True
    alignment = align_chunks(source, replace(target, sky=sky), PLAIN)
    assert alignment is not None
    inverse_depth_squared = np.array([1.0, 1.0, 3.0, 1.0]) @ np.array([3.0, 6.0, 9.0, 6.0]) ** -2 / 6
    np.testing.assert_allclose(np.diag(alignment.information)[:3], inverse_depth_squared / 0.02**2, rtol=2e-3)


def test_where_nothing_tells_a_size_it_is_one() -> None:
    source, _ = standing_still(np.zeros(3), np.ones(3))
    source = replace(source, sky=np.ones(source.depth.shape, bool))
    alignment = align_chunks(source, source, PLAIN)
    assert alignment is not None
    np.testing.assert_allclose(np.diag(alignment.information)[:3], 1 / 0.02**2, rtol=1e-6)


def test_every_pixel_is_compared_where_they_are_few() -> None:
    source, target = standing_still(np.zeros(1), np.ones(1))
    depth = target.depth.copy()
    depth.reshape(1, -1)[:, :36:2] *= 2  # eighteen of forty, of every second one nearly all
    for pixels in (40, 79):
        alignment = align_chunks(source, replace(target, depth=depth), AlignmentConfig(sampled_pixels=pixels))
        assert alignment is not None
        assert alignment.target_from_source.scale == pytest.approx(1.0, rel=1e-5)


def noisy(source: RawViews, seed: int = 0) -> RawViews:
    """The same views, each turned by 2 degrees, moved by 0.1 and grown by 5 % or so, seen with other confidences."""
    rng, count = np.random.default_rng(seed), len(source)
    noise = sim3_exp(rng.normal(0, [0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0], (count, 7)))[:, :3]
    growth = np.exp(rng.normal(0, 0.05, (count, 1, 1))).astype(np.float32)
    conf = source.conf * rng.uniform(0.5, 3, (count, 1, 1)).astype(np.float32)
    poses = compose(noise, source.cam_from_world)
    return replace(source, cam_from_world=poses, depth=growth * source.depth, conf=conf)


@pytest.mark.parametrize("seed", range(3))
def test_the_world_of_the_target_does_not_matter(walk_views: Views, seed: int) -> None:
    """What disagrees a little is fitted in the camera: a target that is moved moves the result along."""
    source, moved = walk_views(10), random_sim3(seed)
    target, config = noisy(source, seed), AlignmentConfig(max_rounds=60)
    here, there = align_chunks(source, target, config), align_chunks(source, target.moved(moved), config)
    assert here is not None and there is not None
    at, to = here.target_from_source, there.target_from_source
    assert abs(np.log(at.scale)) > 1e-4
    assert to.scale == pytest.approx(moved.scale * at.scale, rel=1e-4)
    assert rotation_angle_deg(to.rotation, moved.rotation @ at.rotation) < 1e-2
    np.testing.assert_allclose(to.translation, moved.apply(at.translation), atol=2e-3 * moved.scale)
    assert there.spread.centre == pytest.approx(here.spread.centre, rel=1e-3)


def test_spreads_are_weighted_by_confidence() -> None:
    """One frame of four is turned by 2 degrees to either side and counts four times; a fifth has no depth."""
    source, _ = standing_still(np.zeros(5), np.array([4.0, 4.0, 1.0, 1.0, 1.0]))
    source = replace(source, cam_from_world=np.repeat(source.cam_from_world[:1], 5, axis=0))
    sides = np.array([1.0, -1.0, 0.0, 0.0, 0.0])
    turns = sim3_exp(np.outer(sides, [0, 0, 0, 0, np.radians(2.0), 0, 0]))[:, :3]
    sky = np.zeros(source.depth.shape, bool)
    sky[4] = True
    depth = source.depth * np.exp(0.1 * sides)[:, None, None].astype(np.float32)
    target = replace(source, cam_from_world=compose(turns, source.cam_from_world), depth=depth, sky=sky)
    alignment = align_chunks(source, target, AlignmentConfig(half_weight=1e12, max_rounds=50))
    assert alignment is not None
    weights, floor = np.array([1.6, 1.6, 0.4, 0.4, 1.0]), 2.0  # over the middle one, 2.5
    turned = (weights @ (2.0**2 / 3 * sides**2) + floor * 1.0**2) / (weights.sum() + floor)
    grown = (weights[:4] @ (0.1**2 * sides[:4] ** 2) + floor * 0.03**2) / (weights[:4].sum() + floor)
    assert alignment.spread.rotation_deg == pytest.approx(np.sqrt(turned), rel=2e-3)
    assert alignment.spread.log_scale == pytest.approx(np.sqrt(grown), rel=2e-3)


def test_all_kinds_of_residual_count_together() -> None:
    """A frame whose centre and depth are four sigmas off each: 16 and 16 are more than 30, each alone is less."""
    source, target = standing_still(np.array([0.0, 0.0, 0.0, 0.0, 0.12]), np.ones(5))
    poses = target.cam_from_world.copy()
    poses[4, 0, 3] = 4 * 0.02 * 3.0 * np.exp(0.12)
    config = PLAIN.model_copy(update={"scale_sigma": 1e-4})
    for half_weight, agreeing in ((20.0, 0.8), (36.0, 1.0)):
        config = config.model_copy(update={"half_weight": half_weight})
        alignment = align_chunks(source, replace(target, cam_from_world=poses), config)
        assert alignment is not None
        assert alignment.agreeing == agreeing


@pytest.mark.parametrize("growth", [1.5, 0.7])
def test_one_pixel_that_is_surer_than_all_others_together_decides(growth: float) -> None:
    source, target = standing_still(np.zeros(1), np.ones(1))
    depth, conf = target.depth.copy(), target.conf.copy()
    depth[0, 3, 3] *= growth
    conf[0, 3, 3] = 100.0**2
    alignment = align_chunks(source, replace(target, depth=depth, conf=conf), CONFIG)
    assert alignment is not None
    assert alignment.target_from_source.scale == pytest.approx(growth, rel=1e-5)
