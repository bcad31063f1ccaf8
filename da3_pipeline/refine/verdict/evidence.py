"""Gathers what the verdict looks at from a finished solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...arrays import Bool, Float
from ...geometry import centres
from ...types import Prediction, PriorTrust
from ..assembly import Assembly
from ..config import QualityConfig, RefineConfig
from ..solve.contradictions import near_views, refuted_neighbours
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem
from ..solve.rounds import fit_points
from ..solve.score import AGREE_PX, agreement, frame_agreement, match_errors_px
from ..solve.tracks import spread_mask
from ..solve.triangulation import ray_spread_deg, world_rays
from .folds import weakest_cut
from .gates import Evidence, cells_covered, scale_jump, speed_jump
from .halves import split_halves
from .held_out import held_out_errors
from .uncertainty import focal_uncertainty, let_bend, let_go

__all__ = ["gather_evidence", "image_motion"]


_FEWEST_HELD_OUT = 50  # observations under which their median says nothing


def gather_evidence(
    prediction: Prediction,
    problem: Problem,
    assembly: Assembly,
    depth_scales: Float,
    held_by: Priors | None,
    trust: PriorTrust,
    config: RefineConfig,
) -> Evidence:
    """Evidence on `assembly`. depth_scales (N,): from predicted depth to the scene. held_by: what held the fit.

    What the prior has not proved on this capture is no evidence."""
    fit, refined, kept = assembly.fit, assembly.refined, assembly.kept
    observations = problem.observations
    origins, _ = world_rays(problem, fit.estimate, observations)
    spread = ray_spread_deg(observations, origins, fit.points, kept)
    errors_px = match_errors_px(problem, fit.estimate)
    agree = frame_agreement(problem, errors_px)
    judged = Estimate(np.where(refined[:, None, None], fit.estimate.cam_from_world, np.nan), fit.estimate.cameras)
    adjusted = spread_mask(observations, config.solve.observations_per_frame, problem.size_px)
    held_out = held_out_errors(problem, judged, adjusted, config.seed)
    thinned = problem.with_observations(observations.subset(adjusted))
    halves = None
    if problem.rigs is None and not problem.given_poses:
        halves = split_halves(thinned, judged, refined, config.solve, config.seed)
    tracks = len(np.unique(observations.track[kept]))
    cameras = fit.estimate.cameras
    fov = [max(camera.fov_deg) for camera in cameras.values()]
    exif = [cameras[name].focal_px / focal for name, focal in problem.exif_focal_px.items()]
    guessed = cameras.keys() - problem.exif_focal_px.keys() - problem.known_cameras
    predicted = [cameras[name].focal_px / problem.prior.cameras[name].focal_px for name in sorted(guessed)]
    views = near_views(problem, fit.estimate, fit.points, kept, refined, config.contradictions)
    evidence = Evidence(
        frames=problem.num_frames,
        refined_share=_refined_share(prediction, problem, refined, config.quality),
        agreement=agreement(problem, judged),
        median_error_px=_of(np.median, fit.errors_px[kept]),
        p95_error_px=_of(lambda errors: np.quantile(errors, 0.95), fit.errors_px[kept]),
        weakest=_of(lambda share: np.quantile(share, 0.1), agree[refined & np.isfinite(agree)]),
        weakest_cut=weakest_cut(problem, errors_px, refined),
        observations_per_frame=_of(
            np.median, np.bincount(observations.frame[kept], minlength=problem.num_frames)[refined]
        ),
        mean_track_length=float(kept.sum() / tracks) if tracks else None,
        ray_spread_deg=_of(np.median, spread[spread > 0]),
        fov_deg=_farthest(fov, 60.0),
        exif_ratio=_farthest(exif, 1.0),
        prior_ratio=_farthest(predicted, 1.0) if trust.focal else None,
        speed_jump=speed_jump(prediction.frames.frames, centres(judged.cam_from_world)),
        held_out_px=float(np.median(held_out)) if len(held_out) >= _FEWEST_HELD_OUT else None,
        halves_deg=None if halves is None else halves.rotation_deg,
        halves_position=None if halves is None else halves.position,
        cells=cells_covered(observations.frame[kept], observations.xy[kept], problem.size_px, refined),
        scale_jump=scale_jump(depth_scales[refined]) if trust.depth else None,
        image_motion=image_motion(problem),
        false_pairs=_false_pairs(problem, errors_px),
        refuted_neighbours=_refuted_neighbours(prediction, problem, errors_px, config),
        bare_views=float(views.bare(config.contradictions).mean()) if len(views.pairs) else None,
    )
    if problem.given_poses or refined.sum() > config.quality.few_views:
        return evidence
    weakest = _of(np.min, agree[refined & np.isfinite(agree)])
    return _of_few_views(evidence, thinned, judged, refined, weakest, held_by is not None, config)


def _of_few_views(
    evidence: Evidence,
    thinned: Problem,
    judged: Estimate,
    refined: Bool,
    weakest: float | None,
    held: bool,
    config: RefineConfig,
) -> Evidence:
    """With what the matches of few views leave open. weakest: agreement of the frame whose matches agree least."""
    if refined.sum() == 2:
        used = {thinned.camera_of(int(frame)) for frame in np.flatnonzero(refined)}
        flat = thinned.matches.homography_share
        return replace(
            evidence,
            known_focal=sum(name in thinned.known_cameras for name in used) / len(used),
            relief=float(1 - np.median(flat)) if len(flat) else None,
        )
    if refined.sum() < 2:
        return evidence
    fit = fit_points(thinned, judged, config.solve.min_ray_spread_deg, config.solve.strict_gate_px)
    sightings = np.bincount(thinned.observations.track[fit.kept], minlength=thinned.observations.num_tracks)
    moved = let_go(thinned, judged, refined, config.solve) if held else None
    return replace(
        evidence,
        linking_points=float((sightings >= 3).sum()),
        weakest_of_few=weakest,
        let_bend_deg=let_bend(thinned, judged, refined, config.solve),
        focal_sigma=focal_uncertainty(thinned, fit, config.solve),
        let_go_deg=None if moved is None else moved.rotation_deg,
        let_go_focal=None if moved is None else moved.focal,
    )


def image_motion(problem: Problem) -> float | None:
    """How far matches lie apart in their two images, in longer sides: the median over pairs of the median of each.

    Where a camera stands before a turntable nearly all matches are on what stands behind it, and any focal length and
    any small motion explain them. NaN without matches.
    """
    matches = problem.matches
    if not len(matches):
        return None
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


def _refuted_neighbours(
    prediction: Prediction, problem: Problem, errors_px: Float, config: RefineConfig
) -> float | None:
    """Their number; None where no neighbours have enough matches to tell."""
    frames = prediction.frames.frames
    everywhere = np.full(len(errors_px), np.inf)
    if not len(refuted_neighbours(frames, problem, everywhere, config.contradictions)):
        return None
    return float(len(refuted_neighbours(frames, problem, errors_px, config.contradictions)))


def _refined_share(prediction: Prediction, problem: Problem, refined: Bool, config: QualityConfig) -> float:
    """Of the images for training, without a few that match nothing and are no part of the scene."""
    wanted = _for_training(prediction)
    strange = wanted & (np.bincount(problem.matches.frames.ravel(), minlength=problem.num_frames) == 0)
    if strange.sum() <= config.most_strangers * wanted.sum() and refined.sum() >= config.strangers_from:
        wanted &= ~strange
    return float(refined[wanted].mean())


def _for_training(prediction: Prediction) -> Bool:
    """(N,) frames that the data set shows to a trainer; all where selection kept none for that."""
    training = np.array([frame.training for frame in prediction.frames.frames], bool)
    return training if training.any() else ~training


def _of(reduce: Callable[[NDArray[Any]], Any], values: NDArray[Any]) -> float | None:
    """None of nothing."""
    return float(reduce(values)) if len(values) else None


def _farthest(values: list[float], usual: float) -> float | None:
    """The value whose ratio to the usual one is farthest from 1; None without any."""
    return float(max(values, key=lambda value: abs(np.log(value / usual)))) if values else None
