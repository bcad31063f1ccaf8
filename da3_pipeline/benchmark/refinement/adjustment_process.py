"""Adjusts once, as `python -m`: JSON request on stdin, answer on stdout."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from ...geometry import align_cameras, rotation_angle_deg
from ...geometry.pose_metrics import centre_rmse
from ...metering import Meter
from ...quiet import quiet_colmap
from ...refine.config import SolveConfig
from ...refine.solve.problem import Estimate
from ...refine.solve.rounds import refine_estimate
from ...refine.solve.tracks import spread_subset
from ..truth.prior_noise import PriorNoise, scene_extent
from .known_run import cpu_s
from .synthetic_problem import SyntheticProblem, synthetic_problem

__all__ = ["main"]


def main() -> int:
    """Answer one request: images, path and seed."""
    request = json.loads(sys.stdin.read())
    noise = PriorNoise(3.0, 0.03, 0.03, drift=request["path"] == "walk")
    case = synthetic_problem(request["images"], request["path"], noise, request["seed"])
    sys.stdout.write(f"\n{json.dumps(_adjusted(case, SolveConfig(), request['seed']))}\n")
    return 0


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
    return answer | pairs | {"observations": len(problem.observations), "kept": len(thinned.observations)}


def _errors(case: SyntheticProblem, estimate: Estimate) -> tuple[float, float, float]:
    """Median rotation in degrees, RMS position in percent of the extent, both after a similarity; focal in percent."""
    truth = case.cam_from_world
    moved = align_cameras(estimate.cam_from_world, truth).apply_to_cameras(estimate.cam_from_world)
    rotation_deg = float(np.median(rotation_angle_deg(moved[:, :, :3], truth[:, :, :3])))
    position = 100 * centre_rmse(truth, estimate.cam_from_world) / scene_extent(truth)
    return rotation_deg, position, 100 * (estimate.cameras["camera"].focal_px / case.camera.focal_px - 1)


if __name__ == "__main__":
    raise SystemExit(main())
