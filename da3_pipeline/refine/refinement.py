"""The refine stage, in the order in which it works: match, start, solve, amend, assemble, judge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from ..arrays import Bool, Float
from ..progress import Progress
from ..quiet import quiet_colmap
from ..types import Prediction, Scene, Tracks, Verdict
from .amendments.capture_order import in_capture_order
from .amendments.contest import believing, solved
from .amendments.convention import in_told_convention
from .amendments.doppelgangers import without_doppelgangers
from .amendments.gps import with_gps
from .amendments.known_poses import with_known_poses
from .amendments.lenses.exif_focal import exif_judged, without_refuted_exif
from .amendments.lenses.fisheye import through_fisheye
from .amendments.lenses.off_centre import CENTRES_OPEN, with_centres_found
from .amendments.lenses.pixel_aspect import with_square_pixels
from .amendments.repeats import where_expected
from .amendments.second_look import second_look
from .amendments.sensor_depth import with_sensor_depth
from .amendments.solution import Amendment, Solution
from .amendments.which_way import turned_as_matches_say
from .assembly import Assembly, assemble, in_original_pixels, sample_colours
from .config import RefineConfig
from .depth_scale import depth_scales
from .matching.correspondences import Correspondences, escalate, find_correspondences
from .matching.escalation import left_weak
from .matching.matchers import escalation_matcher
from .other_places import other_places, restricted
from .solve.problem import Problem, pose_problem
from .solve.score import match_errors_px
from .torn_part import (
    asked_of_rest,
    beside_the_rest,
    fewest_remaining,
    held_to_all,
    images_held,
    said_of_part,
    torn_part,
    what_remains,
    why_torn,
)
from .verdict.evidence import gather_evidence
from .verdict.gates import Evidence, judge_evidence
from .verdict.joints import hang_on_learned
from .verdict.places import short_name
from .verdict.traces import Traces

__all__ = ["refine_matched", "run"]

OF_THE_WINNER: tuple[Amendment, ...] = (
    with_square_pixels,
    where_expected,
    in_capture_order,
    second_look,
    turned_as_matches_say,
    through_fisheye,
    with_centres_found,
    with_sensor_depth,
    with_known_poses,
    with_gps,
    exif_judged,
)
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
        fewest = fewest_remaining(prediction, config.quality)
        scene = _tried(prediction, correspondences, config, progress, figures, fewest)
        return held_to_all(scene, config.quality)


def _tried(
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
    figures: dict[str, float],
    fewest: int,
) -> Scene:
    """The best scene that can be had of these matches: of all frames, or else of those beside a part that is torn off,
    if they pass by themselves and hold `fewest` images."""
    scene = refine_matched(prediction, correspondences, config, progress, figures)
    scene = _restarted(scene, prediction, correspondences, config, progress)
    if config.matcher == "auto" and config.pairs.weak_matches:
        scene = _escalated(scene, prediction, correspondences, config, progress)
    names = what_remains(scene, fewest)
    if not names:
        return scene
    began = time.perf_counter()
    alone = np.flatnonzero([name in names for name in prediction.frames.names])
    found, asked = correspondences.among(alone), asked_of_rest(config)
    rest = _tried(restricted(prediction, names), found, asked, progress, dict(scene.figures), fewest)
    spent = {"rest_s": time.perf_counter() - began}
    if not rest.verdict.passed or len(images_held(rest)) < fewest:
        return replace(scene, figures=scene.figures | spent)
    rest = replace(rest, verdict=_remarked(rest.verdict, said_of_part(scene, config.quality.place_from)))
    return replace(beside_the_rest(scene, rest, config.quality.place_from), figures=rest.figures | spent)


def refine_matched(
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
    figures: dict[str, float] | None = None,
    amendments: tuple[Amendment, ...] | None = None,
) -> Scene:
    """As `run`, from matches that are already there and no others; `figures` are carried into the scene's.

    amendments: what is done to the solution that won, in place of OF_THE_WINNER.
    """
    began = time.perf_counter()
    config = _decided(config, prediction)
    solution = _start(prediction, correspondences, config, progress).saying(figures or {})
    solution = solved(solution, config, progress)
    if not solution.candidates:
        return _unsolved(solution, config, "no frames could be matched")
    solution = _amend(solution, OF_THE_WINNER if amendments is None else amendments, config, progress)
    solution = solution.saying({"adjustment_s": time.perf_counter() - began})
    assembly = assemble(solution.problem, solution.winner, config, solution.trust)
    if not (assembly.refined | assembly.guided).any():
        return _unsolved(solution, config, "no frames fit together")
    return _judge(solution, assembly, config, progress)


def _decided(config: RefineConfig, prediction: Prediction) -> RefineConfig:
    """With `poses_as` settled: as told, else a prior where another program's project told any pose."""
    if config.solve.poses_as != "auto":
        return config
    told = any(frame.known_pose_program is not None for frame in prediction.frames.frames)
    solve = config.solve.model_copy(update={"poses_as": "prior" if told else "fixed"})
    return config.model_copy(update={"solve": solve})


def _escalated(
    scene: Scene, prediction: Prediction, correspondences: Correspondences, config: RefineConfig, progress: Progress
) -> Scene:
    """The scene, or a better one with a learned matcher where SIFT leaves frames weak, or too few to prove themselves,
    and the scene shows it.

    The other must pass every gate that this one passes, and pass as a whole or hold more frames: where things look
    alike, learned matchers join what does not belong together even more readily. Without the package it is said.
    `prediction`: as it came, for the scene's may have been amended, and what was found out is found out again.
    """
    began = time.perf_counter()
    lost = np.array([source not in ("refined", "guided") for source in scene.pose_source])
    few = len(lost) <= config.pairs.escalated_up_to
    weak = lost | left_weak(len(lost), correspondences.pairs, config) | few
    if not weak.any() or (scene.verdict.passed and not lost.any()):
        return scene
    names = [prediction.frames.names[frame] for frame in np.flatnonzero(weak).tolist()]
    named = escalation_matcher(config)
    if named is None:
        remark = f"{_some_hang(names)} on little: pip install 'da3-pipeline[matchers]' may help"
        return replace(scene, verdict=_remarked(scene.verdict, remark))
    more = escalate(prediction, correspondences, weak, named, config, progress)
    other = refine_matched(prediction, more, config, progress, dict(scene.figures), _of_these_matches())
    other = _restarted(other, prediction, more, config, progress)
    if not _is_better(other, scene):
        other = replace(scene, verdict=_remarked(scene.verdict, f"{named[0]} did not help {_some(names)}"))
    return replace(other, figures=other.figures | {"escalation_s": time.perf_counter() - began})


def _restarted(
    scene: Scene,
    prediction: Prediction,
    correspondences: Correspondences,
    config: RefineConfig,
    progress: Progress,
) -> Scene:
    """The scene, or where it fails its gates a better one of the same matches that started elsewhere.

    Matches where the prior expects them are not sought once more: they would be those that did not help before.
    """
    how = config.initialisation
    matched = correspondences.pairs and not all(frame.known_cam_from_world is not None for frame in scene.frames)
    if scene.verdict.passed or not matched or not 3 <= len(scene.pose_source) <= how.restart_up_to:
        return scene
    began = time.perf_counter()
    again = config.model_copy(update={"initialisation": how.model_copy(update={"start": "incremental"})})
    other = refine_matched(prediction, correspondences, again, progress, dict(scene.figures), _of_these_matches())
    better = other if _is_better(other, scene) else scene
    return replace(better, figures=better.figures | {"restart_s": time.perf_counter() - began})


def _of_these_matches() -> tuple[Amendment, ...]:
    """What is done to a winner without seeking matches anew."""
    return tuple(amendment for amendment in OF_THE_WINNER if amendment is not where_expected)


def _is_better(other: Scene, scene: Scene) -> bool:
    """Whether it holds more frames, passes, or fails at less, and fails at nothing new; of a scene that holds none,
    that it holds any."""
    held, held_before = (one.pose_source.count("refined") for one in (other, scene))
    failed, failed_before = ({gate.name for gate in s.verdict.gates if not gate.passed} for s in (other, scene))
    worse = bool(held_before) and not failed <= failed_before
    gains = held > held_before or (held == held_before and len(failed) < len(failed_before))
    return not worse and (gains or other.verdict.passed > scene.verdict.passed)


def _start(
    prediction: Prediction, correspondences: Correspondences, config: RefineConfig, progress: Progress
) -> Solution:
    """The problem that the matches pose, amended by what is known beforehand."""
    problem = pose_problem(prediction, correspondences, config.features.max_long_side_px, config.solve.lens)
    return _amend(Solution(prediction, correspondences, problem), OF_THE_PROBLEM, config, progress)


OF_THE_PROBLEM: tuple[Amendment, ...] = (in_told_convention, without_refuted_exif, believing, without_doppelgangers)
"""What is known before anything is solved."""


def _amend(solution: Solution, amendments: tuple[Amendment, ...], config: RefineConfig, progress: Progress) -> Solution:
    return reduce(lambda amended, amendment: amendment(amended, config, progress), amendments, solution)


def _judge(solution: Solution, assembly: Assembly, config: RefineConfig, progress: Progress) -> Scene:
    """The scene of the assembled solution, with its verdict."""
    prediction, problem, winner = solution.prediction, solution.problem, solution.winner
    tracks, cameras = in_original_pixels(problem, assembly)
    tracks = sample_colours(prediction, tracks, progress)
    fallback = np.full(problem.num_frames, assembly.prior_scale)
    scales = depth_scales(prediction, assembly.cam_from_world, tracks, fallback)
    evidence, traces = gather_evidence(prediction, problem, assembly, scales, winner.held_by, solution.trust, config)
    evidence = replace(evidence, cropped=evidence.cropped or solution.figures.get(CENTRES_OPEN))
    believed = bool(solution.trust.poses) or _given_by_user(solution)
    sources = _sources(assembly.refined, assembly.guided, assembly.cam_from_world, believed)
    unverified = _unverified(problem, prediction.frames.names, sources)
    places = _other_places(problem, prediction.frames.names, sources, config)
    torn = _torn(problem, assembly, traces, config)
    quality = config.quality
    if solution.search_radius is not None:
        quality = quality.model_copy(update={"min_agreement": config.repeats.min_agreement})
    return Scene(
        prediction=prediction,
        cameras=cameras,
        cam_from_world=assembly.cam_from_world,
        pose_source=sources,
        unverified=unverified,
        other_places=places,
        torn=torn,
        tracks=tracks,
        depth_scale=scales,
        verdict=_remarked(
            judge_evidence(evidence, quality, traces),
            *solution.remarks,
            _left_out(prediction, unverified),
            _hanging(solution, assembly, config),
            *map(_another_place, places),
        ),
        candidates=tuple(candidate.score for candidate in solution.candidates),
        dropped=prediction.dropped,
        trust=solution.trust,
        figures={
            "search_radius": solution.search_radius or 0.0,
            **solution.figures,
            **_figures(assembly, evidence, tracks),
        },
    )


def _unsolved(solution: Solution, config: RefineConfig, why: str) -> Scene:
    scene = _prior_scene(solution.prediction, config, why, believed=_given_by_user(solution))
    scores = tuple(candidate.score for candidate in solution.candidates)
    verdict = _remarked(scene.verdict, *solution.remarks)
    return replace(scene, candidates=scores, verdict=verdict, figures=solution.figures)


def _prior_scene(prediction: Prediction, config: RefineConfig, why: str, believed: bool = True) -> Scene:
    """The prior as it is: no tracks, and a verdict that says that nothing verified it."""
    poses = np.asarray(prediction.cam_from_world, float).copy()
    posed = np.isfinite(poses).all((1, 2))
    verdict = judge_evidence(Evidence(frames=len(posed), refined_share=0.0), config.quality)
    said = f"{why}: the poses are the prior's own, nothing verified them"
    return Scene(
        prediction=prediction,
        cameras=dict(prediction.cameras),
        cam_from_world=poses,
        pose_source=_sources(np.zeros(len(posed), bool), np.zeros(len(posed), bool), poses, believed),
        tracks=Tracks.empty(),
        depth_scale=np.where(posed, 1.0, np.nan),
        verdict=replace(verdict, summary=said, remarks=(said,)),
        candidates=(),
        dropped=prediction.dropped,
    )


def _given_by_user(solution: Solution) -> bool:
    """Whether all poses are the user's word; what another program says of its own must prove itself."""
    told = any(frame.known_pose_program is not None for frame in solution.frames)
    return solution.problem.given_poses and not told


def _remarked(verdict: Verdict, *said: str) -> Verdict:
    remarks = tuple(filter(None, said))
    return replace(verdict, summary="; ".join((verdict.summary, *remarks)), remarks=(*verdict.remarks, *remarks))


def _sources(refined: Bool, guided: Bool, poses: Float, believed: bool) -> tuple[str, ...]:
    """See Scene. believed: whether the poses of other frames were given, or come from a prior that proved itself."""
    posed = np.isfinite(poses).all((1, 2))
    names = np.select([refined, guided, posed], ["refined", "guided", "prior" if believed else "unverified"], "none")
    return tuple(str(name) for name in names)


def _unverified(problem: Problem, names: tuple[str, ...], sources: tuple[str, ...]) -> dict[str, str]:
    """Why each frame that nothing verified is one: a clause that says what to film, too."""
    verified = np.array([source not in ("unverified", "none") for source in sources])
    pairs = problem.matches.frames
    reasons = {}
    for frame in np.flatnonzero(~verified).tolist():
        others = np.concatenate([pairs[pairs[:, 0] == frame, 1], pairs[pairs[:, 1] == frame, 0]])
        joined = [names[k] for k in others.tolist() if verified[k]]
        if not len(others):
            why = "nothing in it matches any other image: another place, or too far from the others?"
        elif not joined:
            why = "it matches only images that are left out, too: another place? add images that lead there"
        else:
            why = f"its matches with {_some(joined)} do not hold it in one place: add images between"
        reasons[names[frame]] = why
    return reasons


def _other_places(
    problem: Problem, names: tuple[str, ...], sources: tuple[str, ...], config: RefineConfig
) -> tuple[tuple[str, ...], ...]:
    left_out = np.array([source in ("unverified", "none") for source in sources])
    groups = other_places(problem, left_out, config.quality.place_from)
    return tuple(tuple(names[frame] for frame in group.tolist()) for group in groups)


def _torn(problem: Problem, assembly: Assembly, traces: Traces, config: RefineConfig) -> dict[str, str]:
    """Why the size of each frame of a part that is torn off is open."""
    if traces.seam is None or traces.seam.held >= config.quality.min_points_across:
        return {}
    part = torn_part(problem, traces.judged, assembly.kept, config)
    names = [traces.frames[frame].name for frame in np.flatnonzero(part).tolist()]
    return dict.fromkeys(names, why_torn(traces, part)) if names else {}


def _another_place(names: tuple[str, ...]) -> str:
    span = f"{short_name(names[0])} to {short_name(names[-1])}"
    return f"{len(names)} images left out match each other, {span}: another place? --split tries them as a data set"


def _left_out(prediction: Prediction, unverified: dict[str, str]) -> str:
    """What is said of images that would be in the data set, had anything verified them; empty without any."""
    images = [frame.name for frame in prediction.frames.frames if frame.training]
    lost = [name for name in images if name in unverified]
    if not lost:
        return ""
    return f"{len(images) - len(lost)} of {len(images)} images, left out: {_some(lost)} ({unverified[lost[0]]})"


def _hanging(solution: Solution, assembly: Assembly, config: RefineConfig) -> str:
    """Which frames a learned matcher alone joins to the rest; empty without any."""
    escalation = solution.correspondences.escalation
    if escalation is None:
        return ""
    errors_px = match_errors_px(solution.problem, assembly.fit.estimate)
    least = config.verification.min_inliers
    frames = hang_on_learned(solution.correspondences, errors_px, assembly.refined, least).tolist()
    names = [solution.prediction.frames.names[frame] for frame in frames]
    return f"{_some_hang(names)} on {escalation.matcher} alone" if names else ""


def _some_hang(names: Sequence[str]) -> str:
    return f"{_some(names)} {'hangs' if len(names) == 1 else 'hang'}"


def _some(names: Sequence[str]) -> str:
    most = 2
    return ", ".join(map(short_name, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


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
