"""Several lenses where one was taken for granted: a zoom that nobody told of, pictures of many cameras at one size.

Without EXIF all pictures of one size share a camera. Where its solution leaves matches unexplained, and pictures that
may each have a focal length of their own take up far different ones, all are solved with a camera each; lengths that
gather around a few values are settings of a zoom, each a camera from there on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ....arrays import Bool, Float, Int
from ....geometry import Camera
from ....progress import Progress
from ...config import RefineConfig, ZoomConfig
from ...initialisation.two_view import relative_poses
from ...solve.adjustment import Adjustment, adjust
from ...solve.problem import Estimate, Problem
from ...solve.rounds import fit_points, loose_cauchy_px
from ...solve.score import frame_agreement, match_errors_px
from ...solve.tracks import spread_subset
from ..solution import Solution, settle, thinned

__all__ = ["settings_of_zoom", "with_lenses_apart"]


def with_lenses_apart(solution: Solution, config: RefineConfig, progress: Progress) -> Iterator[Solution]:
    """The solution as if its pictures were of several lenses; nothing where they all want the same.

    Cameras that were given, and those whose focal length EXIF tells, are left as they are, and so are rigs.
    """
    problem, zoom = solution.problem, config.zoom
    frames = np.flatnonzero(~np.isin(problem.camera_index, _told(problem)))
    if problem.rigs is not None or not 2 * zoom.fewest <= len(frames) or problem.num_frames > zoom.most_frames:
        return
    apart = solution.regrouped(solution.a_camera_each(frames), config)
    if not _spread_out(apart.problem, solution.estimate_of(apart), frames, config):
        return
    estimate = settle(thinned(apart.problem, config), solution.estimate_of(apart), config).estimate
    focal_px = apart.problem.focal_px(estimate)
    agree = frame_agreement(apart.problem, match_errors_px(apart.problem, estimate))
    groups: dict[int, str] = {}
    for name in sorted({solution.frames[k].camera_id for k in frames.tolist()}):
        mine = np.array([k for k in frames.tolist() if solution.frames[k].camera_id == name])
        setting = settings_of_zoom(focal_px[mine], agree[mine] >= zoom.firm_agreement, zoom)
        if setting.max() < 1:
            continue
        lengths = np.array([np.median(focal_px[mine][setting == k]) for k in range(setting.max() + 1)])
        setting = _all_told(problem, mine, setting, lengths, config)
        groups |= {k: f"{name} zoom {at + 1}" for k, at in zip(mine.tolist(), setting.tolist(), strict=True)}
    if groups:
        yield solution.regrouped(groups, config)


def _spread_out(problem: Problem, estimate: Estimate, frames: Int, config: RefineConfig) -> bool:
    """Whether the focal lengths of `frames` go apart at once, on few observations, when each is free."""
    solve = config.solve
    few = problem.with_observations(
        spread_subset(problem.observations, config.initialisation.observations_to_position, problem.size_px)
    )
    fit = fit_points(few, estimate, solve.min_ray_spread_deg)
    how = Adjustment(loose_cauchy_px(fit, solve), solve.adjustment, max_iterations=solve.max_iterations)
    free, _ = adjust(few, estimate, fit.points, fit.kept, how)
    focal_px = problem.focal_px(free)[frames[free.posed[frames]]]
    low, high = np.quantile(focal_px, (0.1, 0.9)) if len(focal_px) else (1.0, 1.0)
    return bool(high > config.zoom.spread_ratio * low)


def settings_of_zoom(focal_px: Float, firm: Bool, config: ZoomConfig) -> Int:
    """(N,) the setting of each of (N,) focal lengths, numbered from the shortest; -1 for what belongs to none.

    A setting are a few `firm` (N,) lengths that lie close to each other, and far from those of the next one.
    """
    setting = np.full(len(focal_px), -1)
    sure = np.flatnonzero(firm & np.isfinite(focal_px))
    sure = sure[np.argsort(focal_px[sure])]
    jumps = np.diff(np.log(focal_px[sure])) > np.log(config.same_ratio)
    runs = [run for run in np.split(sure, np.flatnonzero(jumps) + 1) if len(run) >= config.fewest]
    last, number = -np.inf, -1
    for run in runs:
        middle = float(np.log(np.median(focal_px[run])))
        number += middle - last > np.log(config.least_ratio)
        setting[run], last = number, middle
    return setting


def _all_told(problem: Problem, frames: Int, setting: Int, lengths: Float, config: RefineConfig) -> Int:
    """(N,) settings of `frames` (N,), those of -1 filled in: the length at which the frame's essential matrices with
    frames of known setting explain most of its matches."""
    told, known = setting.copy(), np.full(problem.num_frames, -1)
    known[frames] = setting
    width, height = problem.size_px[frames[0]].astype(int).tolist()
    names = tuple(str(k) for k in range(len(lengths)))
    cameras = {name: Camera.pinhole(width, height, px) for name, px in zip(names, lengths.tolist(), strict=True)}
    ends = problem.matches.frames
    for place in np.flatnonzero(setting < 0).tolist():
        asked = (ends == frames[place]).any(axis=1) & (known[ends] >= 0).any(axis=1)
        support = np.zeros(len(lengths))
        for k in range(len(lengths)):
            index = known.copy()
            index[frames[place]] = k
            trial = replace(problem.of_pairs(np.flatnonzero(asked)), camera_names=names, camera_index=index)
            support[k] = relative_poses(trial, cameras, config.initialisation.two_view, config.seed).support.sum()
        told[place] = int(support.argmax())
    return told


def _told(problem: Problem) -> Int:
    """Numbers of the cameras whose focal length somebody tells."""
    told = problem.known_cameras | problem.exif_focal_px.keys()
    return np.array([k for k, name in enumerate(problem.camera_names) if name in told], np.int64)
