"""Gathers what the verdict looks at from a finished solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...arrays import Bool, Float, Int
from ...geometry import centres
from ...types import Prediction, PriorTrust
from ..assembly import Assembly
from ..config import QualityConfig, RefineConfig
from ..solve.contradictions import look_alikes, near_views, refuted_neighbours, refuted_overlaps
from ..solve.parts import worst_seam
from ..solve.priors import Priors
from ..solve.problem import Estimate, Problem
from ..solve.rounds import fit_points
from ..solve.score import AGREE_PX, agreement, match_errors_px
from ..solve.tracks import spread_mask
from ..solve.triangulation import ray_spread_deg, world_rays
from .folds import weakest_cut
from .gates import Evidence, cells_covered
from .halves import split_halves
from .held_out import held_out_errors
from .jackknife import block_jackknife
from .jumps import scale_jump, speed_jump
from .traces import FewViews, Traces
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
) -> tuple[Evidence, Traces]:
    """Evidence on `assembly`, and what it was measured on. depth_scales (N,): from predicted depth to the scene.
    held_by: what held the fit.

    What the prior has not proved on this capture is no evidence."""
    fit, refined, kept = assembly.fit, assembly.refined, assembly.kept
    observations = problem.observations
    traces = _traces(prediction, problem, assembly, depth_scales, held_by is not None, trust, config)
    agree = traces.agreement[np.isfinite(traces.agreement)]
    usual = traces.usual_agreement
    held_out = traces.held_out.errors_px
    tracks = len(np.unique(observations.track[kept]))
    sharpness = np.array([frame.sharpness for frame in prediction.frames.frames], float)
    views = near_views(problem, fit.estimate, fit.points, kept, refined, sharpness, config.contradictions)
    bare = views.bare(config.contradictions)
    traces = replace(traces, bare=views.pairs[bare])
    total = np.bincount(problem.matches.pair, minlength=len(problem.matches.frames))
    evidence = Evidence(
        frames=problem.num_frames,
        refined_share=float(refined[traces.wanted].mean()),
        agreement=agreement(problem, traces.judged),
        median_error_px=_of(np.median, fit.errors_px[kept]),
        p95_error_px=_of(lambda errors: np.quantile(errors, 0.95), fit.errors_px[kept]),
        weakest=_of(lambda share: np.quantile(share, 0.1), agree),
        odd_frame=_of(np.min, usual[np.isfinite(usual)]) if refined.sum() > config.quality.few_views else None,
        weakest_cut=None if traces.cut is None else traces.cut.agreement,
        points_across=None if traces.seam is None else traces.seam.held,
        observations_per_frame=_of(np.median, traces.observations[refined]),
        mean_track_length=float(kept.sum() / tracks) if tracks else None,
        ray_spread_deg=_of(np.median, traces.spread_deg[traces.spread_deg > 0]),
        fov_deg=_farthest(traces.fov_deg, 60.0),
        exif_ratio=_farthest(traces.exif, 1.0),
        prior_ratio=_farthest(traces.prior, 1.0),
        speed_jump=None if traces.speed is None else traces.speed.size,
        held_out_px=float(np.median(held_out)) if len(held_out) >= _FEWEST_HELD_OUT else None,
        halves_deg=None if traces.halves is None else traces.halves.rotation_deg,
        halves_position=None if traces.halves is None else traces.halves.position,
        cells=_of(np.median, traces.cells[refined]),
        scale_jump=None if traces.scale is None else traces.scale.size,
        image_motion=image_motion(problem),
        false_pairs=_false_pairs(problem, traces.errors_px),
        refuted_neighbours=_refuted_neighbours(prediction, problem, traces.torn, config),
        refuted_overlap=_share(traces.doubled, total >= config.contradictions.fewest_matches),
        look_alikes=None if traces.alike is None else _share(traces.alike, total),
        scatter_deg=None if traces.scatter is None else traces.scatter.mean_deg,
        bare_views=float(bare.mean()) if len(bare) else None,
        cropped=float(len(traces.cropped)) or None,
    )
    if traces.few is not None:
        evidence = _of_few_views(evidence, traces, traces.few, _of(np.min, agree), config)
    return evidence, traces


def _traces(
    prediction: Prediction,
    problem: Problem,
    assembly: Assembly,
    depth_scales: Float,
    held: bool,
    trust: PriorTrust,
    config: RefineConfig,
) -> Traces:
    """All that is measured by frame, pair and camera."""
    frames = prediction.frames.frames
    fit, refined, kept = assembly.fit, assembly.refined, assembly.kept
    observations, cameras = problem.observations, fit.estimate.cameras
    origins, _ = world_rays(problem, fit.estimate, observations)
    errors_px = match_errors_px(problem, fit.estimate)
    judged = Estimate(np.where(refined[:, None, None], fit.estimate.cam_from_world, np.nan), cameras)
    adjusted = spread_mask(observations, config.solve.observations_per_frame, problem.size_px)
    thinned = problem.with_observations(observations.subset(adjusted))
    halves = few = scatter = None
    if problem.rigs is None and not problem.given_poses:
        halves = split_halves(thinned, judged, refined, config.solve, config.seed)
    # The jackknife knows nothing of measured depth, and would let go what that holds.
    most = config.quality.scattered_views if observations.depth is None else config.quality.few_views
    if not problem.given_poses and 3 <= refined.sum() <= most:
        fit_of_thinned = fit_points(thinned, judged, config.solve.min_ray_spread_deg, config.solve.strict_gate_px)
        scatter = block_jackknife(thinned, judged, refined, fit_of_thinned, config.solve, config.seed)
    if not problem.given_poses and refined.sum() <= config.quality.few_views:
        few = _few_views(thinned, judged, refined, held, config)
    guessed = sorted(cameras.keys() - problem.exif_focal_px.keys() - problem.known_cameras)
    torn = refuted_neighbours(frames, problem, errors_px, config.contradictions)
    return Traces(
        frames=frames,
        problem=problem,
        assembly=assembly,
        judged=judged,
        wanted=_wanted(prediction, problem, refined, config.quality),
        errors_px=errors_px,
        spread_deg=ray_spread_deg(observations, origins, fit.points, kept),
        cells=cells_covered(observations.frame[kept], observations.xy[kept], problem.size_px),
        held_out=held_out_errors(problem, judged, adjusted, config.seed),
        torn=torn,
        doubled=refuted_overlaps(problem, judged, fit.points, kept, errors_px, config.contradictions),
        alike=look_alikes(frames, problem, errors_px, config.contradictions),
        bare=np.zeros((0, 2), np.int64),
        exif={name: cameras[name].focal_px / focal for name, focal in problem.exif_focal_px.items()},
        prior={name: cameras[name].focal_px / problem.prior.cameras[name].focal_px for name in guessed}
        if trust.focal
        else {},
        solve=config.solve,
        cut=weakest_cut(problem, errors_px, refined),
        seam=worst_seam(observations, kept, refined, config.solve.parts.fewest_points),
        halves=halves,
        speed=speed_jump(frames, centres(judged.cam_from_world)),
        scale=scale_jump(np.where(refined, depth_scales, np.nan)) if trust.depth else None,
        scatter=scatter,
        few=few,
    )


def _few_views(thinned: Problem, judged: Estimate, refined: Bool, held: bool, config: RefineConfig) -> FewViews:
    """What the matches of few views leave open."""
    if refined.sum() < 3:
        return FewViews(thinned)
    fit = fit_points(thinned, judged, config.solve.min_ray_spread_deg, config.solve.strict_gate_px)
    return FewViews(
        thinned,
        fit,
        let_bend(thinned, judged, refined, config.solve),
        let_go(thinned, judged, refined, config.solve) if held else None,
    )


def _of_few_views(
    evidence: Evidence, traces: Traces, few: FewViews, weakest: float | None, config: RefineConfig
) -> Evidence:
    """With what the matches of few views leave open. weakest: agreement of the frame whose matches agree least."""
    refined = traces.assembly.refined
    if refined.sum() == 2:
        used = {few.problem.camera_of(int(frame)) for frame in np.flatnonzero(refined)}
        flat = few.problem.matches.homography_share
        return replace(
            evidence,
            known_focal=sum(name in few.problem.known_cameras for name in used) / len(used),
            relief=float(1 - np.median(flat)) if len(flat) else None,
        )
    if few.fit is None:
        return evidence
    observations = few.problem.observations
    sightings = np.bincount(observations.track[few.fit.kept], minlength=observations.num_tracks)
    return replace(
        evidence,
        linking_points=float((sightings >= 3).sum()),
        weakest_of_few=weakest,
        let_bend_deg=None if few.bent is None else few.bent.rotation_deg,
        bend_explained=None if few.bent is None else few.bent.explained,
        focal_sigma=focal_uncertainty(few.problem, few.fit, config.solve),
        let_go_deg=None if few.let_go is None else few.let_go.rotation_deg,
        let_go_focal=None if few.let_go is None else few.let_go.focal,
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


def _refuted_neighbours(prediction: Prediction, problem: Problem, torn: Int, config: RefineConfig) -> float | None:
    """Their number; None where no neighbours have enough matches to tell."""
    everywhere = np.full(len(problem.matches), np.inf)
    if not len(refuted_neighbours(prediction.frames.frames, problem, everywhere, config.contradictions)):
        return None
    return float(len(torn))


def _share(pairs: Int, of: Int | Bool) -> float | None:
    """Of the sum of `of` (Q,), what those pairs have; None of nothing."""
    return float(of[pairs].sum() / of.sum()) if of.any() else None


def _wanted(prediction: Prediction, problem: Problem, refined: Bool, config: QualityConfig) -> Bool:
    """(N,) the images for training, without a few that match nothing and are no part of the scene."""
    wanted = _for_training(prediction)
    strange = wanted & (np.bincount(problem.matches.frames.ravel(), minlength=problem.num_frames) == 0)
    if strange.sum() <= config.most_strangers * wanted.sum() and refined.sum() >= config.strangers_from:
        return wanted & ~strange
    return wanted


def _for_training(prediction: Prediction) -> Bool:
    """(N,) frames that the data set shows to a trainer; all where selection kept none for that."""
    training = np.array([frame.training for frame in prediction.frames.frames], bool)
    return training if training.any() else ~training


def _of(reduce: Callable[[NDArray[Any]], Any], values: NDArray[Any]) -> float | None:
    """None of nothing."""
    return float(reduce(values)) if len(values) else None


def _farthest(values: dict[str, float], usual: float) -> float | None:
    """The value whose ratio to the usual one is farthest from 1; None without any."""
    return float(max(values.values(), key=lambda value: abs(np.log(value / usual)))) if values else None
