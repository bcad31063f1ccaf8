"""Gathers what the verdict looks at from a finished solution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...arrays import Bool, Float
from ...geometry import centres
from ...types import Prediction
from ..assembly import Assembly
from ..config import RefineConfig
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem
from ..solve.score import AGREE_PX, agreement, frame_agreement, match_errors_px
from ..solve.tracks import spread_mask
from ..solve.triangulation import ray_spread_deg, world_rays
from .folds import weakest_cut
from .gates import Evidence, cells_covered, scale_jump, speed_jump
from .halves import Spread, split_halves
from .held_out import held_out_errors

__all__ = ["gather_evidence", "image_motion"]


_FEWEST_HELD_OUT = 50  # observations under which their median says nothing


def gather_evidence(
    prediction: Prediction,
    problem: Problem,
    assembly: Assembly,
    depth_scales: Float,
    held_by: Priors | None,
    config: RefineConfig,
) -> Evidence:
    """Evidence on `assembly`. depth_scales (N,): from predicted depth to the scene. held_by: what held the fit."""
    fit, refined, kept = assembly.fit, assembly.refined, assembly.kept
    observations = problem.observations
    origins, _ = world_rays(problem, fit.estimate, observations)
    spread = ray_spread_deg(observations, origins, fit.points, kept)
    errors_px = match_errors_px(problem, fit.estimate)
    agree = frame_agreement(problem, errors_px)
    judged = Estimate(np.where(refined[:, None, None], fit.estimate.cam_from_world, np.nan), fit.estimate.cameras)
    adjusted = spread_mask(observations, config.solve.observations_per_frame, problem.size_px)
    held_out = held_out_errors(problem, judged, adjusted, config.seed)
    halves = Spread()
    if problem.rigs is None and not problem.given_poses:
        thinned = problem.with_observations(observations.subset(adjusted))
        halves = split_halves(thinned, judged, refined, config.solve, config.seed, held_by)
    tracks = len(np.unique(observations.track[kept]))
    cameras = fit.estimate.cameras
    fov = [max(camera.fov_deg) for camera in cameras.values()]
    exif = [cameras[name].focal_px / focal for name, focal in problem.exif_focal_px.items()]
    guessed = cameras.keys() - problem.exif_focal_px.keys() - problem.known_cameras
    predicted = [cameras[name].focal_px / problem.prior.cameras[name].focal_px for name in sorted(guessed)]
    return Evidence(
        frames=problem.num_frames,
        refined_share=float(refined[_for_training(prediction)].mean()),
        agreement=agreement(problem, judged),
        median_error_px=_or_nan(np.median, fit.errors_px[kept]),
        p95_error_px=_or_nan(lambda errors: np.quantile(errors, 0.95), fit.errors_px[kept]),
        weakest=_or_nan(lambda share: np.nanquantile(share, 0.1), agree[refined]),
        weakest_cut=weakest_cut(problem, errors_px, refined),
        observations_per_frame=_or_nan(
            np.median, np.bincount(observations.frame[kept], minlength=problem.num_frames)[refined]
        ),
        mean_track_length=float(kept.sum() / tracks) if tracks else float("nan"),
        ray_spread_deg=_or_nan(np.median, spread[spread > 0]),
        fov_deg=_farthest(fov, 60.0),
        exif_ratio=_farthest(exif, 1.0),
        prior_ratio=_farthest(predicted, 1.0),
        speed_jump=speed_jump(prediction.frames.frames, centres(judged.cam_from_world)),
        held_out_px=float(np.median(held_out)) if len(held_out) >= _FEWEST_HELD_OUT else float("nan"),
        halves_deg=halves.rotation_deg,
        halves_position=halves.position,
        cells=cells_covered(observations.frame[kept], observations.xy[kept], problem.size_px, refined),
        scale_jump=scale_jump(depth_scales[refined]),
        aspect=_farthest([camera.K[0, 0] / camera.K[1, 1] for camera in cameras.values()], 1.0),
        image_motion=image_motion(problem),
        false_pairs=_false_pairs(problem, errors_px),
    )


def image_motion(problem: Problem) -> float:
    """How far matches lie apart in their two images, in longer sides: the median over pairs of the median of each.

    Where a camera stands before a turntable nearly all matches are on what stands behind it, and any focal length and
    any small motion explain them. NaN without matches.
    """
    matches = problem.matches
    if not len(matches):
        return float("nan")
    first, second = (
        xy / problem.size_px.max(axis=1)[matches.frames[:, side]][matches.pair][:, None]
        for side, xy in enumerate((matches.xy_first, matches.xy_second))
    )
    medians = ndimage.median(np.linalg.norm(second - first, axis=1), matches.pair, np.unique(matches.pair))
    return float(np.median(medians))


def _false_pairs(problem: Problem, errors_px: Float) -> float:
    """Number of pairs of which fewer than half of the matches agree with the poses."""
    pair, count = problem.matches.pair, len(problem.matches.frames)
    total = np.bincount(pair, minlength=count)
    return float((np.bincount(pair[errors_px < AGREE_PX], minlength=count) < 0.5 * total).sum())


def _for_training(prediction: Prediction) -> Bool:
    """(N,) frames that the data set shows to a trainer; all where selection kept none for that."""
    training = np.array([frame.training for frame in prediction.frames.frames], bool)
    return training if training.any() else ~training


def _or_nan(reduce: Callable[[NDArray[Any]], Any], values: NDArray[Any]) -> float:
    return float(reduce(values)) if len(values) else float("nan")


def _farthest(values: list[float], usual: float) -> float:
    """The value whose ratio to the usual one is farthest from 1; NaN without any."""
    return float(max(values, key=lambda value: abs(np.log(value / usual)))) if values else float("nan")
