"""Synthetic captures with known truth: surfaces seen by cameras, noisy observations, false matches, rough priors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Camera, PixelMap, align_cameras, centres, identity, rotation_angle_deg
from da3_pipeline.imageio import write_rgb
from da3_pipeline.refine.matching.correspondences import Correspondences
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.verification import PairMatches
from da3_pipeline.types import Frame, FrameSet, Prediction

Float = NDArray[np.float64]
WIDTH, HEIGHT = 640, 480


@dataclass(frozen=True)
class Recipe:
    """A capture to make. Noise of the prior: rotation, centres (share of the extent), focal length."""

    frames: int = 8
    points: int = 500
    layout: str = "arc"  # arc, row, rotation (on the spot), halves (that share nothing), rig (pairs bolted together)
    surface: str = "relief"  # relief, plane
    noise_px: float = 0.3
    false_matches: float = 0.05
    focal_px: float = 600.0
    k1: float = 0.0
    seed: int = 0
    prior_deg: float = 5.0
    prior_shift: float = 0.05
    prior_focal: float = 1.15
    colour: tuple[int, int, int] = (200, 120, 40)
    spread: float = 4.0  # half the width of the surface
    lens: Camera | None = None  # in place of focal_px and k1


@dataclass(frozen=True)
class Synthetic:
    """What `refine` is given, and the truth."""

    prediction: Prediction
    correspondences: Correspondences
    cam_from_world: Float
    camera: Camera

    def with_prior(self, cam_from_world: Float) -> Synthetic:
        return replace(self, prediction=replace(self.prediction, cam_from_world=cam_from_world))

    def pose_errors(self, found: Float) -> tuple[float, float]:
        """Largest rotation error in degrees and centre error as a share of the extent, after a similarity."""
        moved = align_cameras(found, self.cam_from_world).apply_to_cameras(found)
        rotation = rotation_angle_deg(moved[:, :, :3], self.cam_from_world[:, :, :3]).max()
        extent = np.linalg.norm(np.ptp(centres(self.cam_from_world), axis=0))
        shift = np.linalg.norm(centres(moved) - centres(self.cam_from_world), axis=1).max()
        return float(rotation), float(shift / extent)


@pytest.fixture
def make_capture(tmp_path: Path) -> Callable[..., Synthetic]:
    """`make_capture(frames=8, layout='arc', ...)`: see Recipe."""

    def make(**changes: object) -> Synthetic:
        return build_capture(replace(Recipe(), **changes), tmp_path)  # type: ignore[arg-type]

    return make


def look_at(centre: Float, target: Float) -> Float:
    """(3, 4) pose of an upright camera at `centre` (world y points down)."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], 1)


def build_capture(recipe: Recipe, folder: Path) -> Synthetic:
    rng = np.random.default_rng(recipe.seed)
    truth = _cameras(recipe, rng)
    radial = Camera("SIMPLE_RADIAL", WIDTH, HEIGHT, (recipe.focal_px, WIDTH / 2, HEIGHT / 2, recipe.k1))
    camera = recipe.lens or radial
    seen = [
        _observe(camera, pose, points, recipe, rng) for pose, points in zip(truth, _points(recipe, rng), strict=True)
    ]
    features = tuple(
        Features(xy.astype(np.float32), np.ones(len(xy), np.float32), np.zeros((len(xy), 128), np.uint8))
        for _, xy in seen
    )
    pairs = [
        _match(i, j, seen[i], seen[j], recipe, rng) for i in range(recipe.frames) for j in range(i + 1, recipe.frames)
    ]
    correspondences = Correspondences(features, tuple(pair for pair in pairs if pair is not None))
    return Synthetic(_prediction(recipe, truth, folder, rng), correspondences, truth, camera)


def _cameras(recipe: Recipe, rng: np.random.Generator) -> Float:
    if recipe.layout == "rotation":
        return np.stack(
            [look_at(np.zeros(3), np.array([np.sin(a), 0, np.cos(a)])) for a in np.linspace(-0.3, 0.3, recipe.frames)]
        )
    poses = []
    for k, a in enumerate(np.linspace(-0.5, 0.5, recipe.frames)):
        wobble = 0.3 * rng.standard_normal(3)
        if recipe.layout == "row":
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
    if recipe.layout == "rotation":
        points = rng.uniform(-1, 1, (recipe.points, 3)) * [6, 3, 3] + [0, 0, 8]
    if recipe.layout != "halves":
        return [points] * recipe.frames
    nothing = np.full_like(points, np.nan)
    near, far = np.concatenate([points, nothing]), np.concatenate([nothing, points + np.array([0, 0, 100.0])])
    return [near if k < recipe.frames // 2 else far for k in range(recipe.frames)]


def _observe(
    camera: Camera, pose: Float, points: Float, recipe: Recipe, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Float]:
    xy = camera.project(np.nan_to_num(points @ pose[:, :3].T + pose[:, 3], nan=-1.0))
    xy = xy + recipe.noise_px * rng.standard_normal(xy.shape)
    inside = np.nan_to_num(xy, nan=-1.0)
    visible = (inside > 0).all(1) & (inside < [WIDTH, HEIGHT]).all(1) & (rng.random(len(xy)) < 0.8)
    return np.flatnonzero(visible), xy[visible]


def _match(
    i: int,
    j: int,
    first: tuple[NDArray[np.int64], Float],
    second: tuple[NDArray[np.int64], Float],
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
    frames = []
    for k in range(recipe.frames):
        path = folder / f"{k:03d}.png"
        write_rgb(path, np.full((HEIGHT, WIDTH, 3), recipe.colour, np.uint8))
        frames.append(Frame(path.name, path, WIDTH, HEIGHT, "camera", f"print{k}"))
    focal_px = (recipe.lens.focal_px if recipe.lens else recipe.focal_px) * recipe.prior_focal
    extent = max(float(np.linalg.norm(np.ptp(centres(truth), axis=0))), 1e-3)
    poses = []
    for pose, centre in zip(truth, centres(truth), strict=True):
        turn, _ = cv2.Rodrigues(np.radians(recipe.prior_deg) * rng.standard_normal(3) / np.sqrt(3))
        rotation = turn @ pose[:, :3]
        moved = centre + recipe.prior_shift * extent * rng.standard_normal(3) / np.sqrt(3)
        poses.append(np.concatenate([rotation, -(rotation @ moved)[:, None]], 1))
    shape = (recipe.frames, HEIGHT // 20, WIDTH // 20)
    K = np.array([[focal_px, 0, WIDTH / 2], [0, focal_px, HEIGHT / 2], [0, 0, 1.0]])
    return Prediction(
        FrameSet(tuple(frames), ()),
        "synthetic",
        np.ones(shape, np.float32),
        np.ones(shape, np.float32),
        np.stack(poses),
        {"camera": Camera.pinhole(WIDTH, HEIGHT, focal_px)},
        np.tile(K, (recipe.frames, 1, 1)),
        (PixelMap((20.0, 20.0), (0.0, 0.0)),) * recipe.frames,
    )


@pytest.fixture
def identical_poses() -> Callable[[int], Float]:
    return identity


@pytest.fixture
def random_poses() -> Callable[[int], Float]:
    def make(count: int) -> Float:
        rng = np.random.default_rng(7)
        rotations = np.stack([cv2.Rodrigues(3 * rng.standard_normal(3))[0] for _ in range(count)])
        return np.concatenate([rotations, rng.standard_normal((count, 3, 1))], 2)

    return make
