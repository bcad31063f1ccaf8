"""Evidence against a solution: refuted neighbours, and cameras at one place that share none of their points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import Make, Synthetic, landscape, with_lookalike
from scipy.stats import mannwhitneyu, norm

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import Sim3
from da3_pipeline.refine.config import ContradictionConfig, SolveConfig
from da3_pipeline.refine.solve.contradictions import (
    NearViews,
    _expected,
    _sigmas_above_chance,
    are_neighbours,
    look_alikes,
    near_views,
    order_tells,
    refuted_neighbours,
    refuted_overlaps,
)
from da3_pipeline.refine.solve.problem import Estimate
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.refine.solve.score import match_errors_px
from da3_pipeline.types import Frame

CONFIG = ContradictionConfig()
UNKNOWN = np.full(10, np.nan)


def refuted(capture: Synthetic, poses: Float) -> list[tuple[int, ...]]:
    problem = capture.problem()
    errors_px = match_errors_px(problem, Estimate(poses, capture.truth.cameras))
    numbers = refuted_neighbours(capture.frames, problem, errors_px, CONFIG)
    return [tuple(pair) for pair in problem.matches.frames[numbers].tolist()]


def views(capture: Synthetic, poses: Float, sharpness: Float | None = None) -> NearViews:
    problem, estimate = capture.problem(), Estimate(poses, capture.truth.cameras)
    fit = fit_points(problem, estimate, SolveConfig().min_ray_spread_deg, SolveConfig().strict_gate_px)
    sharpness = np.full(problem.num_frames, np.nan) if sharpness is None else sharpness
    return near_views(problem, estimate, fit.points, fit.kept, np.ones(problem.num_frames, bool), sharpness, CONFIG)


def test_a_right_solution_refutes_no_neighbours(make_capture: Make) -> None:
    capture = make_capture(frames=8).filmed()
    assert refuted(capture, capture.cam_from_world) == []


def test_a_camera_elsewhere_is_torn_from_its_neighbours_alone(make_capture: Make) -> None:
    capture = make_capture(frames=8).filmed()
    poses = capture.cam_from_world.copy()
    poses[4, :, 3] += poses[4, :, :3] @ [0.0, 3.0, 0.0]
    assert refuted(capture, poses) == [(2, 4), (3, 4), (4, 5), (4, 6)]


def test_pictures_two_places_apart_that_look_alike_are_not_torn(make_capture: Make) -> None:
    """Those between hold them: in a right solution of a thing with equal sides."""
    capture = make_capture(frames=10, false_matches=0.0).filmed()
    assert refuted(with_lookalike(capture, 2, 4), capture.cam_from_world) == []
    assert refuted(with_lookalike(capture, 2, 3), capture.cam_from_world) == [(2, 3)]
    torn = with_lookalike(with_lookalike(capture, 2, 4), 3, 4)
    assert refuted(torn, capture.cam_from_world) == [(2, 4), (3, 4)], "nothing holds 3 to 4"


def test_neighbours_with_few_matches_refute_nothing(make_capture: Make) -> None:
    capture = make_capture(frames=8).filmed()
    poses = capture.cam_from_world.copy()
    poses[4, :, 3] += poses[4, :, :3] @ [0.0, 3.0, 0.0]
    few = [replace(pair, matches=pair.matches[: CONFIG.fewest_matches - 1]) for pair in capture.correspondences.pairs]
    assert refuted(capture.with_pairs(tuple(few)), poses) == []


def test_neighbours_are_of_one_video_or_folder(make_capture: Make) -> None:
    frames = make_capture(frames=6).frames
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)])
    assert are_neighbours(frames, pairs, CONFIG).tolist() == [True, True, False, True, True]
    folders = tuple(replace(frame, name=f"{'ab'[k > 1]}/{frame.name}") for k, frame in enumerate(frames))
    assert are_neighbours(folders, pairs, CONFIG).tolist() == [True, False, False, False, True]
    clips = tuple(replace(frame, video=f"{k > 1}.mp4") for k, frame in enumerate(frames))
    assert are_neighbours(clips, pairs, CONFIG).tolist() == [True, False, False, False, True]


def tells(frames: tuple[Frame, ...], pairs: Int, matches: Int | None = None) -> list[bool]:
    counts = np.full(len(pairs), 50) if matches is None else matches
    return order_tells(frames, np.asarray(pairs).reshape(-1, 2), counts, CONFIG).tolist()


def test_the_order_of_photographs_tells_where_neighbours_are_verified_more_often(make_capture: Make) -> None:
    frames = make_capture(frames=12).frames
    chain = np.array([(k, k + gap) for gap in (1, 2) for k in range(12 - gap)])
    assert all(tells(frames, chain))
    shuffled = np.sort(np.random.default_rng(0).permutation(12)[chain], axis=1)
    assert not any(tells(frames, shuffled))
    everything = np.array([(i, j) for i in range(12) for j in range(i + 1, 12)])
    assert not any(tells(frames, everything))
    assert not any(tells(frames, chain[:0]))
    clip = tuple(replace(frame, video="clip.mp4") for frame in frames)
    assert all(tells(clip, shuffled))


def test_the_order_tells_where_all_match_but_neighbours_most(make_capture: Make) -> None:
    frames, rng = make_capture(frames=12).frames, np.random.default_rng(3)
    everything = np.array([(i, j) for i in range(12) for j in range(i + 1, 12)])
    matches = rng.integers(40, 300, len(everything))
    assert not any(tells(frames, everything, matches))
    next_to = np.diff(everything, axis=1)[:, 0] == 1
    assert all(tells(frames, everything, np.where(next_to, matches + 200, matches)))
    assert not any(tells(frames, everything, np.where(next_to, matches - 40, matches))), "fewer is no order"


def test_how_far_above_chance_is_what_mann_and_whitney_say() -> None:
    frames, rng = 9, np.random.default_rng(1)
    pairs = np.array([(i, j) for i in range(frames) for j in range(i + 1, frames)])
    matches = rng.integers(0, 8, len(pairs))  # ties, and pairs that are not verified
    next_to = np.diff(pairs, axis=1)[:, 0] == 1
    found = matches > 0
    expected = mannwhitneyu(
        matches[next_to], matches[~next_to], use_continuity=False, method="asymptotic", alternative="greater"
    )
    assert _sigmas_above_chance(matches[found], next_to[found], frames) == pytest.approx(norm.isf(expected.pvalue))


def test_each_folder_has_an_order_of_its_own(make_capture: Make) -> None:
    frames = make_capture(frames=16).frames
    folders = tuple(replace(frame, name=f"{'ab'[k >= 8]}/{frame.name}") for k, frame in enumerate(frames))
    chain = [(k, k + 1) for k in range(7)]
    loose = [(8, 11), (9, 13), (10, 15), (12, 14), (8, 15), (9, 12), (11, 14)]
    assert tells(folders, np.array(chain + loose)) == [True] * 8 + [False] * 8


def test_photographs_without_order_refute_nothing_by_it(make_capture: Make) -> None:
    """All pairs match, so that being next to each other says nothing."""
    capture = make_capture(frames=8)
    poses = capture.cam_from_world.copy()
    poses[4, :, 3] += poses[4, :, :3] @ [0.0, 3.0, 0.0]
    assert refuted(capture, poses) == []


def test_cameras_at_one_place_share_their_points(make_capture: Make) -> None:
    capture = make_capture(frames=8, lenses=(landscape(),), points=900, false_matches=0.0)
    found = views(capture, capture.cam_from_world)
    assert len(found.pairs) >= 8
    assert not found.bare(CONFIG).any() and np.median(found.shared) > 0.5


@pytest.mark.parametrize(
    ("one_of", "sharp", "said", "bare"),
    [(10, 0.5, True, False), (60, 0.5, False, False), (10, 0.7, True, True), (10, np.nan, True, True)],
)
def test_a_blurred_picture_finds_little_of_what_others_see_and_is_no_fold(
    make_capture: Make, one_of: int, sharp: float, said: bool, bare: bool
) -> None:
    """It has a tenth of its matches; with next to none it says nothing. A sharp one with so few belongs elsewhere."""
    capture = make_capture(frames=8, lenses=(landscape(),), points=1800, false_matches=0.0, noise_px=0.1)
    blurred = capture.with_pairs(
        tuple(
            replace(pair, matches=pair.matches[(pair.matches[:, [pair.i, pair.j].index(3)] % one_of) == 0])
            if 3 in (pair.i, pair.j)
            else pair
            for pair in capture.correspondences.pairs
        )
    )
    found = views(blurred, capture.cam_from_world, np.where(np.arange(8) == 3, sharp, 1.0))
    to_it = found.pairs[:, 1] == 3
    assert to_it.any() == said and (~to_it).sum() > 8
    assert found.bare(CONFIG)[to_it].all() == (bare or not said) and not found.bare(CONFIG)[~to_it].any()


@pytest.mark.parametrize("more", [{"fewest_points": 2000}, {"fewest_points": 10, "least_common": 1.0}])
def test_cameras_that_should_share_few_points_or_a_small_share_say_nothing(
    make_capture: Make, more: dict[str, float]
) -> None:
    capture = make_capture(frames=6, lenses=(landscape(),), points=900, false_matches=0.0)
    problem, fit = capture.problem(), fit_points(capture.problem(), capture.truth, 1.0)
    every = np.ones(6, bool)
    strict = CONFIG.model_copy(update=more)
    assert len(near_views(problem, capture.truth, fit.points, fit.kept, every, UNKNOWN[:6], CONFIG).pairs)
    assert not len(near_views(problem, capture.truth, fit.points, fit.kept, every, UNKNOWN[:6], strict).pairs)


def test_two_halves_folded_onto_each_other_find_nothing_of_each_other(make_capture: Make) -> None:
    """Either half is right in itself; the second stands where the first stands, and looks at what it sees."""
    capture = make_capture(frames=10, layout="halves", lenses=(landscape(),), points=1500, false_matches=0.0)
    angle = 0.55  # from the middle of one half of the arc to the middle of the other
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    onto_first = Sim3(1.0, turn, -100.0 * turn[:, 2])
    poses = np.concatenate([capture.cam_from_world[:5], onto_first.apply_to_cameras(capture.cam_from_world[5:])])
    found = views(capture, poses)
    across = (found.pairs < 5).sum(axis=1) == 1
    assert across.sum() > 4 and (~across).sum() > 4
    assert found.bare(CONFIG)[across].all() and not found.bare(CONFIG)[~across].any()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_than_three_cameras_have_no_neighbours(make_capture: Make, count: int) -> None:
    capture = make_capture(frames=8, points=900, lenses=(landscape(),))
    problem, fit = capture.problem(), fit_points(capture.problem(), capture.truth, 1.0)
    chosen = np.arange(8) < count
    found = near_views(problem, capture.truth, fit.points, fit.kept, chosen, UNKNOWN[:8], CONFIG).pairs
    assert set(found.ravel().tolist()) == (set(range(3)) if count == 3 else set())


@pytest.mark.parametrize(
    ("place", "at", "expected"),
    [
        ((0.0, 0.0, 0.0), (0.5, 0.5), True),
        ((0.0, 0.0, 0.0), (0.035, 0.5), True),
        ((0.0, 0.0, 0.0), (0.025, 0.5), False),  # at the edge
        ((0.0, 0.0, 0.0), (0.5, 0.965), True),
        ((0.0, 0.0, 0.0), (0.5, 0.975), False),
        ((0.0, 0.0, 20.0), (0.5, 0.5), False),  # behind
        ((2.4, 0.0, 0.0), (0.5, 0.5), True),  # 13.5 degrees between the rays
        ((2.9, 0.0, 0.0), (0.5, 0.5), False),  # 16.2
        ((0.0, 0.0, 3.0), (0.5, 0.5), True),  # 1.43 times as large
        ((0.0, 0.0, 3.6), (0.5, 0.5), False),  # 1.56
        ((0.0, 0.0, -4.0), (0.5, 0.5), True),
        ((0.0, 0.0, -6.0), (0.5, 0.5), False),
    ],
)
def test_points_are_expected_again_from_nearly_the_same_place(
    make_capture: Make, place: tuple[float, ...], at: tuple[float, float], expected: bool
) -> None:
    """A point ten ahead, at a share of the picture of the first camera."""
    capture = make_capture(frames=2, points=100, lenses=(landscape(),))
    poses = np.tile(np.eye(3, 4), (2, 1, 1))
    poses[1, :, 3] = -np.array(place)
    problem, (camera,) = capture.problem(), capture.truth.cameras.values()
    ray = camera.unproject(np.array([at]) * [camera.width, camera.height])[0]
    point = 10.0 * np.array([[*ray, 1.0]])
    estimate = Estimate(poses, capture.truth.cameras)
    assert _expected(problem, estimate, point, 0, 1, CONFIG).tolist() == [expected]


def overlaps(capture: Synthetic, poses: Float) -> list[tuple[int, ...]]:
    problem, estimate = capture.problem(), Estimate(poses, capture.truth.cameras)
    fit = fit_points(problem, estimate, SolveConfig().min_ray_spread_deg, SolveConfig().strict_gate_px)
    numbers = refuted_overlaps(problem, estimate, fit.points, fit.kept, match_errors_px(problem, estimate), CONFIG)
    return [tuple(pair) for pair in problem.matches.frames[numbers].tolist()]


def test_pictures_that_show_the_same_and_match_by_something_else_are_told(make_capture: Make) -> None:
    capture = make_capture(frames=10, false_matches=0.0)
    assert overlaps(capture, capture.cam_from_world) == []
    assert overlaps(with_lookalike(capture, 2, 4), capture.cam_from_world) == [(2, 4)]


def test_pictures_that_show_unlike_things_may_look_alike(make_capture: Make) -> None:
    """A pair that the solution sees on unlike sides is refuted, and nothing speaks against that."""
    capture = with_lookalike(make_capture(frames=10, false_matches=0.0), 2, 4)
    poses = capture.cam_from_world.copy()
    poses[4] = poses[4] * [[-1], [1], [-1]]  # turned about, it looks away from all points
    assert overlaps(capture, poses) == []


def test_refuted_pairs_count_as_look_alikes_where_no_order_tells(make_capture: Make) -> None:
    capture = with_lookalike(make_capture(frames=10, false_matches=0.0), 2, 7)
    problem, estimate = capture.problem(), capture.truth
    errors_px = match_errors_px(problem, estimate)
    numbers = look_alikes(capture.frames, problem, errors_px, CONFIG)
    assert numbers is not None and problem.matches.frames[numbers].tolist() == [[2, 7]]
    clip = tuple(replace(frame, video="clip.mp4") for frame in capture.frames)
    assert look_alikes(clip, problem, errors_px, CONFIG) is None, "a video tells"
