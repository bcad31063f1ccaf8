"""How far the prior is believed: priors of known error, and such as know nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape

from da3_pipeline.arrays import Float
from da3_pipeline.geometry import PixelMap
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.prior_trust import (
    _asked,
    _focal,
    _Opinion,
    _poses_proven,
    _predicted_depth,
    _triangulated_depth,
    measure_trust,
)
from da3_pipeline.refine.solve.triangulation import triangulate
from da3_pipeline.types import PriorTrust

START = RefineConfig().initialisation


def trust_of(capture: Synthetic) -> PriorTrust:
    return measure_trust(capture.problem(), capture.prediction, START.trust, START.two_view, 0)


def with_depth(capture: Synthetic, said: Callable[[Float], Float]) -> Synthetic:
    """With depth maps that say `said` of the true depth of every observed point, and nothing elsewhere."""
    problem = capture.problem()
    seen = problem.observations
    points = triangulate(problem, capture.truth, seen)
    depth = np.zeros_like(capture.prediction.depth)
    for frame, pose in enumerate(capture.cam_from_world):
        mine = np.flatnonzero((seen.frame == frame) & np.isfinite(points[seen.track]).all(1))
        pixels = capture.prediction.pixel_maps[frame].to_network(seen.xy[mine] / problem.scale[frame])
        column, row = np.floor(pixels).astype(int).T
        inside = (row >= 0) & (column >= 0) & (row < depth.shape[1]) & (column < depth.shape[2])
        true = points[seen.track[mine]] @ pose[2, :3] + pose[2, 3]
        depth[frame][row[inside], column[inside]] = said(true)[inside]
    return replace(capture, prediction=replace(capture.prediction, depth=depth))


@pytest.mark.parametrize("frames", [3, 8])
def test_poses_a_few_degrees_off_are_believed(make_capture: Make, frames: int) -> None:
    assert trust_of(make_capture(frames=frames, prior_deg=3.0, prior_shift=0.03)).poses


@pytest.mark.parametrize("frames", [3, 8])
def test_cameras_that_all_stand_in_one_place_are_not(make_capture: Make, frames: int) -> None:
    capture = make_capture(frames=frames)
    trust = trust_of(capture.with_prior(np.tile(np.eye(3, 4), (frames, 1, 1))))
    assert trust.poses is False
    assert trust.measured["rotation_deg"] >= trust.measured["rotation_deg_by_chance"] - 1e-9


def test_poses_dealt_to_the_wrong_frames_are_not(make_capture: Make) -> None:
    capture = make_capture(frames=8)
    assert trust_of(capture.with_prior(capture.cam_from_world[[3, 6, 0, 5, 2, 7, 4, 1]])).poses is False


def test_random_poses_are_not(make_capture: Make, random_poses: Callable[[int], Float]) -> None:
    assert trust_of(make_capture(frames=8).with_prior(random_poses(8))).poses is False


def test_where_nothing_moves_rotations_alone_decide(make_capture: Make) -> None:
    """On the spot no direction can be told, and every pair is explained by a turn."""
    trust = trust_of(make_capture(layout="rotation", prior_deg=1.0, lenses=(landscape(),)))
    assert trust.poses
    assert "direction_deg" not in trust.measured and trust.depth is None


def test_without_pairs_or_poses_nothing_is_known(make_capture: Make) -> None:
    capture = make_capture(frames=4)
    alone = replace(capture, correspondences=replace(capture.correspondences, pairs=capture.correspondences.pairs[:1]))
    assert trust_of(alone).poses is None
    poses = capture.prediction.cam_from_world.copy()
    poses[1] = np.nan
    assert trust_of(capture.with_prior(poses)).poses is None


@pytest.mark.parametrize(("fewest", "told"), [(6, True), (7, False)])
def test_as_many_pairs_as_are_asked_for_tell(make_capture: Make, fewest: int, told: bool) -> None:
    capture = make_capture(frames=4, prior_deg=2.0)
    config = START.trust.model_copy(update={"fewest_pairs": fewest})
    trust = measure_trust(capture.problem(), capture.prediction, config, START.two_view, 0)
    assert trust.poses is (True if told else None)
    assert ("direction_deg" in trust.measured) is told


@pytest.mark.parametrize(("factor", "believed"), [(1.02, True), (1.15, True), (1.6, False), (0.6, False)])
def test_focal_lengths_are_held_against_the_pairs_vote(make_capture: Make, factor: float, believed: bool) -> None:
    trust = trust_of(make_capture(frames=8, prior_focal=factor, lenses=(landscape(),), points=900, noise_px=0.2))
    assert trust.focal is believed
    assert trust.measured["focal_log_ratio"] == pytest.approx(abs(np.log(factor)), abs=0.05)


def test_depth_that_explains_the_matches_is_believed_whatever_its_unit(make_capture: Make) -> None:
    capture = make_capture(frames=6, points=900, lenses=(landscape(),), noise_px=0.2)
    trust = trust_of(with_depth(capture, lambda true: 7 * true))
    assert trust.depth
    assert trust.measured["depth"] < 0.5 * trust.measured["depth_by_chance"]


@pytest.mark.parametrize("said", [lambda true: 1 / true, lambda true: np.ones_like(true)])
def test_depth_turned_inside_out_or_flat_is_not(make_capture: Make, said: Callable[[Float], Float]) -> None:
    capture = make_capture(frames=6, points=900, lenses=(landscape(),), noise_px=0.2)
    assert trust_of(with_depth(capture, said)).depth is False


GOOD, LUCKY, FAR = _Opinion(5.0, 20.0), _Opinion(5.0, 6.0), _Opinion(15.0, 90.0)  # degrees


@pytest.mark.parametrize(
    ("rotation", "direction", "proven"),
    [
        (GOOD, None, True),
        (GOOD, _Opinion(10.0, 90.0), True),
        (GOOD, _Opinion(40.0, 90.0), False),
        (GOOD, _Opinion(10.0, 15.0), False),
        (LUCKY, None, False),  # chance would do as well
        (LUCKY, _Opinion(10.0, 90.0), True),  # but it speaks against nothing
        (FAR, None, False),
        (FAR, _Opinion(10.0, 90.0), False),
        (_Opinion(12.0, 24.0), _Opinion(30.0, 60.0), True),  # at the limits
    ],
)
def test_poses_are_proven_by_what_chance_does_not_give(
    rotation: _Opinion, direction: _Opinion | None, proven: bool
) -> None:
    assert _poses_proven(rotation, direction, START.trust) is proven


def test_rays_of_two_cameras_meet_at_their_points() -> None:
    """In units of the baseline; not where they hardly part, nor behind either camera."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-2, -2, 3), (2, 2, 9), (50, 3))
    angle = 0.2
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    pose = np.column_stack([turn, [0.8, 0.0, 0.6]])
    seen = points @ turn.T + pose[:, 3]
    first, second = points / points[:, 2:], seen / seen[:, 2:]
    np.testing.assert_allclose(_triangulated_depth(first, second, pose, np.radians(1.0)), points[:, 2])
    far = np.array([[0.0, 0.0, 30.0], [0.0, 0.0, 90.0]])
    aside = np.column_stack([np.eye(3), [1.0, 0.0, 0.0]])
    seen = far + aside[:, 3]
    depth = _triangulated_depth(far / far[:, 2:], seen / seen[:, 2:], aside, np.radians(1.0))
    assert depth[0] == pytest.approx(30) and np.isnan(depth[1]), "1.9 and 0.6 degrees"
    away = np.column_stack([turn, -pose[:, 3]])
    assert np.isnan(_triangulated_depth(first, second, away, np.radians(1.0))).all()


def test_the_priors_depth_is_that_of_the_pixel(make_capture: Make) -> None:
    prediction = make_capture(frames=3, points=40).prediction
    depth = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    maps = (PixelMap((10.0, 10.0), (0.0, 0.0)),) * 3
    told = replace(prediction, depth=depth, pixel_maps=maps)
    xy = np.array([[0.0, 0.0], [15.0, 5.0], [29.9, 19.9], [30.1, 5.0], [5.0, 20.1], [-0.1, 5.0], [5.0, -0.1]])
    nan = np.nan
    np.testing.assert_array_equal(_predicted_depth(told, 1, xy), [6, 7, 11, nan, nan, nan, nan])
    np.testing.assert_array_equal(_predicted_depth(told, 0, xy[:2]), [nan, 1]), "0 is unknown"


def test_pairs_are_asked_from_the_first_to_the_last(make_capture: Make) -> None:
    problem = make_capture(frames=5, points=100).problem()
    assert len(problem.matches.frames) == 10
    for most, asked in ((4, [0, 3, 6, 9]), (10, list(range(10))), (150, list(range(10))), (1, [0])):
        assert _asked(problem, START.trust.model_copy(update={"most_pairs": most})).tolist() == asked


def test_what_exif_tells_of_focal_lengths_is_what_they_are_held_against(make_capture: Make) -> None:
    problem = make_capture(frames=4, points=100, prior_focal=1.0).problem()
    true = {name: camera.focal_px for name, camera in problem.prior.cameras.items()}
    both = {"landscape": true["landscape"] / 1.2, "portrait": true["portrait"] / 0.6}

    def off(**known: object) -> float | None:
        return _focal(replace(problem, exif_focal_px=both, **known), START.trust, START.two_view)  # type: ignore[arg-type]

    assert off() == pytest.approx((np.log(1.2) - np.log(0.6)) / 2)
    assert off(known_cameras=frozenset({"portrait"})) == pytest.approx(np.log(1.2))
    assert off(known_cameras=frozenset(true)) is None
