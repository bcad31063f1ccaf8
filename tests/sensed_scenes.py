"""Captures with known truth whose depth a sensor measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scenes import Synthetic

from da3_pipeline.arrays import Float
from da3_pipeline.refine.solve.triangulation import triangulate
from da3_pipeline.types import MetricScale, SensorDepth

__all__ = ["MILLIMETRES", "SHRINK", "depth_of", "seen_by", "sensed"]

MILLIMETRES = 250.0  # of a unit of the world
SHRINK = 8  # pixels of a picture for one of its depth map


def seen_by(exact: Synthetic) -> tuple[Float, Float]:
    """(M, 3) frame and original pixel of every observation, and (M,) its true depth."""
    problem, truth = exact.problem(), exact.truth
    seen, points = problem.observations, triangulate(problem, truth, problem.observations)
    return np.column_stack([seen.frame, seen.xy / problem.scale[seen.frame]]), depth_of(exact, points)


def depth_of(capture: Synthetic, points: Float, poses: Float | None = None) -> Float:
    """(M,) of the points that the observations see, in their cameras; NaN where there is no point."""
    seen = capture.problem().observations
    pose = (capture.cam_from_world if poses is None else poses)[seen.frame, 2]
    return np.asarray((pose[:, :3] * points[seen.track]).sum(axis=1) + pose[:, 3])


def sensed(capture: Synthetic, exact: Synthetic, folder: Path, error: float = 0.0) -> Synthetic:
    """With depth maps that are right around every point that is seen, but for an error of each, one sigma."""
    places, depth = seen_by(exact)
    depth = depth * np.exp(error * np.random.default_rng(1).standard_normal(len(depth)))
    frames = []
    for k, frame in enumerate(capture.frames):
        mine = places[:, 0] == k
        image = np.zeros((frame.height // SHRINK, frame.width // SHRINK))
        for (column, row), z in zip((places[mine, 1:] // SHRINK).astype(int).tolist(), depth[mine], strict=True):
            image[max(row - 3, 0) : row + 4, max(column - 3, 0) : column + 4] = MILLIMETRES * z
        path = folder / f"{k:03d}.depth.png"
        Image.fromarray(image.astype(np.uint16)).save(path)
        frames.append(replace(frame, depth=SensorDepth(path, 0.001)))
    capture = capture.with_frames(tuple(frames))
    metric = MetricScale(0.5, 0.0, "the depth sensor", measured=True)
    return replace(capture, prediction=replace(capture.prediction, metric=metric))
