"""Captures of things that repeat: matches that no solution explains are sought anew where the prior expects them.

Bays of a facade or rows of chairs match each other as well as themselves. The wrong matches are consistent pair by
pair, so that verification keeps them, and it is the true ones that are missing. A prior whose errors are small beside
the distance from copy to copy says where to look; whether it was right is left to the agreement of what is found.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...progress import Progress
from ...types import Prediction
from ..config import RefineConfig
from ..initialisation.candidates import compete
from ..matching.correspondences import find_where_expected
from .solution import Solution

__all__ = ["where_expected"]


def where_expected(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution, or a better one from matches near where the prior expects them.

    Tried where it would not pass the gate on agreement and the prior has a pose and depth for every frame. The other
    wins when it passes that gate, by a clear margin, and does not explain much less in number: a prior that says
    nothing brings forth few matches, and those do not agree. Of few frames they agree whatever the prior said: five of
    a front of equal bays, whose prior had proved its poses, agreed to 0.99 a bay off. A prior whose rotations the
    matches refute is not asked: on a front, matches that are bays off tell rotations all the same.
    """
    repeats, gate = config.repeats, config.quality.min_agreement
    if solution.problem.given_poses or _score(solution) >= gate or not _everywhere(solution.prediction):
        return solution
    if solution.problem.num_frames <= config.quality.few_views or _refuted(solution, config):
        return solution
    best = solution
    for radius in repeats.radii:
        features = solution.correspondences.features
        other = solution.restated(
            config,
            correspondences=find_where_expected(solution.prediction, features, radius, config, progress),
        )
        other = replace(
            other, candidates=compete(other.problem, config, progress, other.trust, other.frames), search_radius=radius
        )
        clear = _score(other) >= max(gate, _score(solution) + repeats.margin)
        enough = _explained(other) >= repeats.least_explained * _explained(solution)
        if clear and enough and _score(other) > _score(best):
            best = other
        if _score(best) >= config.solve.convincing_score:
            break
    if best is solution:
        return solution
    return best.saying({}, "things repeat here, and the prior says which is which")


def _refuted(solution: Solution, config: RefineConfig) -> bool:
    """Whether the prior's rotations are known to be wrong."""
    off_deg = solution.trust.measured.get("rotation_deg")
    return off_deg is not None and off_deg > config.initialisation.trust.most_rotation_deg


def _score(solution: Solution) -> float:
    return solution.winner.score.score if solution.candidates else 0.0


def _explained(solution: Solution) -> float:
    """Number of matches that agree with the winner."""
    return _score(solution) * len(solution.problem.matches)


def _everywhere(prediction: Prediction) -> bool:
    posed = np.isfinite(prediction.cam_from_world).all()
    return bool(posed and all((depth > 0).any() for depth in prediction.depth))
