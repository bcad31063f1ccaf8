"""What amendments amend: a stated problem with its candidates; and how a changed winner is settled again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...arrays import Bool, Int
from ...progress import Progress
from ...types import Frame, Prediction, PriorTrust
from ..config import RefineConfig
from ..initialisation.candidates import Candidate
from ..matching.correspondences import Correspondences
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem, pose_problem, rigs_in_world
from ..solve.rounds import Fit, resettle
from ..solve.tracks import spread_subset

__all__ = ["Amendment", "Solution", "settle", "thinned"]


@dataclass(frozen=True)
class Solution:
    """A refinement under way.

    problem: stated from `prediction` and `correspondences`. candidates: those that competed for it, the winner first;
    empty before the contest, or where nothing could be solved. figures: for the report. remarks: clauses for the
    verdict's summary. search_radius: within what share of an image's longer side of where the prior expects them
    matches were sought; None: everywhere. trust: in the prior, measured before anything is built on it.
    """

    prediction: Prediction
    correspondences: Correspondences
    problem: Problem
    candidates: tuple[Candidate, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    search_radius: float | None = None
    trust: PriorTrust = field(default_factory=PriorTrust)

    @property
    def frames(self) -> tuple[Frame, ...]:
        return self.prediction.frames.frames

    @property
    def winner(self) -> Candidate:
        return self.candidates[0]

    def restated(
        self, config: RefineConfig, prediction: Prediction | None = None, correspondences: Correspondences | None = None
    ) -> Solution:
        """From another reading of the prior's poses, or from other matches; nothing has competed for it yet."""
        prediction = prediction or self.prediction
        correspondences = self.correspondences if correspondences is None else correspondences
        problem = pose_problem(prediction, correspondences, config.features.max_long_side_px, config.solve.lens)
        problem = replace(
            problem,
            lenses=self.problem.lenses,
            exif_focal_px=self.problem.exif_focal_px,
            prior=replace(problem.prior, cameras=self.problem.prior.cameras),
        )
        return replace(self, prediction=prediction, correspondences=correspondences, problem=problem, candidates=())

    def regrouped(self, camera_ids: dict[int, str], config: RefineConfig) -> Solution:
        """With frames, by number, of these cameras, each as its frames' old one was predicted; nothing has competed yet
        for it."""
        frames = tuple(
            replace(frame, camera_id=camera_ids[k], lens=None) if k in camera_ids else frame
            for k, frame in enumerate(self.frames)
        )
        predicted = self.prediction.cameras
        own = {new.camera_id: predicted[old.camera_id] for new, old in zip(frames, self.frames, strict=True)}
        chosen = replace(self.prediction.frames, frames=frames)
        prediction = replace(self.prediction, frames=chosen, cameras=own)
        problem = pose_problem(prediction, self.correspondences, config.features.max_long_side_px, config.solve.lens)
        told = {name: px for name, px in problem.exif_focal_px.items() if name in self.problem.exif_focal_px}
        problem = replace(problem, exif_focal_px=told)
        return replace(self, prediction=prediction, problem=problem, candidates=())

    def a_camera_each(self, frames: Int) -> dict[int, str]:
        """New camera ids for frames of these numbers."""
        return {k: f"{self.frames[k].camera_id} {self.frames[k].name}" for k in frames.tolist()}

    def estimate_of(self, regrouped: Solution) -> Estimate:
        """The winner's estimate with the cameras of another grouping."""
        refined, pairs = self.winner.fit.estimate, zip(regrouped.frames, self.frames, strict=True)
        return replace(refined, cameras={new.camera_id: refined.cameras[old.camera_id] for new, old in pairs})

    def won_by(self, fit: Fit, figures: dict[str, float] | None = None) -> Solution:
        """With the winner's fit replaced."""
        winner = replace(self.winner, fit=fit)
        return replace(self, candidates=(winner, *self.candidates[1:]), figures=self.figures | (figures or {}))

    def saying(self, figures: dict[str, float], *remarks: str) -> Solution:
        """With further figures and remarks."""
        return replace(self, figures=self.figures | figures, remarks=(*self.remarks, *remarks))


Amendment = Callable[[Solution, RefineConfig, Progress], Solution]
"""What one kind of knowledge does to a solution; returns it as it is where the knowledge is absent or does not help."""


def thinned(problem: Problem, config: RefineConfig) -> Problem:
    """The problem with about `observations_per_frame` of its observations in every frame."""
    few = spread_subset(problem.observations, config.solve.observations_per_frame, problem.size_px)
    return problem.with_observations(few)


def settle(
    problem: Problem,
    estimate: Estimate,
    config: RefineConfig,
    priors: Priors | None = None,
    fixed: Bool | None = None,
) -> Fit:
    """A changed estimate adjusted anew to the thinned observations, `priors` in its world, its rigs together.

    Poses that are `fixed` (N,) stay."""
    rigs = rigs_in_world(problem, estimate)
    if rigs is not None and fixed is None:
        estimate = replace(estimate, cam_from_world=rigs.completed(estimate.cam_from_world))
    return resettle(problem, estimate, config.solve, priors, rigs, fixed)
