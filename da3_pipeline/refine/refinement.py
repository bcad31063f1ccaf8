"""The refine stage: match, let candidates compete, assemble the scene, judge it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ..arrays import Bool, Float
from ..progress import Progress
from ..quiet import quiet_colmap
from ..types import CandidateScore, Prediction, Scene, Tracks, Verdict
from .amendments.convention import in_told_convention
from .amendments.doppelgangers import without_lookalikes
from .amendments.gps import with_gps
from .amendments.known_poses import with_known_poses
from .amendments.repeats import Solution, where_expected
from .assembly import Assembly, assemble, in_original_pixels, sample_colours, second_look
from .config import RefineConfig
from .depth_scale import depth_scales
from .initialisation.candidates import compete
from .matching.correspondences import Correspondences, find_correspondences
from .solve.problem import Problem, pose_problem
from .verdict.evidence import gather_evidence
from .verdict.gates import Evidence, judge_evidence

__all__ = ["refine_with", "run"]


def run(prediction: Prediction, config: RefineConfig, progress: Progress) -> Scene:
    """The scene refined from `prediction`; with `config.refine` off, or where nothing matches, the prior's own scene.

    Never fails on poor input: frames that matches cannot carry keep the prior's pose, and the verdict says so.
    """
    if not config.refine:
        return _prior_scene(prediction, config, why="not refined, as asked")
    with quiet_colmap():
        began = time.perf_counter()
        correspondences = find_correspondences(prediction, config, progress)
        matching_s = time.perf_counter() - began
        return refine_with(prediction, correspondences, config, progress, {"matching_s": matching_s})


def refine_with(
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
    figures: dict[str, float] | None = None,
) -> Scene:
    """As `run`, from matches that are already there; `figures` are carried into the scene's."""
    problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    prediction, convention = in_told_convention(problem, prediction, config)
    if convention is None:
        return _solved(problem, prediction, correspondences, config, progress, figures or {})
    if convention.applied:
        problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    figures = (figures or {}) | convention.figures
    scene = _solved(problem, prediction, correspondences, config, progress, figures)
    told = replace(scene.verdict, summary=f"{scene.verdict.summary}; {convention.sentence}")
    return replace(scene, verdict=told, figures=figures | scene.figures)


def _solved(
    problem: Problem,
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
    figures: dict[str, float],
) -> Scene:
    """The scene of a problem whose given poses, if any, are in the right convention."""
    began = time.perf_counter()
    if problem.num_frames <= config.priors.few_frames and not problem.given_poses:
        correspondences = correspondences.where(without_lookalikes(problem, config.priors, config.seed))
        problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    found = Solution(correspondences, problem, compete(problem, config, progress))
    found = where_expected(found, prediction, config, progress)
    correspondences, problem, candidates = found.correspondences, found.problem, found.candidates
    figures = {**figures, "adjustment_s": time.perf_counter() - began}
    scores = tuple(candidate.score for candidate in candidates)
    if not candidates:
        return _prior_scene(prediction, config, why="no frames could be matched")
    problem, winner = second_look(problem, correspondences, candidates[0], config.solve)
    winner, control = with_known_poses(problem, prediction.frames.frames, winner, config)
    winner, located = with_gps(problem, prediction.frames.frames, winner, config)
    assembly = assemble(problem, winner, config)
    if not (assembly.refined | assembly.guided).any():
        return _prior_scene(prediction, config, scores, "no frames fit together")
    tracks, cameras = in_original_pixels(problem, assembly)
    tracks = sample_colours(prediction, tracks, progress)
    fallback = np.full(problem.num_frames, assembly.prior_scale)
    scales = depth_scales(prediction, assembly.cam_from_world, tracks, fallback)
    evidence = gather_evidence(prediction, problem, assembly, scales, winner.held_by, config)
    verdict = _judged(evidence, found, config)
    return Scene(
        prediction=prediction,
        cameras=cameras,
        cam_from_world=assembly.cam_from_world,
        pose_source=_sources(assembly.refined, assembly.guided, assembly.cam_from_world),
        tracks=tracks,
        depth_scale=scales,
        verdict=verdict,
        candidates=scores,
        dropped=prediction.dropped,
        figures={
            **figures,
            "search_radius": found.radius or 0.0,
            **control,
            **located,
            **_figures(assembly, evidence, tracks),
        },
    )


def _judged(evidence: Evidence, found: Solution, config: RefineConfig) -> Verdict:
    if found.radius is None:
        return judge_evidence(evidence, config.quality)
    strict = config.quality.model_copy(update={"min_agreement": config.repeats.min_agreement})
    verdict = judge_evidence(evidence, strict)
    return replace(verdict, summary=f"{verdict.summary}; things repeat here, and the prior says which is which")


def _prior_scene(
    prediction: Prediction, config: RefineConfig, candidates: tuple[CandidateScore, ...] = (), why: str = ""
) -> Scene:
    """The prior as it is: no tracks, and a verdict that says that nothing verified it."""
    poses = np.asarray(prediction.cam_from_world, float).copy()
    posed = np.isfinite(poses).all((1, 2))
    verdict = judge_evidence(Evidence.nothing(len(posed)), config.quality)
    return Scene(
        prediction=prediction,
        cameras=dict(prediction.cameras),
        cam_from_world=poses,
        pose_source=_sources(np.zeros(len(posed), bool), np.zeros(len(posed), bool), poses),
        tracks=Tracks.empty(),
        depth_scale=np.where(posed, 1.0, np.nan),
        verdict=replace(verdict, summary=f"{why}: the poses are the prior's own, nothing verified them"),
        candidates=candidates,
        dropped=prediction.dropped,
    )


def _sources(refined: Bool, guided: Bool, poses: Float) -> tuple[str, ...]:
    posed = np.isfinite(poses).all((1, 2))
    names = np.select([refined, guided, posed], ["refined", "guided", "prior"], "none")
    return tuple(str(name) for name in names)


def _figures(assembly: Assembly, evidence: Evidence, tracks: Tracks) -> dict[str, float]:
    """What the report shows, beside the gates."""
    return {
        "refined_frames": float(assembly.refined.sum()),
        "components": float(assembly.components),
        "tracks": float(len(tracks)),
        "observations": float(len(tracks.observation_frame)),
        "mean_track_length": evidence.mean_track_length,
        "median_error_px": evidence.median_error_px,
        "p95_error_px": evidence.p95_error_px,
        "agreement": evidence.agreement,
        "median_parallax_deg": evidence.ray_spread_deg,
        "held_out_error_px": evidence.held_out_px,
        "halves_rotation_deg": evidence.halves_deg,
        "halves_position": evidence.halves_position,
        "cells_covered": evidence.cells,
        "false_pairs": evidence.false_pairs,
    }
