"""Pictures cropped to one side by hand: each has its optical centre elsewhere, and no lens says so.

A solution that believes the centre in the middle turns such cameras instead, by degrees, and explains its matches well
enough to pass. What is left of their errors points one way: were the centre free in each picture by itself, it would
move. Where it does, all centres are freed at once, and pictures whose centre lies aside keep it, as a camera each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from ....arrays import Bool, Float, Int
from ....geometry import Camera
from ....grouping import Groups
from ....progress import Progress
from ...config import RefineConfig
from ...solve.adjustment import Adjustment, adjust
from ...solve.problem import Estimate, Problem
from ...solve.rounds import Fit, fit_points, resettle, strict_cauchy_px
from ..second_look import second_look
from ..solution import Solution, thinned

__all__ = ["CENTRES_OPEN", "centre_pulls", "with_centres_found"]

CENTRES_OPEN = "centres_open"
"""The figure of how many pictures would move their centres, where those of most would and none was believed."""

_STEP = 1e-5  # of the differences that derivatives are taken from


def with_centres_found(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The solution with the centres of cropped pictures where matches have them; as it is where none pulls aside.

    Cameras that are given are left as they are, and so are rigs and given poses. Where next to none would keep its
    centre in the middle, centres, turns and focal lengths trade places, and none is believed: the figure CENTRES_OPEN
    says so, and the verdict by it.
    """
    problem, how = solution.problem, config.off_centre
    frames = np.flatnonzero(~np.isin(problem.camera_index, _given(problem)) & solution.winner.fit.estimate.posed)
    left_alone = problem.rigs is not None or problem.given_poses or problem.num_frames > how.most_frames
    if left_alone or len(frames) < how.fewest_frames:
        return solution
    fit = fit_points(
        problem, solution.winner.fit.estimate, config.solve.min_ray_spread_deg, config.solve.strict_gate_px
    )
    shift, explained = centre_pulls(problem, fit, how.fewest_observations)
    if not ((shift > how.least_pull) & (explained > how.least_explained)).any():
        return solution
    progress.step(0, 1, "freeing the centres of pictures")
    apart = solution.regrouped(solution.a_camera_each(frames), config)
    freed, gone = _freed(thinned(apart.problem, config), solution.estimate_of(apart), config)
    aside = _aside(apart.problem, freed, solution.problem, frames, how.aside)
    if gone < how.least_gone or not len(aside):
        return solution
    if len(aside) > how.most_aside * len(frames):
        return solution.saying({CENTRES_OPEN: float(len(aside))})
    kept = solution.regrouped({k: apart.frames[k].camera_id for k in aside.tolist()}, config)
    cameras = solution.estimate_of(kept).cameras
    own = {apart.frames[k].camera_id: freed.cameras[apart.frames[k].camera_id] for k in aside.tolist()}
    known = replace(kept.problem, known_cameras=kept.problem.known_cameras | own.keys())
    start = replace(freed, cameras=cameras | own)
    settled = resettle(thinned(known, config), start, config.solve)
    winner = replace(solution.winner, fit=settled)
    kept = replace(kept, problem=known, candidates=(winner, *solution.candidates[1:]))
    names = [solution.frames[k].name for k in aside[:2].tolist()]
    more = f" and {len(aside) - 2} more" if len(aside) > 2 else ""
    remark = f"{', '.join(names)}{more} {'are' if len(aside) > 1 else 'is'} cropped to one side"
    return second_look(kept, config, progress).saying({}, remark)


def centre_pulls(problem: Problem, fit: Fit, fewest: int) -> tuple[Float, Float]:
    """(N,) how far each frame's centre would move, a share of the longer side, were it free together with its pose and
    focal length before points that stay, and the share of its squared errors that this would remove.

    One step of weighted least squares. Zero for frames of fewer than `fewest` kept observations.
    """
    estimate, observations = fit.estimate, problem.observations
    used = np.flatnonzero(fit.kept)
    by_frame = Groups.of(observations.frame[used], problem.num_frames)
    shift, explained = np.zeros(problem.num_frames), np.zeros(problem.num_frames)
    for frame in by_frame.filled:
        mine = used[by_frame[frame]]
        if len(mine) < fewest:
            continue
        pose, camera = estimate.cam_from_world[frame], estimate.cameras[problem.camera_of(frame)]
        seen = fit.points[observations.track[mine]] @ pose[:, :3].T + pose[:, 3]
        error = observations.xy[mine] - camera.project(seen)
        weight = 1 / np.sqrt(1 + (np.linalg.norm(error, axis=1) / (2 * max(fit.median_px, 1e-3))) ** 2)
        columns = _derivatives(camera, seen) * weight[:, None, None]
        target = (error * weight[:, None]).ravel()
        step, explained[frame] = _last_two(columns.reshape(len(target), -1), target)
        shift[frame] = np.linalg.norm(step) / max(camera.width, camera.height)
    return shift, explained


def _derivatives(camera: Camera, seen: Float) -> Float:
    """(M, 2, 9) of pixels of points (M, 3) in the camera's frame: by turn, shift, focal length and centre."""
    base = camera.project(seen)
    moved = [seen @ Rotation.from_rotvec(_STEP * axis).as_matrix().T for axis in np.eye(3)]
    moved += [seen + _STEP * float(np.median(seen[:, 2])) * axis for axis in np.eye(3)]
    focal = camera.to_pycolmap().focal_length_idxs()
    grown = tuple(value * (1 + _STEP) if place in focal else value for place, value in enumerate(camera.params))
    longer = replace(camera, params=grown)
    columns = [(pixels - base) / _STEP for pixels in (*map(camera.project, moved), longer.project(seen))]
    columns += [np.tile(axis, (len(seen), 1)) for axis in np.eye(2)]
    return np.stack(columns, axis=-1)


def _last_two(matrix: Float, target: Float) -> tuple[Float, float]:
    """Values of the last two unknowns of a least-squares problem (M, K), and the share of the squares that the others
    leave which they take away; nothing where the others can do the same."""
    # Normal equations: a factorisation of the tall matrix spends its time on starting threads.
    scale = 1 / np.maximum(np.linalg.norm(matrix, axis=0), np.finfo(float).tiny)
    squares, along = scale[:, None] * (matrix.T @ matrix) * scale, scale * (matrix.T @ target)
    solved = np.linalg.lstsq(squares[:-2, :-2], np.c_[squares[:-2, -2:], along[:-2]], rcond=None)[0]
    own = squares[-2:, -2:] - squares[-2:, :-2] @ solved[:, :2]
    still = along[-2:] - squares[-2:, :-2] @ solved[:, 2]
    left = float(target @ target - along[:-2] @ solved[:, 2])
    if left <= 0 or np.linalg.eigvalsh(own)[0] < 1e-9:
        return np.zeros(2), 0.0
    step = np.linalg.solve(own, still)
    return scale[-2:] * step, float(still @ step) / left


def _freed(problem: Problem, estimate: Estimate, config: RefineConfig) -> tuple[Estimate, float]:
    """The estimate with the centre of every camera free and nothing else of it, and the share of squares then gone."""
    solve = config.solve
    before = fit_points(problem, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    fit = before
    for _ in range(config.off_centre.rounds):
        how = Adjustment(
            strict_cauchy_px(fit, solve),
            solve.adjustment,
            refine_focal=False,
            refine_centre=True,
            max_iterations=solve.strict_iterations,
            function_tolerance=1e-6,
        )
        estimate, _ = adjust(problem, fit.estimate, fit.points, fit.kept, how)
        fit = fit_points(problem, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    both = before.kept & fit.kept
    squares, left = (float((one.errors_px[both] ** 2).sum()) for one in (before, fit))
    return estimate, 1 - left / squares if squares > 0 else 0.0


def _aside(problem: Problem, freed: Estimate, grouped: Problem, frames: Int, least: float) -> Int:
    """The frames whose centre lies further than `least`, a share of the longer side, from where most pictures have it
    that were taken for the same camera's; from the middle, where those disagree."""
    places = np.zeros((problem.num_frames, 2))
    for k in frames.tolist():
        camera = freed.cameras[problem.camera_of(k)]
        middle = np.array([camera.width, camera.height]) / 2
        places[k] = (camera.K[:2, 2] - middle) / max(camera.width, camera.height)
    off: Bool = np.zeros(problem.num_frames, bool)
    for number in np.unique(grouped.camera_index[frames]).tolist():
        mine = frames[grouped.camera_index[frames] == number]
        usual = np.median(places[mine], axis=0)
        usual = usual if np.linalg.norm(usual) <= least else np.zeros(2)
        off[mine] = np.linalg.norm(places[mine] - usual, axis=1) > least
    return np.flatnonzero(off)


def _given(problem: Problem) -> Int:
    """Numbers of the cameras that somebody gave."""
    return np.array([k for k, name in enumerate(problem.camera_names) if name in problem.known_cameras], np.int64)
