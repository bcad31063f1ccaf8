"""A part whose size nothing fixes leaves the scene, and the rest is solved and judged for itself; a right scene loses
nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scenes import Make, Synthetic

from da3_pipeline.arrays import Bool, Int
from da3_pipeline.geometry import align_cameras, centres, rotation_angle_deg
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import assembly, refinement
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.refinement import _prior_scene
from da3_pipeline.refine.solve.components import rigid_components
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.refine.solve.tracks import Observations
from da3_pipeline.refine.torn_part import (
    asked_of_rest,
    beside_the_rest,
    held_to_all,
    said_of_part,
    torn_part,
    what_remains,
)
from da3_pipeline.types import Gate, Prediction, Scene, Verdict

FRAMES = 20
Tears = dict[int, range]
Refine = Callable[..., tuple[Scene, list[int]]]


def configured(**quality: float) -> RefineConfig:
    return RefineConfig.model_validate({"matcher": "sift", "initialisation": {"restart_up_to": 0}, "quality": quality})


@pytest.fixture
def street(make_capture: Make) -> Synthetic:
    return make_capture(frames=FRAMES, layout="line", spread=6.0, points=1000)


def torn(estimate: Estimate, part: range, scale: float = 0.2) -> Estimate:
    """With these frames nearer to the one of them that is next to the others."""
    places, about = centres(estimate.cam_from_world), part[0] or part[-1]
    inside = np.isin(np.arange(len(places)), part)[:, None]
    moved = np.where(inside, places[about] + scale * (places - places[about]), places)
    poses = estimate.cam_from_world.copy()
    poses[:, :, 3] = -np.einsum("nij,nj->ni", poses[:, :, :3], moved)
    return replace(estimate, cam_from_world=poses)


@pytest.fixture
def refined(monkeypatch: pytest.MonkeyPatch) -> Refine:
    """The scene of a capture whose solutions of so many frames come out torn; and of how many frames each try was.

    They count as one component: of a film enough points hold across, by chance or for want of parallax.
    """

    def refine(capture: Synthetic, tears: Tears, config: RefineConfig | None = None) -> tuple[Scene, list[int]]:
        tried: list[int] = []
        solved = refinement.solved

        def solve(solution: Solution, *rest: Any) -> Solution:
            solution, count = solved(solution, *rest), solution.problem.num_frames
            tried.append(count)
            if count not in tears:
                return solution
            estimate = torn(solution.winner.fit.estimate, tears[count])
            return solution.won_by(fit_points(solution.problem, estimate, 1.0))

        def components(observations: Observations, frames: int, least: int) -> Int:
            return np.zeros(frames, np.int64) if frames in tears else rigid_components(observations, frames, least)

        monkeypatch.setattr(assembly, "rigid_components", components)
        monkeypatch.setattr(refinement, "solved", solve)
        monkeypatch.setattr(refinement, "OF_THE_WINNER", ())
        monkeypatch.setattr(refinement, "find_correspondences", lambda *_: capture.correspondences)
        return refinement.run(capture.prediction, config or configured(), SilentProgress()), tried

    return refine


def held(scene: Scene) -> Bool:
    return np.array([source == "refined" for source in scene.pose_source])


def failed(scene: Scene) -> set[str]:
    return {gate.name for gate in scene.verdict.gates if not gate.passed}


@pytest.mark.parametrize("part", [range(14, 20), range(6)])
def test_a_part_whose_size_is_open_is_named_and_the_rest_is_right(
    street: Synthetic, refined: Refine, part: range
) -> None:
    """It lacks nothing but the images of the part: what was filmed is what the verdict is on."""
    scene, tried = refined(street, {FRAMES: part})
    rest = held(scene)
    assert failed(scene) == {"refined share"} and not scene.verdict.passed, scene.verdict.summary
    share = next(gate for gate in scene.verdict.gates if gate.name == "refined share")
    assert share.value == pytest.approx(rest.mean()) and share.place is not None
    assert share.place.frames == tuple(scene.torn)
    assert held_to_all(scene, configured().quality) == scene
    assert not what_remains(scene, 0), "it fails for its share, not for a part that is torn off"
    fewer = configured(min_refined_share=0.5).quality
    passing = replace(scene, verdict=replace(scene.verdict, passed=True))
    assert held_to_all(passing, fewer) == passing
    first, second = list(scene.torn)[:2]
    two = replace(passing, torn={first: "the first why: the first remedy", second: "another why: another remedy"})
    assert "the first why; the first remedy (refined share" in held_to_all(two, configured().quality).verdict.summary
    assert tried == [FRAMES, rest.sum()]
    names = np.array([frame.name for frame in scene.frames])
    assert names.tolist() == list(street.prediction.frames.names), "all frames stay in the scene"
    assert set(part) - {part[0], part[-1]} <= {*np.flatnonzero(~rest)} <= {*range(part[0] - 2, part[-1] + 3)}
    assert {scene.pose_source[k] for k in np.flatnonzero(~rest)} == {"unverified"}
    assert list(scene.unverified) == list(scene.torn) == names[~rest].tolist()
    (why,) = set(scene.unverified.values())
    assert why.startswith(
        "the points that this part and the rest both see do not fix how large it is: add images between"
    )
    first, last = names[~rest][[0, -1]]
    assert f"{(~rest).sum()} of {FRAMES} images left out, {first} to {last}: {why}" in scene.verdict.summary
    truth, found = street.cam_from_world[rest], scene.cam_from_world
    moved = align_cameras(found[rest], truth).apply_to_cameras(found[rest])
    assert rotation_angle_deg(moved[:, :, :3], truth[:, :, :3]).max() < 0.5
    assert np.linalg.norm(centres(moved) - centres(truth), axis=1).max() < 0.05
    assert scene.figures["rest_s"] > 0 and scene.figures["refined_frames"] == rest.sum()


def test_the_gate_that_chose_the_rest_is_asked_more_of_it_and_never_less_than_of_all() -> None:
    assert asked_of_rest(configured()).quality.min_points_across == 0.6
    assert asked_of_rest(configured(min_points_across=0.7)).quality.min_points_across == 0.7


def test_larger_places_come_first(street: Synthetic, refined: Refine, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Scene, Scene, int]] = []

    def recorded(whole: Scene, rest: Scene, place_from: int) -> Scene:
        given.append((whole, rest, place_from))
        return beside_the_rest(whole, rest, place_from)

    monkeypatch.setattr(refinement, "beside_the_rest", recorded)
    refined(street, {FRAMES: range(14, 20)}, configured(place_from=4))
    ((whole, rest, place_from),) = given
    other = ("a.png", "b.png", "c.png", "d.png")
    assert len(whole.torn) > len(other)
    found = beside_the_rest(whole, replace(rest, other_places=(other,)), place_from)
    assert found.other_places == (tuple(whole.torn), other)


def test_what_is_said_of_the_rest_is_said_of_its_own_frames(street: Synthetic, refined: Refine) -> None:
    """The part is the first of the frames, so that those of the rest have other numbers by themselves."""
    scene, _ = refined(street, {FRAMES: range(6)})
    tracks = scene.tracks
    errors = []
    for frame, mine in enumerate(tracks.by_frame(FRAMES)):
        pose, camera = scene.cam_from_world[frame], scene.cameras[scene.frames[frame].camera_id]
        points = tracks.points[tracks.observation_point[mine]] @ pose[:, :3].T + pose[:, 3]
        errors += np.linalg.norm(camera.project(points) - tracks.observation_xy[mine], axis=1).tolist()
    assert len(errors) == len(tracks.observation_frame) > 1000
    assert np.median(errors) < 2 * 3000 / 1600
    assert np.isfinite(scene.depth_scale).all()
    left_out = np.flatnonzero(~held(scene))
    steps = np.linalg.norm(np.diff(centres(scene.cam_from_world), axis=0), axis=1)
    assert np.median(steps[left_out[:-1]]) == pytest.approx(0.2 * np.median(steps[left_out[-1] + 1 :]), rel=0.3)


def test_a_scene_that_is_right_loses_nothing(street: Synthetic, refined: Refine) -> None:
    scene, tried = refined(street, {})
    assert tried == [FRAMES] and scene.verdict.passed, scene.verdict.summary
    assert held(scene).all() and not scene.torn and not scene.unverified
    assert next(gate.value for gate in scene.verdict.gates if gate.name == "points across") > 0.6


@pytest.mark.parametrize(("part", "least"), [(range(10, 20), 0.6), (range(14, 20), 0.8)])
def test_too_large_a_part_stays_and_the_whole_is_flagged(
    street: Synthetic, refined: Refine, part: range, least: float
) -> None:
    scene, tried = refined(street, {FRAMES: part}, configured(least_remaining=least))
    assert tried == [FRAMES] and not scene.verdict.passed
    assert "points across" in failed(scene) and held(scene).all() and not scene.unverified


def test_a_rest_that_does_not_pass_by_itself_is_no_scene(street: Synthetic, refined: Refine) -> None:
    scene, tried = refined(
        street, {FRAMES: range(14, 20)} | {count: range(count // 2, count) for count in range(10, 19)}
    )
    assert len(tried) == 2 and not scene.verdict.passed
    assert "points across" in failed(scene) and held(scene).all() and not scene.unverified


def test_two_parts_leave_one_after_the_other(street: Synthetic, refined: Refine) -> None:
    scene, tried = refined(street, {FRAMES: range(17, 20)} | {count: range(3) for count in range(16, 19)})
    assert failed(scene) == {"refined share"}, scene.verdict.summary
    assert len(tried) == 3 and list(scene.torn) == list(scene.unverified)
    left_out = np.flatnonzero(~held(scene)).tolist()
    assert {0, 1, 18, 19} <= {*left_out} <= {*range(6), *range(15, 20)}
    assert scene.verdict.summary.count("images left out") == 2


def test_eight_images_and_more_may_be_tried_as_a_data_set(street: Synthetic, refined: Refine) -> None:
    scene, _ = refined(street, {FRAMES: range(14, 20)}, configured(place_from=4))
    assert scene.other_places == (tuple(scene.torn),)
    assert "--split tries them as a data set" in scene.verdict.summary
    whole = replace(scene, torn=dict.fromkeys(scene.torn, "why"))
    assert "--split" not in said_of_part(whole, 8)
    poses_only = {f.name for f in scene.frames[-3:]}
    spared = replace(
        scene.prediction.frames, frames=tuple(replace(f, training=f.name not in poses_only) for f in scene.frames)
    )
    fewer = replace(whole, prediction=replace(scene.prediction, frames=spared))
    assert said_of_part(fewer, 8) == f"{len(scene.torn) - 3} of 17 images left out, {min(scene.torn)} to 016.png: why"
    assert said_of_part(replace(fewer, torn={"019.png": "why"}), 8) == ""


@pytest.mark.parametrize(("holds", "leaves"), [(6, True), (5, False)])
def test_the_rest_must_hold_its_share_of_the_images_by_its_own_solution(
    make_capture: Make, monkeypatch: pytest.MonkeyPatch, holds: int, leaves: bool
) -> None:
    capture = make_capture(frames=10, points=60)

    def judged(prediction: Prediction, *_: object) -> Scene:
        names, whole = prediction.frames.names, len(prediction.frames.frames) == 10
        gate = Gate("points across", 0.1 if whole else 0.9, ">=", 0.4, not whole, "")
        return replace(
            _prior_scene(prediction, configured(), "made"),
            pose_source=("refined",) * (10 if whole else holds) + ("none",) * (0 if whole else 8 - holds),
            verdict=Verdict(not whole, (gate,), "judged"),
            torn=dict.fromkeys(names[8:], "why"),
        )

    monkeypatch.setattr(refinement, "find_correspondences", lambda *_: capture.correspondences)
    monkeypatch.setattr(refinement, "refine_matched", judged)
    scene = refinement.run(capture.prediction, configured(), SilentProgress())
    assert not scene.verdict.passed and held(scene).sum() == (holds if leaves else 10)
    assert [name for name, why in scene.unverified.items() if why == "why"] == (
        ["008.png", "009.png"] if leaves else []
    )


def part_of(problem: Problem, estimate: Estimate) -> list[int]:
    kept = fit_points(problem, estimate, 1.0, 4.0).kept
    return np.flatnonzero(torn_part(problem, estimate, kept, configured())).tolist()


def test_frames_that_are_not_held_go_where_their_matches_lead(street: Synthetic) -> None:
    problem, estimate = street.problem(), torn(street.truth, range(14, 20))
    assert set(part_of(problem, estimate)) >= set(range(15, 20))
    lost = estimate.cam_from_world.copy()
    lost[[3, 18]] = np.nan
    part = part_of(problem, replace(estimate, cam_from_world=lost))
    assert 18 in part and 3 not in part
    ends = problem.matches.frames
    leads_there = problem.of_pairs(np.flatnonzero(~(ends == 12).any(axis=1) | (ends >= 14).any(axis=1)))
    assert 12 in part_of(leads_there, estimate), "it would match nothing that is left"
    assert 12 not in part_of(problem, estimate)


def test_given_poses_and_rigs_say_sizes_and_folds_are_no_matter_of_them(street: Synthetic) -> None:
    problem, estimate = street.problem(), torn(street.truth, range(14, 20))
    assert part_of(problem, estimate)
    assert not part_of(replace(problem, given_poses=True), estimate)
    folded = street.truth.cam_from_world.copy()
    folded[14:, 1, 3] += 2.0
    assert not part_of(problem, replace(street.truth, cam_from_world=folded))
