"""Adjusts a large synthetic problem, or times its parts, as `python -m`: JSON request on stdin, answer on stdout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry import align_cameras, rotation_angle_deg
from ...geometry.metrics.poses import centre_rmse
from ...metering import Meter
from ...quiet import quiet_colmap
from ...refine.config import SolveConfig
from ...refine.solve.problem import Estimate
from ...refine.solve.rounds import refine_estimate
from ...refine.solve.tracks import spread_subset
from ..fresh_process import answer_request
from ..truth.prior_noise import PriorNoise, scene_extent
from .adjustment_parts import time_parts
from .refinement_run import cpu_s
from .synthetic_problem import ProblemSize, SyntheticProblem, synthetic_problem

__all__ = ["main"]


def main() -> int:
    """Answer one request: images, cameras, tracks, path, seed, and `repeats` of the parts, 0 to adjust instead."""
    return answer_request(_measured)


def _measured(request: dict[str, Any]) -> dict[str, Any]:
    noise = PriorNoise(3.0, 0.03, 0.03, drift=request["path"] == "walk")
    size = ProblemSize(request["images"], request["cameras"], request["tracks"])
    case = synthetic_problem(size, request["path"], noise, request["seed"])
    about = {
        "tracks": case.problem.observations.num_tracks,
        "observations": len(case.problem.observations),
    }
    if request["repeats"]:
        return about | {"parts": time_parts(case, request["repeats"])}
    return about | _adjusted(case, SolveConfig(), request["seed"])


def _adjusted(case: SyntheticProblem, config: SolveConfig, seed: int) -> dict[str, Any]:
    """Thinned and refined as `refine` does with one candidate, on the meter."""
    problem, meter, began_s = case.problem, Meter(), cpu_s()
    thinned = problem.with_observations(
        spread_subset(problem.observations, config.observations_per_frame, problem.size_px)
    )
    with quiet_colmap():
        fit = refine_estimate(thinned, problem.prior, config, seed)
    answer = {"seconds": meter.seconds, "cpu_s": cpu_s() - began_s, "peak_mb": meter.peak_memory_mb}
    before, after = _errors(case, problem.prior), _errors(case, fit.estimate)
    names = ("rotation_deg", "position_percent", "focal_percent")
    pairs = {name: pair for name, *pair in zip(names, before, after, strict=True)}
    return answer | pairs | {"kept": len(thinned.observations)}


def _errors(case: SyntheticProblem, estimate: Estimate) -> tuple[float, float, float]:
    """Median rotation in degrees, RMS position in percent of the extent, both after a similarity; median focal in
    percent, without its sign."""
    truth = case.cam_from_world
    moved = align_cameras(estimate.cam_from_world, truth).apply_to_cameras(estimate.cam_from_world)
    rotation_deg = float(np.median(rotation_angle_deg(moved[:, :, :3], truth[:, :, :3])))
    position = 100 * centre_rmse(truth, estimate.cam_from_world) / scene_extent(truth)
    focal = [estimate.cameras[name].focal_px / camera.focal_px - 1 for name, camera in case.cameras.items()]
    return rotation_deg, position, 100 * float(np.median(np.abs(focal)))


if __name__ == "__main__":
    raise SystemExit(main())
