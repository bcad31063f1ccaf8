"""Scenes of a capture with known metres, known north and known up, in a world that knows none of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Camera, PixelMap, Sim3, centres, nearest_rotation, transform_points
from da3_pipeline.types import Frame, FrameSet, GpsPosition, Prediction, Scene, Tracks, Verdict

Float = NDArray[np.float64]

WIDTH, HEIGHT, STRIDE = 400, 300, 4
CAMERA = Camera.pinhole(WIDTH, HEIGHT, 350.0)
ORIGIN = GpsPosition(46.84266, -91.994, 198.6)


@dataclass(frozen=True)
class Truth:
    """enu_from_world: from the scene's arbitrary world to metres, x east, y north, z up. centres_m (N, 3)."""

    scene: Scene
    enu_from_world: Sim3
    centres_m: Float


def look(centre: Float, target: Float) -> Float:
    """cam_from_world (3, 4) of a level camera in a world with z up."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0.0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def geodetic(metres: Float, origin: GpsPosition = ORIGIN) -> list[GpsPosition]:
    """(N, 3) east, north, up as positions; without altitude where z is NaN."""
    assert origin.altitude_m is not None
    transform = pycolmap.GPSTransform(pycolmap.GPSTransformEllipsoid.WGS84)
    rows = transform.enu_to_ellipsoid(
        np.nan_to_num(metres), origin.latitude_deg, origin.longitude_deg, origin.altitude_m
    )
    return [
        GpsPosition(float(lat), float(lon), float(alt) if np.isfinite(z) else None)
        for (lat, lon, alt), z in zip(rows, metres[:, 2], strict=True)
    ]


@pytest.fixture
def capture() -> Callable[..., Truth]:
    """`capture(count, radius_m)`: level cameras on a ring that look down at uneven ground, 30 m below them."""

    def build(
        count: int = 12,
        radius_m: float = 40.0,
        gps: Float | str | None = None,
        seed: int = 0,
        names: Sequence[str] = (),
    ) -> Truth:
        rng = np.random.default_rng(seed)
        angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
        ring = radius_m * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
        ring += rng.normal(0, 0.05 * radius_m, ring.shape)
        poses = np.array([look(centre, np.array([0, 0, -30.0])) for centre in ring])
        world = nearest_rotation(rng.normal(size=(3, 3)))
        enu_from_world = Sim3(7.3, world, rng.normal(0, 5, 3))
        positions = geodetic(ring) if isinstance(gps, str) else None if gps is None else geodetic(ring + gps)
        names = names or [f"{k:03d}.jpg" for k in range(count)]
        frames = tuple(
            Frame(name, Path(name), WIDTH, HEIGHT, "phone", name, gps=positions[k] if positions else None)
            for k, name in enumerate(names)
        )
        scene = scene_of(frames, poses, rng)
        return Truth(moved(scene, enu_from_world.inverse()), enu_from_world, centres(poses))

    return build


def scene_of(frames: tuple[Frame, ...], poses: Float, rng: np.random.Generator) -> Scene:
    """Exact tracks on flat ground at z = -30, and depth maps in a prior's units that are half as long."""
    ground = np.concatenate([rng.uniform(-60, 60, (400, 2)), np.full((400, 1), -30.0)], axis=1)
    rows, columns = np.indices((HEIGHT // STRIDE, WIDTH // STRIDE))
    pixels = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1) * STRIDE
    rays = np.concatenate([CAMERA.unproject(pixels), np.ones((len(pixels), 1))], axis=1)
    depths, seen = [], []
    for index, pose in enumerate(poses):
        centre = centres(pose)
        slope = (rays @ pose[:, :3])[:, 2]
        with np.errstate(divide="ignore"):
            depth = np.where(slope < 0, (-30.0 - centre[2]) / slope, np.inf)
        depths.append(np.where(depth < 500, depth, 0).reshape(rows.shape).astype(np.float32) * 2)
        at = CAMERA.project(transform_points(pose, ground))
        inside = np.flatnonzero(((at > 0) & (at < [WIDTH, HEIGHT])).all(axis=1))
        seen.append((inside, np.full(len(inside), index), at[inside]))
    point, frame, xy = (np.concatenate(column) for column in zip(*seen, strict=True))
    kept, point = np.unique(point, return_inverse=True)
    tracks = Tracks(
        ground[kept], np.zeros((len(kept), 3), np.uint8), np.zeros(len(kept)), point.astype(np.int64), frame, xy
    )
    prior = poses.copy()
    prior[:, :, 3] *= 2
    count = len(frames)
    prediction = Prediction(
        FrameSet(frames, ()),
        "truth",
        np.array(depths),
        np.ones((count, *rows.shape), np.float32),
        prior,
        {"phone": CAMERA},
        np.tile(CAMERA.K, (count, 1, 1)),
        (PixelMap((float(STRIDE), float(STRIDE)), (0.0, 0.0)),) * count,
    )
    scales = np.full(count, 0.5)
    return Scene(
        prediction, {"phone": CAMERA}, poses, ("refined",) * count, tracks, scales, Verdict(True, (), "good"), ()
    )


def moved(scene: Scene, target_from_scene: Sim3) -> Scene:
    return replace(
        scene,
        cam_from_world=target_from_scene.apply_to_cameras(scene.cam_from_world),
        tracks=replace(scene.tracks, points=target_from_scene.apply(scene.tracks.points)),
        depth_scale=scene.depth_scale * target_from_scene.scale,
    )
