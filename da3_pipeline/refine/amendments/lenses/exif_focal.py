"""EXIF's focal length on trial: a manual lens, an adapter or a crop makes it plausible and wrong.

Before anything is solved pairs are asked whether the length that their fundamental matrices vote for explains more of
their matches. When all is solved and the refined length is far from EXIF's, cameras are solved once more with EXIF's:
where that explains the matches clearly worse, it is refuted, and no longer evidence against the solution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....arrays import Int
from ....geometry import Camera
from ....progress import Progress
from ....types import Prediction
from ...config import RefineConfig
from ...initialisation.two_view import pairs_by_camera, relative_poses, vote_focal_px
from ...solve.problem import Estimate, Problem, exif_focal_px
from ...solve.rounds import calibrate, refine_estimate
from ...solve.score import agreement, match_errors_px, precision
from ...solve.sharing import shared_problem
from ..solution import Solution, thinned

__all__ = ["doubted", "exif_judged", "without_exif", "without_refuted_exif"]

_DIAGONAL_35MM = 43.27


def without_refuted_exif(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """The problem without EXIF's focal lengths that pairs refute: the vote is far from it and explains more."""
    problem, trial = solution.problem, config.exif
    if problem.given_poses or not problem.exif_focal_px:
        return solution
    shared, two_view = shared_problem(problem), config.initialisation.two_view
    pairs, refuted = pairs_by_camera(shared), set()
    for number, name in enumerate(shared.camera_names):
        told, own = problem.exif_focal_px.get(name), pairs[number]
        vote = vote_focal_px(shared, own, two_view) if told and len(own) else None
        if told is None or vote is None or not _far(vote / told, trial.far):
            continue
        asked = shared.of_pairs(own[np.linspace(0, len(own) - 1, min(len(own), trial.most_pairs)).round().astype(int)])
        by_exif, by_vote = (_explained(asked, name, focal_px, config) for focal_px in (told, vote))
        if by_vote > by_exif + trial.explains_more:
            refuted |= {name} if problem.lenses is None else problem.lenses.sharing(name)
    if not refuted:
        return solution
    return replace(solution, problem=without_exif(problem, solution.prediction, refuted, config))


def doubted(solution: Solution, config: RefineConfig) -> set[str]:
    """Cameras whose EXIF focal length is far from the vote of their pairs, the prior's own or the refined one."""
    problem, refined = solution.problem, solution.winner.fit.estimate.cameras
    otherwise = without_exif(problem, solution.prediction, set(problem.exif_focal_px), config).prior.cameras
    return {
        name
        for name, told in problem.exif_focal_px.items()
        if any(_far(other.focal_px / told, config.exif.far) for other in (refined[name], otherwise[name]))
    }


def without_exif(problem: Problem, prediction: Prediction, names: set[str], config: RefineConfig) -> Problem:
    """The problem without these cameras' EXIF focal lengths. The prior, which believes EXIF, has instead what the pairs
    of the camera's lens vote for, or what it saw in the pictures itself."""
    shared = shared_problem(problem)
    pairs, cameras = pairs_by_camera(shared), dict(problem.prior.cameras)
    for name in sorted(names):
        vote = vote_focal_px(shared, pairs[shared.camera_names.index(name)], config.initialisation.two_view)
        prior = cameras[name]
        cameras[name] = Camera.pinhole(prior.width, prior.height, vote or _seen(problem, prediction, name))
    if problem.lenses is not None:
        shared_cameras = problem.lenses.with_shared(cameras)
        cameras |= {name: shared_cameras[name] for name in names}
    return replace(
        problem,
        exif_focal_px={name: focal for name, focal in problem.exif_focal_px.items() if name not in names},
        prior=Estimate(problem.prior.cam_from_world, cameras),
    )


def exif_judged(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """EXIF's focal lengths that the matches refute are taken from the evidence, and it is said; all others are in it.

    A focal length that the matches leave open is not refuted, however far the solution's is; nor is any by a solution
    that would not pass the gate on agreement itself.
    """
    problem, estimate = solution.problem, solution.winner.fit.estimate
    told = {k: v for k, v in exif_focal_px(solution.frames, problem.scale).items() if k not in problem.known_cameras}
    cameras = estimate.cameras
    far = {name for name, focal in told.items() if _far(cameras[name].focal_px / focal, config.exif.far)}
    credible = far and agreement(problem, estimate) >= config.quality.min_agreement
    refuted = _refuted(solution, {name: told[name] for name in sorted(far)}, config) if credible else []
    kept = {name: focal for name, focal in told.items() if name not in refuted}
    solution = replace(solution, problem=replace(problem, exif_focal_px=kept))
    if not refuted:
        return solution
    remarks = dict.fromkeys(_remark(cameras[name], told[name]) for name in refuted)
    # What EXIF's focal length proved of the prior's, which follows it, it no longer proves.
    return replace(solution, trust=replace(solution.trust, focal=None)).saying({}, *remarks)


def _refuted(solution: Solution, told: dict[str, float], config: RefineConfig) -> list[str]:
    """Of cameras and EXIF focal lengths those with which the matches agree clearly less than with the winner's."""
    problem, estimate = solution.problem, solution.winner.fit.estimate
    cameras = {name: _at(estimate.cameras[name], focal_px) for name, focal_px in told.items()}
    held = replace(problem, known_cameras=problem.known_cameras | told.keys(), lenses=None)
    start, few = replace(estimate, cameras=estimate.cameras | cameras), thinned(held, config)
    if problem.given_poses and config.solve.keeps_poses:
        fit = calibrate(few, start, config.solve)
    else:
        fit = refine_estimate(few, start, config.solve, config.seed)
    ours_px, theirs_px = match_errors_px(problem, estimate), match_errors_px(held, fit.estimate)
    refuted = []
    for name in told:
        first, second = (problem.camera_index[problem.matches.frames] == problem.camera_names.index(name)).T
        mine = (first | second)[problem.matches.pair]
        if mine.any() and precision(ours_px[mine]) > precision(theirs_px[mine]) + config.exif.clearly:
            refuted.append(name)
    return refuted


def _at(camera: Camera, focal_px: float) -> Camera:
    """The camera at another focal length, its pixels as far from where a pinhole has them as before."""
    ratio = focal_px / camera.focal_px
    params = list(camera.params)
    model = camera.to_pycolmap()
    for place in model.focal_length_idxs():
        params[place] *= ratio
    for power, place in enumerate(model.extra_params_idxs(), start=1):
        params[place] *= ratio ** (2 * power)
    return replace(camera, params=tuple(float(value) for value in params))


def _explained(problem: Problem, name: str, focal_px: float, config: RefineConfig) -> float:
    """Share of the matches that essential matrices explain at a focal length."""
    prior = problem.prior.cameras[name]
    cameras = problem.prior.cameras | {name: Camera.pinhole(prior.width, prior.height, focal_px)}
    relative = relative_poses(problem, cameras, config.initialisation.two_view, config.seed)
    return float(relative.support.sum() / max(len(problem.matches), 1))


def _seen(problem: Problem, prediction: Prediction, name: str) -> float:
    """Working pixels: the median focal length that the prior's source found in each picture of the camera."""
    frames: Int = problem.frames_of(name)
    K = prediction.view_intrinsics[frames]
    return float(np.median(np.sqrt(K[:, 0, 0] * K[:, 1, 1]) * problem.scale[frames, 0]))


def _far(ratio: float, most: float) -> bool:
    return abs(np.log(ratio)) > np.log1p(most)


def _remark(camera: Camera, told_px: float) -> str:
    per_mm = np.hypot(camera.width, camera.height) / _DIAGONAL_35MM
    exif_mm, refined_mm = told_px / per_mm, camera.focal_px / per_mm
    return f"EXIF says a focal length of {exif_mm:.0f} mm (on 35 mm film), the matches {refined_mm:.0f} mm"
