"""Captures with known truth for several folders: surfaces seen by two cameras, noisy matches, rough priors.

The common recipe is what real captures are: two cameras of unlike focal length, one of them held upright and with a
distorting lens, photographs of unlike size, larger than the size they are solved at, depth maps with a border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from da3_pipeline.arrays import Float, Int
from da3_pipeline.geometry import Camera, PixelMap, align_cameras, centres, rotation_angle_deg
from da3_pipeline.imageio import write_rgb
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.verification import PairMatches
from da3_pipeline.refine.solve.problem import Estimate, Problem, pose_problem
from da3_pipeline.types import Frame, FrameSet, Prediction, RigPlace

__all__ = [
    "LANDSCAPE",
    "PORTRAIT",
    "WORKING_PX",
    "Make",
    "Recipe",
    "Synthetic",
    "build_capture",
    "landscape",
    "look_at",
    "on_spheres",
    "with_lookalike",
]

WORKING_PX = 1600  # the longer side of what is solved, by default
LANDSCAPE = Camera("SIMPLE_RADIAL", 3200, 2400, (3000.0, 1600.0, 1200.0, 0.0))
PORTRAIT = Camera("SIMPLE_RADIAL", 3000, 4000, (3500.0, 1500.0, 2000.0, -0.08))
DEPTH_SIDE = 40  # depth maps are square, the photograph in their middle


def landscape(focal_px: float = LANDSCAPE.focal_px, k1: float = 0.0) -> Camera:
    """A camera of the landscape kind, for tests that need a single one; focal length in original pixels."""
    return replace(LANDSCAPE, params=(focal_px, *LANDSCAPE.params[1:3], k1))


@dataclass(frozen=True)
class Recipe:
    """A capture to make; frame k is taken with lens k modulo their number.

    noise_px: of keypoints, in pixels of the working image. Noise of the prior: rotation, centres (share of the
    extent), focal length (factor).
    """

    frames: int = 8
    points: int = 500
    lenses: tuple[Camera, ...] = (LANDSCAPE, PORTRAIT)
    # arc, row, line, rotation (on the spot), turn (as good as), halves (that share nothing), rig (pairs, bolted),
    # around (threes that look 120 degrees apart from one spot, into a world all around)
    layout: str = "arc"
    surface: str = "relief"  # relief, plane
    noise_px: float = 0.5
    false_matches: float = 0.05
    seed: int = 0
    prior_deg: float = 5.0
    prior_shift: float = 0.05
    prior_focal: float = 1.15
    colour: tuple[int, int, int] = (200, 120, 40)
    spread: float = 4.0  # half the width of the surface

    def camera_id(self, frame: int) -> str:
        """'landscape' and 'portrait' of the two, 'camera' where there is one."""
        return ("landscape", "portrait")[frame % 2] if len(self.lenses) == 2 else "camera"

    def lens(self, frame: int) -> Camera:
        return self.lenses[frame % len(self.lenses)]


@dataclass(frozen=True)
class Synthetic:
    """What `refine` is given, and the truth: poses, and cameras by camera_id in original pixels."""

    prediction: Prediction
    correspondences: Correspondences
    cam_from_world: Float
    cameras: dict[str, Camera]

    @property
    def frames(self) -> tuple[Frame, ...]:
        return self.prediction.frames.frames

    @property
    def truth(self) -> Estimate:
        """In the pixels of `problem()`."""
        return Estimate(self.cam_from_world, {key: working(camera) for key, camera in self.cameras.items()})

    def problem(self) -> Problem:
        return pose_problem(self.prediction, self.correspondences, WORKING_PX)

    def with_prior(self, cam_from_world: Float) -> Synthetic:
        return replace(self, prediction=replace(self.prediction, cam_from_world=cam_from_world))

    def with_frames(self, frames: Iterator[Frame] | tuple[Frame, ...]) -> Synthetic:
        changed = replace(self.prediction.frames, frames=tuple(frames))
        return replace(self, prediction=replace(self.prediction, frames=changed))

    def filmed(self) -> Synthetic:
        """As frames of one video, whose order is certain."""
        return self.with_frames(replace(frame, video="clip.mp4") for frame in self.frames)

    def with_pairs(self, pairs: Iterator[PairMatches] | tuple[PairMatches, ...]) -> Synthetic:
        return replace(self, correspondences=replace(self.correspondences, pairs=tuple(pairs)))

    def pose_errors(self, found: Float) -> tuple[float, float]:
        """Largest rotation error in degrees and centre error as a share of the extent, after a similarity."""
        moved = align_cameras(found, self.cam_from_world).apply_to_cameras(found)
        rotation = rotation_angle_deg(moved[:, :, :3], self.cam_from_world[:, :, :3]).max()
        extent = np.linalg.norm(np.ptp(centres(self.cam_from_world), axis=0))
        shift = np.linalg.norm(centres(moved) - centres(self.cam_from_world), axis=1).max()
        return float(rotation), float(shift / extent)

    def focal_error(self, found: dict[str, Camera]) -> float:
        """Largest relative error of a focal length, at the size of the found camera."""
        assert found.keys() == self.cameras.keys()
        true = {key: camera.resized(found[key].width, found[key].height) for key, camera in self.cameras.items()}
        return max(abs(found[key].focal_px / camera.focal_px - 1) for key, camera in true.items())


Make = Callable[..., Synthetic]


def working(camera: Camera) -> Camera:
    """The camera at the size that is solved."""
    shrink = min(1.0, WORKING_PX / max(camera.width, camera.height))
    return camera.resized(round(camera.width * shrink), round(camera.height * shrink))


def with_lookalike(capture: Synthetic, i: int, j: int) -> Synthetic:
    """The capture with the matches of pair (i, j) replaced by those of frame i and a camera rolled by 60 degrees."""
    rng = np.random.default_rng(3)
    points = rng.uniform([-2, -1.5, 5], [2, 1.5, 9], (80, 3))
    angle = np.radians(60)
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    placed = {i: points, j: points @ roll.T + [1.0, 0.2, 0.1]}
    seen = {k: capture.cameras[capture.frames[k].camera_id].project(at) for k, at in placed.items()}
    features, first = list(capture.correspondences.features), {}
    for frame, xy in seen.items():
        first[frame] = len(features[frame])
        features[frame] = Features(
            np.concatenate([features[frame].xy, xy.astype(np.float32)]),
            np.ones(first[frame] + len(xy), np.float32),
            np.zeros((first[frame] + len(xy), 128), np.uint8),
        )
    false = np.column_stack([first[i] + np.arange(80), first[j] + np.arange(80)]).astype(np.int32)
    pairs = tuple(replace(p, matches=false) if (p.i, p.j) == (i, j) else p for p in capture.correspondences.pairs)
    return replace(capture, correspondences=replace(capture.correspondences, features=tuple(features), pairs=pairs))


def on_spheres(capture: Synthetic) -> Synthetic:
    """Of layout `around`: the three views of a spot on a rig whose sensors are given, with lenses that are known; the
    rig is turned by one view from spot to spot."""
    lens = capture.cameras["camera"]
    frames = []
    for k, frame in enumerate(capture.frames):
        sensor = (k + k // 3) % 3
        turn = capture.cam_from_world[sensor, :, :3] @ capture.cam_from_world[0, :, :3].T
        own = np.column_stack([turn, np.zeros(3)])
        place = RigPlace("walk", f"view{sensor}", f"spot{k // 3}", sensor == 0, own)
        frames.append(replace(frame, camera_id=place.sensor, rig=place, known_camera=lens))
    cameras = {f"view{sensor}": lens for sensor in range(3)}
    capture = replace(capture, prediction=replace(capture.prediction, cameras=cameras), cameras=cameras)
    return capture.with_frames(tuple(frames))


def look_at(centre: Float, target: Float) -> Float:
    """(3, 4) pose of an upright camera at `centre` (world y points down)."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], 1)


def build_capture(recipe: Recipe, folder: Path) -> Synthetic:
    rng = np.random.default_rng(recipe.seed)
    truth = _poses(recipe, rng)
    points = _points(recipe, rng)
    seen = [_observe(recipe.lens(k), truth[k], points[k], recipe, rng) for k in range(recipe.frames)]
    features = tuple(
        Features(xy.astype(np.float32), np.ones(len(xy), np.float32), np.zeros((len(xy), 128), np.uint8))
        for _, xy in seen
    )
    pairs = [
        _match(i, j, seen[i], seen[j], recipe, rng) for i in range(recipe.frames) for j in range(i + 1, recipe.frames)
    ]
    correspondences = Correspondences(features, tuple(pair for pair in pairs if pair is not None))
    cameras = {recipe.camera_id(k): recipe.lens(k) for k in range(min(recipe.frames, len(recipe.lenses)))}
    return Synthetic(_prediction(recipe, truth, folder, rng), correspondences, truth, cameras)


def _poses(recipe: Recipe, rng: np.random.Generator) -> Float:
    if recipe.layout == "rotation":
        return np.stack(
            [look_at(np.zeros(3), np.array([np.sin(a), 0, np.cos(a)])) for a in np.linspace(-0.3, 0.3, recipe.frames)]
        )
    if recipe.layout == "around":
        spots = np.repeat(rng.uniform([-1, -0.3, -1], [1, 0.3, 1], (-(-recipe.frames // 3), 3)), 3, axis=0)
        yaws = np.radians(120) * np.arange(recipe.frames)
        ahead = np.column_stack([np.sin(yaws), np.zeros(len(yaws)), np.cos(yaws)])
        return np.stack([look_at(spot, spot + gaze) for spot, gaze in zip(spots, ahead, strict=False)])
    if recipe.layout == "turn":  # a hand that turns moves a little, too
        steps = np.linspace(-0.3, 0.3, recipe.frames)
        places = [np.array([0.4 * a, 0.1 * np.sin(9 * a), 0.2 * a]) for a in steps]
        gazes = [np.array([np.sin(a), 0.0, np.cos(a)]) for a in steps]
        return np.stack([look_at(at, at + gaze) for at, gaze in zip(places, gazes, strict=True)])
    poses = []
    for k, a in enumerate(np.linspace(-0.5, 0.5, recipe.frames)):
        wobble = 0.3 * rng.standard_normal(3)
        if recipe.layout == "line":  # exactly straight, along the whole surface
            centre = np.array([1.8 * recipe.spread * a, 0.0, -6.0])
            poses.append(look_at(centre, centre + np.array([0.3, 0, 6.0]) + 0.3 * wobble))
        elif recipe.layout == "row":
            centre = np.array([6 * a, 0.0, -6.0])
            poses.append(look_at(centre + 0.2 * wobble, centre + np.array([0, 0, 6.0])))
        else:
            centre = np.array([8 * np.sin(a), 0.5 * np.sin(5 * a), -8 * np.cos(a)])
            poses.append(look_at(centre + wobble, 0.3 * rng.standard_normal(3)))
        if recipe.layout == "halves" and k >= recipe.frames // 2:
            poses[-1] = look_at(centre + wobble + [0, 0, 100.0], np.array([0, 0, 100.0]))
        if recipe.layout == "rig" and k % 2:
            poses[-1] = np.concatenate([poses[-2][:, :3], poses[-2][:, 3:] + [[-0.6], [0.0], [0.1]]], 1)
    return np.stack(poses)


def _points(recipe: Recipe, rng: np.random.Generator) -> list[Float]:
    """The points that each frame may see: (P, 3), NaN where they are not its own."""
    xy = rng.uniform(-recipe.spread, recipe.spread, (recipe.points, 2))
    z = np.zeros(recipe.points) if recipe.surface == "plane" else 1.2 * np.sin(xy[:, 0]) * np.cos(1.3 * xy[:, 1])
    points = np.column_stack([xy, z])
    if recipe.layout in ("rotation", "turn"):
        points = rng.uniform(-1, 1, (recipe.points, 3)) * [6, 3, 3] + [0, 0, 8]
    if recipe.layout == "around":
        points = rng.normal(size=(recipe.points, 3)) * [1, 0.4, 1]
        points *= rng.uniform(3, 6, (recipe.points, 1)) / np.linalg.norm(points, axis=1, keepdims=True)
    if recipe.layout != "halves":
        return [points] * recipe.frames
    nothing = np.full_like(points, np.nan)
    near, far = np.concatenate([points, nothing]), np.concatenate([nothing, points + np.array([0, 0, 100.0])])
    return [near if k < recipe.frames // 2 else far for k in range(recipe.frames)]


def _observe(camera: Camera, pose: Float, points: Float, recipe: Recipe, rng: np.random.Generator) -> tuple[Int, Float]:
    noise_px = recipe.noise_px * camera.width / working(camera).width
    xy = camera.project(np.nan_to_num(points @ pose[:, :3].T + pose[:, 3], nan=-1.0))
    xy = xy + noise_px * rng.standard_normal(xy.shape)
    inside = np.nan_to_num(xy, nan=-1.0)
    visible = (inside > 0).all(1) & (inside < [camera.width, camera.height]).all(1) & (rng.random(len(xy)) < 0.8)
    return np.flatnonzero(visible), xy[visible]


def _match(
    i: int,
    j: int,
    first: tuple[Int, Float],
    second: tuple[Int, Float],
    recipe: Recipe,
    rng: np.random.Generator,
) -> PairMatches | None:
    _, a, b = np.intersect1d(first[0], second[0], return_indices=True)
    if len(a) < 15:
        return None
    fundamental, _ = cv2.findFundamentalMat(first[1][a], second[1][b], cv2.FM_8POINT)
    wrong = rng.random(len(a)) < recipe.false_matches
    b[wrong] = rng.permutation(b[wrong])
    flat = 1.0 if recipe.surface == "plane" or recipe.layout == "rotation" else 0.3
    matches = np.column_stack([a, b]).astype(np.int32)
    return PairMatches(i, j, matches, np.asarray(fundamental, float)[:3], flat, len(a) + 10)


def _prediction(recipe: Recipe, truth: Float, folder: Path, rng: np.random.Generator) -> Prediction:
    """Depth 1 everywhere; one pinhole a camera. The pictures on disk are thumbnails: only their colour is looked at."""
    lenses = [recipe.lens(k) for k in range(recipe.frames)]
    frames, guesses, maps = [], [], []
    for k, lens in enumerate(lenses):
        path = folder / f"{k:03d}.png"
        write_rgb(path, np.full((lens.height // 50, lens.width // 50, 3), recipe.colour, np.uint8))
        frames.append(Frame(path.name, path, lens.width, lens.height, recipe.camera_id(k), f"print{k}"))
        guesses.append(Camera.pinhole(lens.width, lens.height, lens.focal_px * recipe.prior_focal))
        longer = max(lens.width, lens.height)
        maps.append(PixelMap((longer / DEPTH_SIDE,) * 2, ((lens.width - longer) / 2, (lens.height - longer) / 2)))
    extent = max(float(np.linalg.norm(np.ptp(centres(truth), axis=0))), 1e-3)
    poses = []
    for pose, centre in zip(truth, centres(truth), strict=True):
        turn, _ = cv2.Rodrigues(np.radians(recipe.prior_deg) * rng.standard_normal(3) / np.sqrt(3))
        rotation = turn @ pose[:, :3]
        moved = centre + recipe.prior_shift * extent * rng.standard_normal(3) / np.sqrt(3)
        poses.append(np.concatenate([rotation, -(rotation @ moved)[:, None]], 1))
    ones = np.ones((recipe.frames, DEPTH_SIDE, DEPTH_SIDE), np.float32)
    return Prediction(
        FrameSet(tuple(frames), ()),
        "synthetic",
        ones,
        ones,
        np.stack(poses),
        {frame.camera_id: guess for frame, guess in zip(frames, guesses, strict=True)},
        np.stack([guess.K for guess in guesses]),
        tuple(maps),
    )
