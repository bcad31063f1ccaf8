"""From the winning candidate to the scene: all good observations, one component, original pixels, colours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Bool, Float, Int
from ..geometry import Camera, align_cameras
from ..grouping import Groups
from ..imageio import read_rgb
from ..progress import Progress
from ..types import Prediction, PriorTrust, Tracks
from .config import RefineConfig
from .initialisation.candidates import Candidate
from .solve.components import rigid_components
from .solve.lens_model import LADDER, as_opencv
from .solve.priors import extent, priors_of
from .solve.problem import Estimate, Problem
from .solve.rounds import Fit, adjust_held, fit_points
from .solve.score import AGREE_PX, frame_agreement, match_errors_px

__all__ = ["Assembly", "assemble", "in_original_pixels", "sample_colours"]

_NOT_SQUARE = 0.02  # |log| of a working image's shape by the original's, which rounding changes by less


@dataclass(frozen=True)
class Assembly:
    """The scene in working pixels. fit: on all tracks. refined (N,): frames of the component that tracks carry.

    kept (M,): observations that belong to the scene. cam_from_world (N, 3, 4): of the other frames too: `guided` (N,)
    ones are placed by their matches and the prior together, the rest by the prior or their own component, moved onto
    the refined ones. prior_scale: of that movement.
    """

    fit: Fit
    refined: Bool
    guided: Bool
    kept: Bool
    cam_from_world: Float
    prior_scale: float
    components: int


def assemble(problem: Problem, winner: Candidate, config: RefineConfig, trust: PriorTrust) -> Assembly:
    """Triangulates all tracks under the winner's poses and finds out which frames they carry.

    A frame that few of its matches agree with is not carried, however many points it happens to see. A prior that has
    proved its poses guides frames that have matches, but too few.
    """
    solve, estimate = config.solve, winner.fit.estimate
    fit = fit_points(problem, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    component, refined = _carried(problem, fit, config)
    poses, scale = _with_prior(problem, estimate, component, refined, winner)
    guided = np.zeros(problem.num_frames, bool)
    placed = replace(estimate, cam_from_world=poses)
    if trust.poses and not refined.all() and not problem.given_poses and (refined.any() or winner.held_by):
        if winner.held_by:
            guided, estimate = _supported(problem, estimate, placed, refined, config)
        else:
            guided, estimate = _guide(problem, placed, refined, config)
        poses = estimate.cam_from_world
        fit = fit_points(problem, estimate, solve.min_ray_spread_deg, solve.strict_gate_px)
    kept = _in_tracks(problem, fit.kept & (refined | guided)[problem.observations.frame])
    return Assembly(fit, refined, guided, kept, poses, scale, int(component.max(initial=-1)) + 1)


def in_original_pixels(problem: Problem, assembly: Assembly) -> tuple[Tracks, dict[str, Camera]]:
    """Tracks (black) and cameras of the assembly, in pixels of the original images and models that every trainer
    reads."""
    observations = problem.observations.subset(assembly.kept)
    errors = assembly.fit.errors_px[assembly.kept]
    scale = problem.scale[observations.frame]
    used = np.unique(problem.observations.track[assembly.kept])
    mean_error = np.bincount(observations.track, errors / scale[:, 0]) / np.maximum(observations.lengths, 1)
    tracks = Tracks(
        assembly.fit.points[used],
        np.zeros((len(used), 3), np.uint8),
        mean_error if len(used) else np.zeros(0),
        observations.track,
        observations.frame,
        observations.xy / scale,
    )
    original_px = np.round(problem.size_px / problem.scale).astype(int)
    cameras = {}
    for camera_id, camera in assembly.fit.estimate.cameras.items():
        first = problem.frames_of(camera_id)[0]
        (width, height), (across, down) = original_px[first].tolist(), problem.scale[first]
        squeezed = abs(np.log(across / down)) > _NOT_SQUARE and camera.model in LADDER
        common = as_opencv(camera) if camera.model == "RADIAL" or squeezed else camera
        cameras[camera_id] = common.resized(width, height)
    return tracks, cameras


def sample_colours(prediction: Prediction, tracks: Tracks, progress: Progress) -> Tracks:
    """The tracks with the mean colour of the pixels under their observations."""
    total = np.zeros((len(tracks), 3))
    frames = prediction.frames.frames
    by_frame = tracks.by_frame(len(frames))
    for index in by_frame.filled:
        frame, mine = frames[index], by_frame[index]
        progress.step(index, len(frames), "colours")
        rgb = read_rgb(frame.path)
        size = np.array([rgb.shape[1], rgb.shape[0]])
        pixel = tracks.observation_xy[mine] * size / np.array([frame.width, frame.height])
        column, row = np.clip(pixel, 0, size - 1).astype(int).T
        np.add.at(total, tracks.observation_point[mine], rgb[row, column])
    seen = np.bincount(tracks.observation_point, minlength=len(tracks))
    return replace(tracks, colours=np.round(total / np.maximum(seen, 1)[:, None]).astype(np.uint8))


def _in_tracks(problem: Problem, keep: Bool) -> Bool:
    """`keep` without observations that are left alone in their track."""
    track = problem.observations.track
    return keep & (np.bincount(track[keep], minlength=problem.observations.num_tracks) >= 2)[track]


def _carried(problem: Problem, fit: Fit, config: RefineConfig) -> tuple[Int, Bool]:
    """(N,) component of each frame, and whether it is in the first and most of its matches agree with it there."""
    observations = problem.observations
    kept = _in_tracks(problem, fit.kept)
    component = rigid_components(observations.subset(kept), problem.num_frames, config.solve.min_shared_points)
    agree = frame_agreement(problem, match_errors_px(problem, fit.estimate))
    return component, (component == 0) & (np.nan_to_num(agree) >= config.solve.min_frame_agreement)


def _guide(problem: Problem, estimate: Estimate, refined: Bool, config: RefineConfig) -> tuple[Bool, Estimate]:
    """Frames that are not carried, placed by what matches they have and the prior's poses together.

    Their matches fix directions, the prior their distance and whatever else is open; the carried frames stay.
    """
    held = replace(
        priors_of(problem, config.priors),
        cam_from_world=np.where(refined[:, None, None], np.nan, estimate.cam_from_world),
        position=config.priors.position_sigma * extent(estimate),
    )
    return _supported(problem, adjust_held(problem, estimate, held, refined, config.solve), estimate, refined, config)


def _supported(
    problem: Problem, found: Estimate, otherwise: Estimate, refined: Bool, config: RefineConfig
) -> tuple[Bool, Estimate]:
    """Which further frames enough of their matches agree with, in `found`; the others stay as they were."""
    errors = match_errors_px(problem, found)
    agree = np.nan_to_num(frame_agreement(problem, errors))
    frames = problem.matches.frames[problem.matches.pair][errors < AGREE_PX]
    supported = np.bincount(frames.ravel(), minlength=problem.num_frames) >= config.verification.min_inliers
    guided = ~refined & found.posed & supported & (agree >= 0.5)
    poses = np.where(guided[:, None, None], found.cam_from_world, otherwise.cam_from_world)
    return guided, replace(otherwise, cam_from_world=poses)


def _with_prior(
    problem: Problem, estimate: Estimate, component: Int, refined: Bool, winner: Candidate
) -> tuple[Float, float]:
    """Poses of all frames: the refined ones, the others from the prior moved onto these."""
    prior = problem.prior.cam_from_world
    known = np.isfinite(prior).all((1, 2))
    if not refined.any():
        return prior.copy(), 1.0
    if winner.held_by is not None:  # it is in the prior's world
        return np.where(estimate.posed[:, None, None], estimate.cam_from_world, prior), 1.0
    both = refined & known
    if not both.any():
        return np.where(refined[:, None, None], estimate.cam_from_world, np.nan), 1.0
    scene_from_prior = align_cameras(prior[both], estimate.cam_from_world[both])
    poses = scene_from_prior.apply_to_cameras(prior)
    of_component = Groups.of(np.where(known, component, -1), int(component.max(initial=-1)) + 1)
    for number in range(1, len(of_component)):
        mine = of_component[number]
        if len(mine) >= 3:  # keeps its own shape, placed where the prior says
            placed = align_cameras(estimate.cam_from_world[mine], poses[mine])
            poses[mine] = placed.apply_to_cameras(estimate.cam_from_world[mine])
    poses[refined] = estimate.cam_from_world[refined]
    return poses, scene_from_prior.scale
