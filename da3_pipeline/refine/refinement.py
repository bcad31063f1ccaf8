"""The refine stage, in the order in which it works: match, start, solve, amend, assemble, judge."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import reduce

import numpy as np

from ..arrays import Bool, Float
from ..progress import Progress
from ..quiet import quiet_colmap
from ..types import Prediction, Scene, Tracks, Verdict
from .amendments.convention import in_told_convention
from .amendments.doppelgangers import without_doppelgangers
from .amendments.fisheye import through_fisheye
from .amendments.gps import with_gps
from .amendments.known_poses import with_known_poses
from .amendments.repeats import where_expected
from .amendments.second_look import second_look
from .amendments.solution import Amendment, Solution
from .assembly import Assembly, assemble, in_original_pixels, sample_colours
from .config import RefineConfig
from .depth_scale import depth_scales
from .initialisation.candidates import compete
from .matching.correspondences import Correspondences, find_correspondences
from .solve.problem import pose_problem
from .verdict.evidence import gather_evidence
from .verdict.gates import Evidence, judge_evidence

__all__ = ["refine_matched", "run"]

OF_THE_PROBLEM: tuple[Amendment, ...] = (in_told_convention, without_doppelgangers)
"""What is known before anything is solved."""

OF_THE_WINNER: tuple[Amendment, ...] = (where_expected, second_look, through_fisheye, with_known_poses, with_gps)
"""What is done to the solution that won, in this order."""


def run(prediction: Prediction, config: RefineConfig, progress: Progress) -> Scene:
    """The scene refined from `prediction`; with `config.refine` off, or where nothing matches, the prior's own scene.

    Never fails on poor input: frames that matches cannot carry keep the prior's pose, and the verdict says so.
    """
    if not config.refine:
        return _prior_scene(prediction, config, why="not refined, as asked")
    with quiet_colmap():
        began = time.perf_counter()
        correspondences = find_correspondences(prediction, config, progress)
        figures = {"matching_s": time.perf_counter() - began}
        return refine_matched(prediction, correspondences, config, progress, figures)


def refine_matched(
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
    figures: dict[str, float] | None = None,
) -> Scene:
    """As `run`, from matches that are already there; `figures` are carried into the scene's."""
    began = time.perf_counter()
    solution = _start(prediction, correspondences, config, progress).saying(figures or {})
    solution = _solve(solution, config, progress)
    if not solution.candidates:
        return _unsolved(solution, config, "no frames could be matched")
    solution = _amend(solution, OF_THE_WINNER, config, progress)
    solution = solution.saying({"adjustment_s": time.perf_counter() - began})
    assembly = assemble(solution.problem, solution.winner, config)
    if not (assembly.refined | assembly.guided).any():
        return _unsolved(solution, config, "no frames fit together")
    return _judge(solution, assembly, config, progress)


def _start(
    prediction: Prediction, correspondences: Correspondences, config: RefineConfig, progress: Progress
) -> Solution:
    """The problem that the matches pose, amended by what is known beforehand."""
    problem = pose_problem(prediction, correspondences, config.features.max_long_side_px)
    return _amend(Solution(prediction, correspondences, problem), OF_THE_PROBLEM, config, progress)


def _solve(solution: Solution, config: RefineConfig, progress: Progress) -> Solution:
    """With the candidates that competed."""
    return replace(solution, candidates=compete(solution.problem, config, progress))


def _amend(solution: Solution, amendments: tuple[Amendment, ...], config: RefineConfig, progress: Progress) -> Solution:
    return reduce(lambda amended, amendment: amendment(amended, config, progress), amendments, solution)


def _judge(solution: Solution, assembly: Assembly, config: RefineConfig, progress: Progress) -> Scene:
    """The scene of the assembled solution, with its verdict."""
    prediction, problem, winner = solution.prediction, solution.problem, solution.winner
    tracks, cameras = in_original_pixels(problem, assembly)
    tracks = sample_colours(prediction, tracks, progress)
    fallback = np.full(problem.num_frames, assembly.prior_scale)
    scales = depth_scales(prediction, assembly.cam_from_world, tracks, fallback)
    evidence = gather_evidence(prediction, problem, assembly, scales, winner.held_by, config)
    quality = config.quality
    if solution.search_radius is not None:
        quality = quality.model_copy(update={"min_agreement": config.repeats.min_agreement})
    return Scene(
        prediction=prediction,
        cameras=cameras,
        cam_from_world=assembly.cam_from_world,
        pose_source=_sources(assembly.refined, assembly.guided, assembly.cam_from_world),
        tracks=tracks,
        depth_scale=scales,
        verdict=_remarked(judge_evidence(evidence, quality), solution),
        candidates=tuple(candidate.score for candidate in solution.candidates),
        dropped=prediction.dropped,
        figures={
            "search_radius": solution.search_radius or 0.0,
            **solution.figures,
            **_figures(assembly, evidence, tracks),
        },
    )


def _unsolved(solution: Solution, config: RefineConfig, why: str) -> Scene:
    scene = _prior_scene(solution.prediction, config, why)
    scores = tuple(candidate.score for candidate in solution.candidates)
    verdict = _remarked(scene.verdict, solution)
    return replace(scene, candidates=scores, verdict=verdict, figures=solution.figures)


def _prior_scene(prediction: Prediction, config: RefineConfig, why: str) -> Scene:
    """The prior as it is: no tracks, and a verdict that says that nothing verified it."""
    poses = np.asarray(prediction.cam_from_world, float).copy()
    posed = np.isfinite(poses).all((1, 2))
    verdict = judge_evidence(Evidence(frames=len(posed), refined_share=0.0), config.quality)
    return Scene(
        prediction=prediction,
        cameras=dict(prediction.cameras),
        cam_from_world=poses,
        pose_source=_sources(np.zeros(len(posed), bool), np.zeros(len(posed), bool), poses),
        tracks=Tracks.empty(),
        depth_scale=np.where(posed, 1.0, np.nan),
        verdict=replace(verdict, summary=f"{why}: the poses are the prior's own, nothing verified them"),
        candidates=(),
        dropped=prediction.dropped,
    )


def _remarked(verdict: Verdict, solution: Solution) -> Verdict:
    return replace(verdict, summary="; ".join((verdict.summary, *solution.remarks)))


def _sources(refined: Bool, guided: Bool, poses: Float) -> tuple[str, ...]:
    posed = np.isfinite(poses).all((1, 2))
    names = np.select([refined, guided, posed], ["refined", "guided", "prior"], "none")
    return tuple(str(name) for name in names)


def _figures(assembly: Assembly, evidence: Evidence, tracks: Tracks) -> dict[str, float]:
    """What the report shows, beside the gates; what could not be measured is left out."""
    measured = {
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
        "focal_sigma": evidence.focal_sigma,
    }
    return {
        "refined_frames": float(assembly.refined.sum()),
        "components": float(assembly.components),
        "tracks": float(len(tracks)),
        "observations": float(len(tracks.observation_frame)),
    } | {name: value for name, value in measured.items() if value is not None}
