"""The contest, and when it is held again on other terms: one lens taken for two cameras, EXIF's focal length not
believed. Once more costs as much as before, so that it is asked for by what the matches do not agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...progress import Progress
from ..config import RefineConfig
from ..initialisation.candidates import compete
from ..initialisation.prior_trust import measure_trust
from .lenses.exif_focal import doubted, without_exif
from .lenses.zoom import with_lenses_apart
from .solution import Solution

__all__ = ["believing", "solved"]


def believing(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """With what the prior has proved on this capture."""
    start = config.initialisation
    trust = measure_trust(solution.problem, solution.prediction, start.trust, start.two_view, config.seed)
    return replace(solution, trust=trust).saying({f"prior_{name}": value for name, value in trust.measured.items()})


def solved(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """With the candidates that competed; on other terms where those leave matches unexplained and others more exact."""
    best = _competed(solution, config, progress)
    if not best.candidates or best.problem.given_poses:
        return best
    for terms in (_apart, _without_exif, with_lenses_apart):
        if best.winner.score.score >= config.solve.convincing_score:
            break
        for other in terms(best, config, progress):
            other = _competed(other, config, progress)
            gain = other.winner.score.precision - best.winner.score.precision if other.candidates else 0.0
            if gain > config.solve.other_terms_gain:
                best = other
    return best


def _competed(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    return replace(solution, candidates=compete(solution.problem, config, progress, solution.trust, solution.frames))


def _apart(solution: Solution, config: RefineConfig, progress: Progress) -> Iterator[Solution]:
    """Cameras that are said to be one lens as several."""
    if solution.problem.lenses is not None:
        yield replace(solution, problem=replace(solution.problem, lenses=None))


def _without_exif(solution: Solution, config: RefineConfig, progress: Progress) -> Iterator[Solution]:
    """Without EXIF's focal lengths that something speaks against, and with what the prior proves then."""
    names = doubted(solution, config)
    if names:
        problem = without_exif(solution.problem, solution.prediction, names, config)
        yield believing(replace(solution, problem=problem), config, progress)
