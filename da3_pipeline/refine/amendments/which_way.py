"""Which way a device was turned, where EXIF does not say: the way in which its pictures have one centre.

A lens's centre is off the middle by a hundredth of the picture or so, and turns with the device. Turned the wrong way
it is twice as far off, so that it stays in the middle until matches have told.
"""

from __future__ import annotations

from dataclasses import replace

from ...progress import Progress
from ..config import RefineConfig
from ..solve.lenses import Lenses
from ..solve.problem import rigs_in_world
from ..solve.rounds import Fit, fit_points, polish
from ..solve.score import match_errors_px, precision
from .solution import Solution, thinned

__all__ = ["turned_as_matches_say"]


def turned_as_matches_say(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution with a free centre for lenses that were turned nobody knew how, where one way is more exact than the
    other and than the centre in the middle."""
    problem = solution.problem
    lenses = problem.lenses
    if lenses is None or (problem.given_poses and config.solve.keeps_poses):
        return solution
    for first in sorted(lenses.uncertain):
        ways = [_looked(solution, way, config) for way in _ways(lenses, first)]
        exact = [_precision(way) for way in ways]
        better = ways[exact.index(max(exact))]
        if max(exact) > max(min(exact), _precision(solution)) + config.solve.way_gain:
            solution, lenses = better, better.problem.lenses or lenses
    return solution


def _ways(lenses: Lenses, first: str) -> list[Lenses]:
    """The lens of `first`, its cameras turned as they are taken to be, and half a turn further; both for certain."""
    return [
        Lenses(
            {
                name: replace(view, quarters=(view.quarters + half) % 4, certain=True)
                if view.of == first and not view.certain
                else view
                for name, view in lenses.views.items()
            }
        )
        for half in (0, 2)
    ]


def _looked(solution: Solution, lenses: Lenses, config: RefineConfig) -> Solution:
    """Polished with these lenses."""
    problem = replace(solution.problem, lenses=lenses)
    few, estimate, solve = thinned(problem, config), solution.winner.fit.estimate, config.solve
    fit: Fit = fit_points(few, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    rigs = rigs_in_world(problem, estimate)
    return replace(solution, problem=problem).won_by(polish(few, fit, solve, solution.winner.held_by, rigs))


def _precision(solution: Solution) -> float:
    return precision(match_errors_px(solution.problem, solution.winner.fit.estimate))
