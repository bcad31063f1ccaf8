"""How the steps of the solve grow with a capture: processor seconds and memory of each, and the exponent of growth."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ...arrays import Bool, Float
from ...geometry.robust_alignment import robust_alignment
from ...metering import Meter
from ...quiet import quiet_colmap
from ...refine.config import AdjustmentConfig, SolveConfig
from ...refine.solve.adjustment import Adjustment, adjust
from ...refine.solve.components import rigid_components
from ...refine.solve.registration import dependable_points, strays
from ...refine.solve.score import frame_agreement, match_errors_px
from ...refine.solve.tracks import spread_mask
from ...refine.solve.triangulation import ray_spread_deg, reprojection_errors, triangulate, world_rays
from ...refine.verdict.evidence import image_motion
from ...refine.verdict.folds import weakest_cut
from ...refine.verdict.gates import cells_covered
from .synthetic_problem import SyntheticProblem

__all__ = ["parts_of", "time_parts"]

_THREE_STEPS = Adjustment(1.0, AdjustmentConfig(), max_iterations=3, function_tolerance=1e-12)
_LEAST_TIMED_S = 0.05


def parts_of(case: SyntheticProblem) -> dict[str, Callable[[], Any]]:
    """The steps by name, each ready to be called on this problem under its true cameras."""
    problem, truth, config = case.problem, case.truth, SolveConfig()
    observations, everyone = problem.observations, np.ones(problem.num_frames, bool)
    points = triangulate(problem, truth, observations)
    errors_px = reprojection_errors(problem, truth, points, observations)
    kept = errors_px < config.strict_gate_px
    origins, _ = world_rays(problem, truth, observations)
    scored_px = match_errors_px(problem, truth)
    return {
        "thinning": lambda: spread_mask(observations, config.observations_per_frame, problem.size_px),
        "triangulation": lambda: triangulate(problem, truth, observations),
        "reprojection": lambda: reprojection_errors(problem, truth, points, observations),
        "ray spread": lambda: ray_spread_deg(observations, origins, points, kept),
        "score": lambda: match_errors_px(problem, truth),
        "agreement by frame": lambda: frame_agreement(problem, scored_px),
        "weakest cut": lambda: weakest_cut(problem, scored_px, everyone),
        "components": lambda: rigid_components(observations.subset(kept), problem.num_frames, config.min_shared_points),
        "strays": lambda: strays(problem, truth, errors_px, config.strict_gate_px, config.registration),
        "dependable points": lambda: dependable_points(problem, truth, config.strict_gate_px, config.registration),
        "image motion": lambda: image_motion(problem),
        "cells covered": lambda: cells_covered(observations.frame, observations.xy, problem.size_px),
        "robust alignment": lambda: robust_alignment(problem.prior.cam_from_world, truth.cam_from_world),
        "adjustment, 3 steps": lambda: _adjusted(case, points, kept),
    }


def time_parts(case: SyntheticProblem, repeats: int) -> dict[str, dict[str, Any]]:
    """For every part: cpu_s of a call, `repeats` times; peak_mb, by which memory grew while it ran."""
    measured = {}
    for name, part in parts_of(case).items():
        meter = Meter()
        resident_mb = meter.peak_memory_mb
        seconds = [_cpu_s_of(part) for _ in range(repeats)]
        measured[name] = {"cpu_s": seconds, "peak_mb": meter.peak_memory_mb - resident_mb}
    return measured


def _cpu_s_of(part: Callable[[], Any]) -> float:
    """Processor seconds of a call: the mean of as many as it takes for the clock to tell."""
    began_s, calls = time.process_time(), 0
    while (spent_s := time.process_time() - began_s) < _LEAST_TIMED_S:
        part()
        calls += 1
    return spent_s / calls


def _adjusted(case: SyntheticProblem, points: Float, kept: Bool) -> None:
    with quiet_colmap():
        adjust(case.problem, case.truth, points, kept, _THREE_STEPS)
