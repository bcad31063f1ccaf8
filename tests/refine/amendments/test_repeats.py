"""A front whose bays are the same to the last descriptor: only the prior knows which bay is which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.geometry import Camera, PixelMap, compose, invert
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.amendments import repeats as module
from da3_pipeline.refine.amendments.repeats import _everywhere, where_expected
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.refine.initialisation.candidates import Candidate, compete
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.matching.features import DESCRIPTOR_NORM, Features
from da3_pipeline.refine.matching.guided import Near, expected_xy
from da3_pipeline.refine.solve.problem import pose_problem
from da3_pipeline.types import CandidateScore, Frame, FrameSet, Prediction, PriorTrust

Float = NDArray[np.float64]
BAYS, BAY_M, DISTANCE_M, FRAMES = 14, 2.0, 6.0, 14
CAMERA = Camera.pinhole(640, 480, 500.0)
SMALL = 16  # pixels of a picture to one of its depth map
CONFIG = RefineConfig(threads=1, device="cpu")


def along_the_front(rotation_deg: float, position_m: float, seed: int = 0) -> tuple[Float, Float]:
    """(FRAMES, 3, 4) true poses in front of z = 0, looking along +z, and the same with independent errors."""
    rng = np.random.default_rng(seed)
    truth = np.tile(np.eye(4)[:3], (FRAMES, 1, 1))
    for pose, x in zip(truth, np.linspace(-5, 5, FRAMES), strict=True):
        pose[:, :3] = Rotation.from_rotvec(np.radians(rng.normal(0, 4, 3))).as_matrix()
        pose[:, 3] = -pose[:, :3] @ np.array([x, rng.normal(0, 0.3), -DISTANCE_M + rng.normal(0, 0.4)])
    prior = truth.copy()
    for pose in prior:
        centre = -pose[:, :3].T @ pose[:, 3] + rng.normal(0, position_m, 3)
        pose[:, :3] = Rotation.from_rotvec(np.radians(rng.normal(0, rotation_deg, 3))).as_matrix() @ pose[:, :3]
        pose[:, 3] = -pose[:, :3] @ centre
    return truth, prior


def prediction_of(prior: Float) -> Prediction:
    """With the depth of the plane z = 0 from the poses of the prior."""
    names = [f"{k}.png" for k in range(len(prior))]
    height, width = CAMERA.height // SMALL, CAMERA.width // SMALL
    column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    plane = CAMERA.unproject(SMALL * np.stack([column.ravel(), row.ravel()], 1))
    rays = np.concatenate([plane, np.ones((len(plane), 1))], 1)
    depth = [(-invert(pose)[2, 3] / (rays @ pose[:, 2])).reshape(height, width) for pose in prior]
    return Prediction(
        frames=FrameSet(tuple(Frame(n, Path(n), CAMERA.width, CAMERA.height, "camera", n) for n in names), ()),
        source="test",
        depth=np.stack(depth).astype(np.float32),
        conf=np.ones((len(prior), height, width), np.float32),
        cam_from_world=prior,
        cameras={"camera": CAMERA},
        view_intrinsics=np.tile(CAMERA.K, (len(prior), 1, 1)),
        pixel_maps=(PixelMap((SMALL, SMALL), (0.0, 0.0)),) * len(prior),
    )


def features_of(truth: Float, alike: bool, seed: int = 1) -> tuple[Features, ...]:
    """Of the same 60 points in every bay, with the same descriptors where bays are `alike`; 0.3 px of noise."""
    rng = np.random.default_rng(seed)
    bay = rng.uniform((0, -1.5, -0.3), (BAY_M, 1.5, 0.3), (60, 3))
    points = np.concatenate([bay + np.array([BAY_M * (k - BAYS / 2), 0, 0]) for k in range(BAYS)])
    codes = np.abs(rng.normal(size=(60, 128) if alike else (60 * BAYS, 128)))
    codes = np.tile(codes, (BAYS, 1)) if alike else codes
    found = []
    for pose in truth:
        xy = CAMERA.project(points @ pose[:, :3].T + pose[:, 3])
        seen = ((xy > 0) & (xy < (CAMERA.width, CAMERA.height))).all(1)
        values = codes[seen] + rng.normal(0, 0.05, (int(seen.sum()), 128))
        values *= DESCRIPTOR_NORM / np.linalg.norm(values, axis=1, keepdims=True)
        xy = xy[seen] + rng.normal(0, 0.3, (int(seen.sum()), 2))
        found.append(
            Features(xy.astype(np.float32), np.full(len(xy), 2, np.float32), np.round(values).astype(np.uint8))
        )
    return tuple(found)


def solved(truth: Float, prior: Float, alike: bool = True) -> tuple[Solution, Solution]:
    """Before, with no match at all, and after."""
    prediction = prediction_of(prior)
    nothing = Correspondences(features_of(truth, alike), ())
    problem = pose_problem(prediction, nothing, 1600)
    before = Solution(prediction, nothing, problem, compete(problem, CONFIG, SilentProgress()))
    return before, where_expected(before, CONFIG, SilentProgress())


def test_a_prior_that_is_better_than_the_period_tells_the_bays_apart() -> None:
    truth, prior = along_the_front(1.0, 0.1)
    before, after = solved(truth, prior)
    assert before.winner.score.score == 0
    assert after.search_radius is not None and after.winner.score.score > 0.95
    assert "things repeat here" in after.remarks[0]
    assert pose_errors(truth, after.winner.fit.estimate.cam_from_world).auc(1) > 95


@pytest.mark.parametrize(("off_deg", "asked"), [(11.0, True), (13.0, False)])
def test_a_prior_whose_rotations_are_refuted_is_not_asked(off_deg: float, asked: bool) -> None:
    truth, prior = along_the_front(1.0, 0.1)
    before, _ = solved(truth, prior)
    told = replace(before, trust=PriorTrust(poses=False, measured={"rotation_deg": off_deg}))
    assert (where_expected(told, CONFIG, SilentProgress()) is not told) == asked


def test_few_frames_are_never_sought_there() -> None:
    """Five pictures of a rendered front agreed on what a proven prior expected, a bay off, and passed at AUC@5 10."""
    truth, prior = (poses[::2] for poses in along_the_front(1.0, 0.1))
    before, after = solved(truth, prior)
    assert after is before
    proven = replace(before, trust=PriorTrust(poses=True))
    assert where_expected(proven, CONFIG, SilentProgress()) is proven


def test_bays_that_the_prior_confuses_disagree() -> None:
    """Errors as large as a bay: whatever comes of it does not reach what the verdict asks for."""
    truth, prior = along_the_front(3.0, 1.5)
    _, after = solved(truth, prior)
    assert after.winner.score.score < CONFIG.repeats.min_agreement


def test_a_prior_that_says_nothing_finds_nothing() -> None:
    truth, prior = along_the_front(120.0, 6.0)
    before, after = solved(truth, prior, alike=False)
    assert after is before


@given(st.floats(-30, 30), st.floats(-1, 1), st.floats(2, 9))
def test_the_expected_place_of_a_true_depth_is_the_true_place(angle_deg: float, shift: float, depth: float) -> None:
    second = np.concatenate(
        [Rotation.from_rotvec(np.radians([0, angle_deg, 0])).as_matrix(), [[shift], [0.2], [0.1]]], 1
    )
    poses = np.stack([np.eye(4)[:3], second])
    prediction = prediction_of(poses)
    flat = np.full_like(prediction.depth, depth)
    prediction = Prediction(**{**vars(prediction), "depth": flat})
    pixels = np.array([[100.0, 50.0], [320.0, 240.0], [600.0, 470.0], [-5.0, 10.0]])
    rays = np.concatenate([CAMERA.unproject(pixels), np.ones((4, 1))], 1)
    relative = compose(poses[1], invert(poses[0]))
    want = CAMERA.project(depth * rays @ relative[:, :3].T + relative[:, 3])
    found = expected_xy(prediction, 0, 1, pixels)
    np.testing.assert_allclose(found[:3], want[:3], atol=1e-3)
    assert np.isnan(found[3]).all(), "no depth is known outside the picture"


def test_behind_the_second_camera_nothing_is_expected() -> None:
    poses = np.stack([np.eye(4)[:3], np.concatenate([np.diag([-1.0, 1.0, -1.0]), np.zeros((3, 1))], 1)])
    assert np.isnan(expected_xy(prediction_of(poses), 0, 1, np.array([[320.0, 240.0]]))).all()


@pytest.mark.parametrize("radius_px, kept", [(4.0, []), (6.0, [True]), (1e9, [True])])
def test_near_keeps_what_ends_within_the_radius(radius_px: float, kept: list[bool]) -> None:
    near = Near(np.array([[np.nan, np.nan], [3.0, 4.0]]), radius_px)
    matches = np.array([[0, 0], [1, 0]], np.int32)
    assert near.keeps(matches, np.zeros((1, 2), np.float32)).tolist() == [False, bool(kept)]


@pytest.mark.parametrize("blank", ["no depth", "no pose", "given"])
def test_without_a_pose_and_depth_for_every_frame_nothing_is_sought(blank: str) -> None:
    truth, prior = along_the_front(1.0, 0.1)
    prediction = prediction_of(prior)
    if blank == "no depth":
        prediction.depth[3] = np.nan
    if blank == "no pose":
        prediction.cam_from_world[3, 0, 0] = np.nan
    nothing = Correspondences(features_of(truth, True), ())
    problem = replace(pose_problem(prediction, nothing, 1600), given_poses=blank == "given")
    before = Solution(prediction, nothing, problem)
    assert where_expected(before, CONFIG, SilentProgress()) is before


def test_near_depth_is_depth() -> None:
    """In a world whose unit is large all depth is under one."""
    prediction = prediction_of(along_the_front(1.0, 0.1)[1])
    assert _everywhere(replace(prediction, depth=prediction.depth / 100))


@pytest.mark.parametrize(
    ("before", "after", "taken"),
    [
        ((0.70, 1000), [(0.96, 600), (0.5, 600)], 0),
        ((0.70, 1000), [(0.85, 600), (0.90, 600)], 1),
        ((0.70, 1000), [(0.90, 600), (0.85, 600)], 0),
        ((0.70, 1000), [(0.79, 600), (0.79, 600)], None),
        ((0.75, 1000), [(0.84, 900), (0.84, 900)], None),
        ((0.70, 1000), [(0.96, 360), (0.96, 360)], None),
        ((0.80, 1000), [(0.96, 900), (0.96, 900)], None),
    ],
    ids=["at once", "the second", "the first", "under the gate", "no clear margin", "too few", "good already"],
)
def test_what_explains_more_by_a_margin_wins(
    monkeypatch: pytest.MonkeyPatch, before: tuple[float, int], after: list[tuple[float, int]], taken: int | None
) -> None:
    """Scores and numbers of matches, without and with the two radii."""
    truth, prior = along_the_front(1.0, 0.1)
    prediction, nothing = prediction_of(prior), Correspondences(features_of(truth, True), ())
    problem = pose_problem(prediction, nothing, 1600)
    told = iter(after)

    def of(score: float, count: int) -> dict[str, Any]:
        pair = np.zeros(count, np.int64)
        matches = replace(problem.matches, pair=pair)
        scored = Candidate(None, CandidateScore("made", score, score, 10, 0.3, 0.0), 0.9)  # type: ignore[arg-type]
        return {"problem": replace(problem, matches=matches), "candidates": (scored,)}

    given = Solution(prediction, nothing, **of(*before))
    monkeypatch.setattr(module, "find_where_expected", lambda *_: nothing)
    monkeypatch.setattr(Solution, "restated", lambda self, *_, **__: replace(self, **of(*next(told))))
    monkeypatch.setattr(module, "compete", lambda problem, *_: candidates_of[len(problem.matches)].pop(0))
    candidates_of: dict[int, list[Any]] = {}
    for score, count in after:
        candidates_of.setdefault(count, []).append(of(score, count)["candidates"])
    found = where_expected(given, CONFIG, SilentProgress())
    if taken is None:
        assert found is given
    else:
        assert found.search_radius == CONFIG.repeats.radii[taken]
        assert found.winner.score.score == after[taken][0] and len(found.remarks) == 1
