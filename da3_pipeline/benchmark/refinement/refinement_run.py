"""One refinement of a prior, judged against the truth: pose accuracy, processor seconds, and every candidate."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...arrays import Float
from ...geometry.metrics.poses import pose_errors
from ...progress import SilentProgress
from ...quiet import quiet_colmap
from ...refine import RefineConfig
from ...refine.initialisation.candidates import compete
from ...refine.matching.correspondences import Correspondences, find_correspondences
from ...refine.refinement import refine_matched
from ...refine.solve.problem import pose_problem
from ...types import Prediction, Scene
from ..truth.pose_score import PoseScore, score_poses
from ..truth.verdicts import JudgedVerdict, what_is_wrong
from .candidate_order import CandidateResult

__all__ = ["Contest", "CpuSeconds", "RefinementRun", "cpu_s", "refine_against_truth"]

Contest = Literal["none", "as run", "all"]


@dataclass(frozen=True)
class CpuSeconds:
    """Processor seconds of all threads: features (the same whatever the prior), pairs with verification, the rest."""

    features: float
    matching: float
    adjustment: float


@dataclass(frozen=True)
class RefinementRun:
    """score: of the scene's poses. sources: frames by where theirs came from.

    wrong: why its poses are not right, '' where they are (see `what_is_wrong`). candidates: best ranked first.
    """

    score: PoseScore
    sources: dict[str, int]
    passed: bool
    verdict: str
    wrong: str
    cpu: CpuSeconds
    candidates: tuple[CandidateResult, ...]

    def judged(self, run: str) -> JudgedVerdict:
        """Its verdict against the truth, under the name of the run."""
        return JudgedVerdict(run, self.score.images, self.wrong, self.passed, self.verdict)


def refine_against_truth(
    prediction: Prediction, truth: Float, config: RefineConfig, contest: Contest = "as run"
) -> RefinementRun:
    """The same steps as `refine.run`, metered, and the candidates' poses against `truth` (N, 3, 4).

    The candidates compete once more, off the meter, for their poses; in the contest of "all" every start is tried,
    also those that the run did not need.
    """
    clock = _FeatureClock()
    with quiet_colmap():
        began_s = cpu_s()
        correspondences = find_correspondences(prediction, config, clock)
        matched_s = cpu_s()
        scene = refine_matched(prediction, correspondences, config, SilentProgress())
        adjusted_s = cpu_s()
        contestants = _uncut(config) if contest == "all" else config
        candidates = () if contest == "none" else _candidates(prediction, correspondences, truth, contestants)
    cpu = CpuSeconds(clock.features_s, matched_s - began_s - clock.features_s, adjusted_s - matched_s)
    return _judged(scene, truth, cpu, candidates)


def cpu_s() -> float:
    """Processor seconds of this process, all threads, and of its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _FeatureClock(SilentProgress):
    """Processor seconds from its creation to the last step of feature extraction."""

    def __init__(self) -> None:
        self._began_s = cpu_s()
        self.features_s = 0.0

    def step(self, done: int, total: int, note: str = "") -> None:
        if note == "features":
            self.features_s = cpu_s() - self._began_s


def _uncut(config: RefineConfig) -> RefineConfig:
    """No candidate convinces before all have been tried."""
    return config.model_copy(
        update={"solve": config.solve.model_copy(update={"convincing_score": 1.0, "desperate_score": 1.0})}
    )


def _candidates(
    prediction: Prediction, correspondences: Correspondences, truth: Float, config: RefineConfig
) -> tuple[CandidateResult, ...]:
    problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    return tuple(
        CandidateResult(
            candidate.score.name,
            candidate.score.score,
            candidate.score.precision,
            candidate.score.median_error_px,
            pose_errors(truth, candidate.fit.estimate.cam_from_world).auc(5),
        )
        for candidate in compete(problem, config, SilentProgress())
    )


def _judged(scene: Scene, truth: Float, cpu: CpuSeconds, candidates: tuple[CandidateResult, ...]) -> RefinementRun:
    return RefinementRun(
        score=score_poses(truth, scene.cam_from_world),
        sources=dict(Counter(scene.pose_source)),
        passed=scene.verdict.passed,
        verdict=scene.verdict.summary,
        wrong=what_is_wrong(truth, _in_data_set(scene)),
        cpu=cpu,
        candidates=candidates,
    )


def _in_data_set(scene: Scene) -> Float:
    """(N, 3, 4) poses that something beside the prior speaks for, NaN elsewhere: the others are not exported."""
    verified = np.array([source in ("refined", "guided") for source in scene.pose_source])
    return np.where(verified[:, None, None], scene.cam_from_world, np.nan)
