"""Pixels that are not square: pictures squeezed to a square, anamorphic lenses, video whose header does not say so.

No lens of one focal length explains them; the scene bends instead, alike in any half of its points, and far enough to
be useless while every match agrees to a pixel (castle-P19 squeezed to three quarters: AUC@5 27). With a focal length
for either axis errors fall to a third. The pictures are then taken at the size at which their pixels are square, and
everything is solved once more.

What is folded asks for any shape, too, and passes with it (a can with equal sides: 1.3 times as wide, then 1.6 times
more). A shape that is real is the same in either half of the pictures, and once it is made up for nothing remains.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....arrays import Bool
from ....progress import Progress
from ...config import RefineConfig
from ...solve.adjustment import Adjustment, adjust
from ...solve.lens_model import LADDER, as_opencv
from ...solve.problem import Estimate, Problem, pose_problem
from ...solve.rounds import fit_points, strict_cauchy_px
from ..contest import solved
from ..solution import Solution, thinned

__all__ = ["pixel_aspects", "with_square_pixels"]


def with_square_pixels(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution of pictures as wide as square pixels make them; as it is where they are so, where it is not better,
    and where they still would not be.

    Cameras that are given stay as they are, and nothing is asked where poses are given.
    """
    if solution.problem.given_poses:
        return solution
    best = solution
    for _ in range(config.pixel_aspect.rounds):
        found = _significant(thinned(best.problem, config), best.winner.fit.estimate, config)
        if not found:
            break
        progress.step(0, 1, "squaring pixels")
        other = solved(_stretched(best, found, config), config, progress)
        if not other.candidates or other.winner.fit.median_px >= best.winner.fit.median_px:
            break
        best = other
    if best is solution or _far(
        pixel_aspects(thinned(best.problem, config), best.winner.fit.estimate, config)[0], config
    ):
        return solution
    widths = [frame.pixel_aspect for frame in best.frames if frame.pixel_aspect != 1]
    return best.saying({}, f"pixels are not square: {_shape(float(np.median(widths)))}")


def pixel_aspects(problem: Problem, estimate: Estimate, config: RefineConfig) -> tuple[dict[str, float], float]:
    """How wide pixels are for their height, by camera, as few of its pictures have it, and the share of their squared
    errors that this takes away. Only cameras that nobody gave, of enough pictures."""
    how, solve = config.pixel_aspect, config.solve
    few = _best_connected(problem, estimate.posed, how.most_frames)
    counts = np.bincount(problem.camera_index[np.unique(few.observations.frame)], minlength=len(problem.camera_names))
    asked = {
        name
        for name, count in zip(problem.camera_names, counts.tolist(), strict=True)
        if count >= how.fewest_frames and name not in problem.known_cameras and estimate.cameras[name].model in LADDER
    }
    if not asked:
        return {}, 0.0
    few = replace(few, lenses=None)
    cameras = {name: as_opencv(camera) if name in asked else camera for name, camera in estimate.cameras.items()}
    before = fit_points(few, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    free = Adjustment(
        strict_cauchy_px(before, solve),
        solve.adjustment,
        max_iterations=how.iterations,
        function_tolerance=1e-6,
    )
    settled, _ = adjust(few, replace(estimate, cameras=cameras), before.points, before.kept, free)
    after = fit_points(few, settled, solve.min_ray_spread_deg, solve.strict_gate_px)
    both = before.kept & after.kept
    squares, left = (float((fit.errors_px[both] ** 2).sum()) for fit in (before, after))
    across_down = {name: settled.cameras[name].params[:2] for name in sorted(asked)}
    aspects = {name: down / across for name, (across, down) in across_down.items() if across > 0 and down > 0}
    return aspects, 1 - left / squares if squares > 0 else 0.0


def _significant(problem: Problem, estimate: Estimate, config: RefineConfig) -> dict[str, float]:
    """By camera, what its pictures must still be stretched by; empty where errors do not ask for it."""
    aspects, gone = pixel_aspects(problem, estimate, config)
    far = _far(aspects, config)
    if gone <= config.pixel_aspect.least_gone or not far or not _alike_in_halves(problem, estimate, set(far), config):
        return {}
    return far


def _far(aspects: dict[str, float], config: RefineConfig) -> dict[str, float]:
    """Those of pixels that are not square."""
    return {name: aspect for name, aspect in aspects.items() if abs(np.log(aspect)) > config.pixel_aspect.least_log}


def _alike_in_halves(problem: Problem, estimate: Estimate, cameras: set[str], config: RefineConfig) -> bool:
    """Whether these cameras have the same shape in half of their pictures, that see most of the same, and in the other
    half; where there are too few to tell, they have."""
    near = np.unique(_best_connected(problem, estimate.posed, int(estimate.posed.sum()) // 2).observations.frame)
    half = np.isin(np.arange(problem.num_frames), near)
    found = []
    for mine in (half, ~half):
        some = problem.with_observations(problem.observations.subset(mine[problem.observations.frame]))
        poses = np.where(mine[:, None, None], estimate.cam_from_world, np.nan)
        found.append(pixel_aspects(some, replace(estimate, cam_from_world=poses), config)[0])
    both = cameras & found[0].keys() & found[1].keys()
    return all(abs(np.log(found[0][name] / found[1][name])) < config.pixel_aspect.most_apart_log for name in both)


def _stretched(solution: Solution, aspects: dict[str, float], config: RefineConfig) -> Solution:
    """The problem stated anew with pictures of these cameras so much wider; each a lens of its own."""
    frames = tuple(
        replace(frame, pixel_aspect=frame.pixel_aspect * aspects[frame.camera_id], lens=None)
        if frame.camera_id in aspects
        else frame
        for frame in solution.frames
    )
    prediction = replace(solution.prediction, frames=replace(solution.prediction.frames, frames=frames))
    problem = pose_problem(prediction, solution.correspondences, config.features.max_long_side_px, config.solve.lens)
    told = {name: px for name, px in problem.exif_focal_px.items() if name in solution.problem.exif_focal_px}
    return replace(solution, prediction=prediction, problem=replace(problem, exif_focal_px=told), candidates=())


def _best_connected(problem: Problem, posed: Bool, most: int) -> Problem:
    """The problem with observations of at most so many frames: the best connected one and those that share most tracks
    with it."""
    observations = problem.observations
    frames = np.flatnonzero(posed)
    if len(frames) <= most:
        return problem
    counts = np.bincount(observations.frame, minlength=problem.num_frames) * posed
    seen = np.zeros(observations.num_tracks, bool)
    seen[observations.track[observations.frame == int(np.argmax(counts))]] = True
    shared = np.bincount(observations.frame[seen[observations.track]], minlength=problem.num_frames) * posed
    chosen = np.zeros(problem.num_frames, bool)
    chosen[np.argsort(-shared, kind="stable")[:most]] = True
    return problem.with_observations(observations.subset(chosen[observations.frame]))


def _shape(aspect: float) -> str:
    wide = f"{aspect:.2f} times as wide as high" if aspect > 1 else f"{1 / aspect:.2f} times as high as wide"
    return f"{wide}, as of pictures resized to another shape"
