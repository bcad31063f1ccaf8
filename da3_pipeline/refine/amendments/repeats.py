"""Captures of things that repeat: matches that no solution explains are sought anew where the prior expects them.

Bays of a facade or rows of chairs match each other as well as themselves. The wrong matches are consistent pair by
pair, so that verification keeps them, and it is the true ones that are missing. A prior whose errors are small beside
the distance from copy to copy says where to look; whether it was right is left to the agreement of what is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...progress import Progress
from ...types import Prediction
from ..config import RefineConfig
from ..initialisation.candidates import Candidate, compete
from ..matching.correspondences import Correspondences, find_where_expected
from ..solve.problem import Problem, pose_problem

__all__ = ["Solution", "where_expected"]


@dataclass(frozen=True)
class Solution:
    """Matches, the problem that they pose, and the candidates that competed, the winner first.

    radius: within what share of the image's longer side of the expected place they were sought; None: everywhere.
    """

    correspondences: Correspondences
    problem: Problem
    candidates: tuple[Candidate, ...]
    radius: float | None = None

    @property
    def score(self) -> float:
        return self.candidates[0].score.score if self.candidates else 0.0

    @property
    def explained(self) -> float:
        """Number of matches that agree with the winner."""
        return self.score * len(self.problem.matches)


def where_expected(found: Solution, prediction: Prediction, config: RefineConfig, progress: Progress) -> Solution:
    """`found`, or a better solution from matches near where the prior expects them.

    Tried where `found` would not pass the gate on agreement and the prior has a pose and depth for every frame. It
    wins when it passes that gate, by a clear margin, and does not explain much less in number: a prior that says
    nothing brings forth few matches, and those do not agree.
    """
    repeats, gate = config.repeats, config.quality.min_agreement
    if found.problem.given_poses or found.score >= gate or not _everywhere(prediction):
        return found
    best = found
    for radius in repeats.radii:
        features = found.correspondences.features
        correspondences = find_where_expected(prediction, features, radius, config, progress)
        problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
        other = Solution(correspondences, problem, compete(problem, config, progress), radius)
        clear = other.score >= max(gate, found.score + repeats.margin)
        if clear and other.explained >= repeats.least_explained * found.explained and other.score > best.score:
            best = other
        if best.score >= config.solve.convincing_score:
            break
    return best


def _everywhere(prediction: Prediction) -> bool:
    posed = np.isfinite(prediction.cam_from_world).all()
    return bool(posed and all((depth > 0).any() for depth in prediction.depth))
