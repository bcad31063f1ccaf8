"""GPS in the last adjustment: a long drifting capture is straightened; false positions change nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from da3_pipeline.benchmark.refinement.synthetic_problem import ProblemSize, synthetic_problem
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise
from da3_pipeline.geometry import PixelMap, Sim3, centres, nearest_rotation, umeyama
from da3_pipeline.geometry.geodesy import GpsPosition
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.amendments.gps import _moved, _off_deg, _off_m, with_gps
from da3_pipeline.refine.amendments.solution import Solution
from da3_pipeline.refine.initialisation.candidates import Candidate
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import refine_estimate
from da3_pipeline.types import CandidateScore, Frame, FrameSet, Prediction

Float = NDArray[np.float64]

METRES = 10.0  # of a unit of the walk
ENU = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # from x right, y down, z ahead


@dataclass(frozen=True)
class Walk:
    """A solved walk of which only the next few frames see the same: it drifts. metres (N, 3): the true places."""

    problem: Problem
    winner: Candidate
    metres: Float

    def off_m(self, candidate: Candidate) -> float:
        """RMS distance from the truth after the best similarity."""
        found = centres(candidate.fit.estimate.cam_from_world)
        residual = umeyama(found, self.metres).apply(found) - self.metres
        return float(np.sqrt((residual**2).sum(axis=1).mean()))

    def with_positions(
        self, metres: Float, sigma_m: float | None = None, ups: Float | None = None
    ) -> tuple[Candidate, dict[str, float]]:
        transform = pycolmap.GPSTransform(pycolmap.GPSTransformEllipsoid.WGS84)
        rows = transform.enu_to_ellipsoid(metres, 46.8, -91.9, 200.0)
        frames = [
            Frame(str(k), Path(str(k)), 1024, 768, "camera", str(k), gps=GpsPosition(*map(float, row), sigma_m))
            for k, row in enumerate(rows)
        ]
        if ups is not None:
            frames = [replace(f, up_in_camera=tuple(up)) for f, up in zip(frames, ups.tolist(), strict=True)]
        amended = with_gps(self.solution(frames), RefineConfig(), SilentProgress())
        return amended.winner, amended.figures

    def solution(self, frames: list[Frame]) -> Solution:
        count = len(frames)
        prior, small = self.problem.prior, np.ones((count, 2, 2), np.float32)
        maps = (PixelMap((512.0, 384.0), (0.0, 0.0)),) * count
        intrinsics = np.tile(np.eye(3), (count, 1, 1))
        prediction = Prediction(
            FrameSet(tuple(frames), ()), "made", small, small, prior.cam_from_world, prior.cameras, intrinsics, maps
        )
        return Solution(prediction, Correspondences((), ()), self.problem, (self.winner,))


@pytest.fixture(scope="module")
def walk() -> Walk:
    """Two thirds of the way around a block, with a tenth of the tracks and three times the noise."""
    whole, frames = synthetic_problem(ProblemSize(180), "walk", PriorNoise(0.0, 0.0, 0.0), 0), 120
    rng, problem, truth = np.random.default_rng(5), whole.problem, whole.cam_from_world[:120]
    seen = problem.observations.subset(problem.observations.frame < frames)
    seen = seen.subset((rng.random(seen.num_tracks) < 0.1)[seen.track])
    seen = seen.subset(np.arange(len(seen)) - np.searchsorted(seen.track, seen.track) < 4)
    seen = replace(seen, xy=seen.xy + rng.normal(0, 1.5, seen.xy.shape))
    matches = problem.matches
    kept = (matches.frames < frames).all(axis=1)
    mine = kept[matches.pair]
    matches = replace(
        matches,
        pair=matches.pair[mine],
        frames=matches.frames[kept],
        xy_first=matches.xy_first[mine],
        xy_second=matches.xy_second[mine],
        fundamental=matches.fundamental[kept],
        homography_share=matches.homography_share[kept],
    )
    problem = replace(
        problem,
        observations=seen,
        matches=matches,
        camera_index=problem.camera_index[:frames],
        prior=Estimate(truth, whole.cameras),
        scale=problem.scale[:frames],
        size_px=problem.size_px[:frames],
    )
    fit = refine_estimate(problem, problem.prior, RefineConfig().solve, 0)
    score = CandidateScore("prior", 1.0, 1.0, frames, fit.median_px, 0.0)
    return Walk(problem, Candidate(fit, score, 1.0), METRES * centres(truth) @ ENU.T)


@pytest.mark.parametrize("stated", [None, 2.0])
def test_positions_off_by_two_metres_straighten_a_drifting_walk(walk: Walk, stated: float | None) -> None:
    noise = np.random.default_rng(1).normal(0, 2.0, walk.metres.shape)
    found, figures = walk.with_positions(walk.metres + noise, stated)
    assert figures["gps_in_adjustment"] > 80
    assert walk.off_m(found) < 0.6 * walk.off_m(walk.winner)
    # East, north and up, in metres, of an origin in the middle: no further rotation or scale is needed.
    offset = centres(found.fit.estimate.cam_from_world) - walk.metres
    assert np.linalg.norm(offset - offset.mean(axis=0), axis=1).mean() < 4.0


def told_by_gimbals(walk: Walk, kind: str) -> Float:
    rng = np.random.default_rng(1)
    rotations = walk.problem.prior.cam_from_world[:, :, :3]
    turned = np.array([cv2.Rodrigues(np.radians(0.7) * rng.normal(size=3))[0] for _ in rotations])
    ups = -(turned @ rotations)[:, :, 1]
    anyhow = nearest_rotation(rng.normal(size=(len(ups), 3, 3)))[:, 0]
    aslant = cv2.Rodrigues(np.radians([0.0, 0.0, 45.0]))[0]
    return {"right": ups, "anyhow": anyhow, "aslant": ups @ aslant.T}[kind]


def test_gimbals_straighten_what_bad_heights_leave_bent(walk: Walk) -> None:
    positions = walk.metres + np.random.default_rng(1).normal(0, 1, walk.metres.shape) * [2, 2, 15]
    without, _ = walk.with_positions(positions)
    found, figures = walk.with_positions(positions, ups=told_by_gimbals(walk, "right"))
    assert figures["gimbals_in_adjustment"] == len(positions)
    assert walk.off_m(found) < 0.5 * walk.off_m(without)


@pytest.mark.parametrize("kind", ["anyhow", "aslant"])
def test_gimbals_that_contradict_gps_have_no_say(kind: str, walk: Walk) -> None:
    positions = walk.metres + np.random.default_rng(1).normal(0, 2.0, walk.metres.shape)
    found, figures = walk.with_positions(positions, ups=told_by_gimbals(walk, kind))
    assert figures["gps_in_adjustment"] > 80 and figures["gimbals_in_adjustment"] == 0
    assert walk.off_m(found) < 0.6 * walk.off_m(walk.winner)


def test_a_minority_of_false_positions_has_no_say(walk: Walk) -> None:
    rng = np.random.default_rng(2)
    false = rng.random(len(walk.metres)) < 0.2
    positions = walk.metres + rng.normal(0, 2.0, walk.metres.shape)
    positions[false] += rng.normal(0, 400.0, (int(false.sum()), 3))
    found, _ = walk.with_positions(positions)
    assert walk.off_m(found) < walk.off_m(walk.winner)


@pytest.mark.parametrize("kind", ["anywhere", "shuffled", "one place", "hardly any"])
def test_positions_that_fit_nothing_change_nothing(kind: str, walk: Walk) -> None:
    rng = np.random.default_rng(3)
    positions = {
        "anywhere": rng.normal(0, 200.0, walk.metres.shape),
        "shuffled": rng.permutation(walk.metres),
        "one place": np.tile(walk.metres[:1], (len(walk.metres), 1)),
        "hardly any": np.repeat(walk.metres[::15], 15, axis=0)[: len(walk.metres)],
    }[kind]
    found, figures = walk.with_positions(positions)
    assert found is walk.winner
    assert figures.get("gps_in_adjustment", 0.0) == 0.0


def test_a_capture_that_does_not_drift_is_left_alone() -> None:
    """Many long tracks: positions with errors of metres that wander have nothing to add."""
    whole = synthetic_problem(ProblemSize(40), "orbit", PriorNoise(0.0, 0.0, 0.0), 0)
    fit = refine_estimate(whole.problem, whole.problem.prior, RefineConfig().solve, 0)
    orbit = Walk(
        whole.problem,
        Candidate(fit, CandidateScore("prior", 1.0, 1.0, 40, fit.median_px, 0.0), 1.0),
        METRES * centres(whole.cam_from_world) @ ENU.T,
    )
    rng = np.random.default_rng(4)
    wandering = np.cumsum(rng.normal(0, 0.7, orbit.metres.shape), axis=0)
    found, figures = orbit.with_positions(orbit.metres + wandering)
    assert found is orbit.winner
    assert figures["gps_in_adjustment"] == 0.0


def test_positions_are_off_by_their_horizontal_distance(walk: Walk) -> None:
    """Of the used ones among those that are asked about: 5 m, whatever the height."""
    estimate = walk.problem.prior
    located = np.arange(120) % 2 == 0
    metres = centres(estimate.cam_from_world)[located] - np.array([3.0, -4.0, 50.0])
    metres[0] += 1000.0
    fit: Any = SimpleNamespace(metres=metres, used=np.arange(60) > 0)
    assert _off_m(estimate, fit, located, np.ones(120, bool)) == pytest.approx(5.0)
    assert np.isnan(_off_m(estimate, fit, located, ~located))
    metres[30:] -= [0.0, 16.0, 0.0]
    assert _off_m(estimate, fit, located, np.arange(120) >= 60) == pytest.approx(np.hypot(3, 12))


def test_ups_are_off_by_their_angle_to_the_vertical(walk: Walk) -> None:
    level = walk.problem.prior.cam_from_world[:, :, 2]
    aside = walk.problem.prior.cam_from_world[:, :, 0]
    angle = np.radians(30.0)
    ups = np.concatenate([level[:40], np.cos(angle) * level[40:80] + np.sin(angle) * aside[40:80], -level[80:]])
    ups[5] = np.nan
    off = _off_deg(walk.problem.prior, ups)
    assert np.isnan(off[5])
    np.testing.assert_allclose(np.delete(off, 5), np.repeat([0.0, 30.0, 180.0], [39, 40, 40]), atol=1e-5)


@pytest.mark.parametrize(("degrees", "believed"), [(25.0, True), (35.0, False)])
def test_gimbals_level_a_scene_that_positions_tilt_by_thirty_degrees_at_most(
    walk: Walk, degrees: float, believed: bool
) -> None:
    """However far that takes it from its positions."""
    config = RefineConfig(gps={"levelling_cost": 1e9})
    estimate, located = walk.problem.prior, np.ones(120, bool)
    lean = cv2.Rodrigues(np.radians([degrees, 0.0, 0.0]))[0]
    tilted = Sim3(METRES, lean @ ENU, np.zeros(3))
    fit: Any = SimpleNamespace(alignment=SimpleNamespace(enu_from_scene=tilted), metres=walk.metres, used=located)
    ups = -estimate.cam_from_world[:, :, 1]  # y of the walk points down
    moved, told = _moved(estimate, fit, located, ups, config)
    vertical = (moved.cam_from_world[:, :, 2] * ups).sum(axis=1)
    np.testing.assert_allclose(vertical, 1.0 if believed else np.cos(np.radians(degrees)), atol=1e-9)
    assert np.isfinite(told).all() if believed else np.isnan(told).all()
