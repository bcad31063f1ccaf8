"""A room with a ball in it, ray-cast: images, depth, cameras and tracks that are exact."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.geometry import Camera, PixelMap, compose, invert, transform_points
from da3_pipeline.types import CandidateScore, Frame, FrameSet, Gate, Prediction, Scene, Tracks, Verdict

Float = NDArray[np.float64]

HALF_ROOM = np.array([3.0, 2.0, 3.0])
BALL_RADIUS = 0.8
WIDTH, HEIGHT = 240, 160
COLUMNS, ROWS = WIDTH // 2, HEIGHT // 2  # of depth maps, whatever the image's shape
CAMERA = Camera("SIMPLE_RADIAL", WIDTH, HEIGHT, (180.0, WIDTH / 2, HEIGHT / 2, -0.04))
MIXED = {
    "landscape": Camera("OPENCV", 240, 160, (180.0, 183.0, 121.0, 78.0, -0.05, 0.01, 0.006, -0.004)),
    "portrait": Camera("OPENCV", 150, 210, (170.0, 168.0, 73.0, 107.0, -0.03, 0.008, -0.003, 0.007)),
}
"""Two devices, two shapes, two lenses of which no coefficient equals another."""


def distance_to_surface(points: Float) -> Float:
    """How far (n, 3) points are from the nearest wall or the ball."""
    walls = np.abs(HALF_ROOM - np.abs(points)).min(axis=1)
    return np.minimum(walls, np.abs(np.linalg.norm(points, axis=1) - BALL_RADIUS))


def hit(origin: Float, directions: Float) -> Float:
    """(n,) ray parameters at which rays from inside the room meet the ball or a wall."""
    with np.errstate(divide="ignore"):
        walls = ((np.sign(directions) * HALF_ROOM - origin) / directions).min(
            axis=1, initial=np.inf, where=directions != 0
        )
    a, b = (directions**2).sum(axis=1), directions @ origin
    discriminant = b**2 - a * (origin @ origin - BALL_RADIUS**2)
    ball = (-b - np.sqrt(np.maximum(discriminant, 0))) / a
    return np.where((discriminant > 0) & (ball > 0), np.minimum(ball, walls), walls)


def paint(points: Float) -> NDArray[np.uint8]:
    """A smooth colour for every point of space."""
    return (127.5 + 120 * np.sin(points * [1.7, 2.3, 2.9] + [0.3, 1.1, 2.0])).astype(np.uint8)


def look_at(centre: Float, target: Float) -> Float:
    """cam_from_world (3, 4) with world -y up."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def cast(camera: Camera, cam_from_world: Float, pixels: Float) -> tuple[Float, Float]:
    """z-depth and world points that (n, 2) pixels see."""
    rays = np.concatenate([camera.unproject(pixels), np.ones((len(pixels), 1))], axis=1)
    world_from_cam = invert(cam_from_world)
    directions = rays @ world_from_cam[:, :3].T
    depth = hit(world_from_cam[:, 3], directions)
    return depth, world_from_cam[:, 3] + directions * depth[:, None]


def grid(camera: Camera, columns: int, rows: int) -> Float:
    """Pixels at the centres of a picture's cells."""
    down, across = np.indices((rows, columns))
    cell = np.array([camera.width / columns, camera.height / rows])
    return np.stack([across.ravel() + 0.5, down.ravel() + 0.5], axis=1) * cell


@cache
def picture(camera: Camera, pose: bytes) -> NDArray[np.uint8]:
    points = cast(camera, np.frombuffer(pose).reshape(3, 4), grid(camera, camera.width, camera.height))[1]
    return paint(points).reshape(camera.height, camera.width, 3)


@cache
def depth_map(camera: Camera, pose: bytes) -> NDArray[np.float32]:
    depth = cast(camera, np.frombuffer(pose).reshape(3, 4), grid(camera, COLUMNS, ROWS))[0]
    return depth.reshape(ROWS, COLUMNS).astype(np.float32)


def exact_tracks(poses: Float, cameras: list[Camera], count: int, seed: int = 0) -> Tracks:
    """Surface points with an observation in every view that sees them, at least two."""
    rng = np.random.default_rng(seed)
    sizes = [(camera.width, camera.height) for camera in cameras]
    starts = [cast(cameras[k], poses[k], rng.random((count, 2)) * sizes[k])[1] for k in range(len(poses))]
    points = np.concatenate(starts)[rng.permutation(count * len(poses))[:count]]
    seen: list[tuple[NDArray[np.int64], int, Float]] = []
    for k, (pose, camera) in enumerate(zip(poses, cameras, strict=True)):
        pixels = camera.project(transform_points(pose, points))
        inside = np.flatnonzero(((pixels > 1) & (pixels < [camera.width - 1, camera.height - 1])).all(axis=1))
        depth = cast(camera, pose, pixels[inside])[0]
        visible = np.abs(depth / transform_points(pose, points[inside])[:, 2] - 1) < 1e-6
        seen.append((inside[visible], k, pixels[inside[visible]]))
    point = np.concatenate([indices for indices, _, _ in seen])
    frame = np.concatenate([np.full(len(indices), k) for indices, k, _ in seen])
    xy = np.concatenate([pixels for _, _, pixels in seen])
    several = np.bincount(point, minlength=count)[point] >= 2
    kept, renumbered = np.unique(point[several], return_inverse=True)
    return Tracks(
        points[kept],
        paint(points[kept]),
        np.zeros(len(kept)),
        renumbered.astype(np.int64),
        frame[several].astype(np.int64),
        xy[several],
    )


@dataclass(frozen=True)
class Room:
    """Builds scenes of the room in a folder."""

    folder: Path

    distance_to_surface = staticmethod(distance_to_surface)
    paint = staticmethod(paint)

    def __call__(
        self,
        names: tuple[str, ...] = tuple(f"view_{k:02d}.png" for k in range(6)),
        camera_ids: tuple[str, ...] | None = None,
        cameras: dict[str, Camera] | None = None,
        track_count: int = 600,
        world: Float | None = None,
    ) -> Scene:
        """One frame a name, on an arc around the ball; `world` (3, 4) turns the whole scene."""
        cameras = cameras or {"phone": CAMERA}
        ids = camera_ids or tuple(next(iter(cameras)) for _ in names)
        angles = np.linspace(-0.5, 0.5, len(names))
        centres = 2.3 * np.stack([np.sin(angles), -0.2 + 0 * angles, -np.cos(angles)], axis=1)
        poses = np.array([look_at(centre, np.array([0.0, 0.1, 0.4])) for centre in centres])
        view_cameras = [cameras[key] for key in ids]
        depth = np.array([depth_map(camera, pose.tobytes()) for camera, pose in zip(view_cameras, poses, strict=True)])
        frames = tuple(self._frame(*item) for item in zip(names, ids, view_cameras, poses, strict=True))
        tracks = exact_tracks(poses, view_cameras, track_count)
        if world is not None:
            tracks = _moved(tracks, world)
            poses = compose(poses, invert(world)[None])
        return _scene(frames, cameras, view_cameras, poses, depth, tracks)

    def _frame(self, name: str, camera_id: str, camera: Camera, pose: Float) -> Frame:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(camera, pose.tobytes())).save(path)
        return Frame(name, path, camera.width, camera.height, camera_id, f"fingerprint of {name}")


def _moved(tracks: Tracks, world: Float) -> Tracks:
    return Tracks(
        transform_points(world, tracks.points),
        tracks.colours,
        tracks.point_error_px,
        tracks.observation_point,
        tracks.observation_frame,
        tracks.observation_xy,
    )


def _scene(
    frames: tuple[Frame, ...],
    cameras: dict[str, Camera],
    view_cameras: list[Camera],
    poses: Float,
    depth: NDArray[np.float32],
    tracks: Tracks,
) -> Scene:
    """The prior is the truth at a third of its scale, so that depth_scale matters."""
    prior = poses.copy()
    prior[:, :, 3] /= 3
    prediction = Prediction(
        FrameSet(frames, ()),
        "truth",
        depth / 3,
        np.ones_like(depth),
        prior,
        cameras,
        np.array([camera.K for camera in view_cameras]),
        tuple(PixelMap((camera.width / COLUMNS, camera.height / ROWS), (0.0, 0.0)) for camera in view_cameras),
    )
    gates = (
        Gate("registered_share", 1.0, ">=", 0.9, True, "share of the frames that were placed"),
        Gate("median_error_px", 0.2, "<=", 1.5, True, "how far matched points miss their pixels"),
    )
    return Scene(
        prediction,
        cameras,
        poses,
        tuple("refined" for _ in frames),
        tracks,
        np.full(len(frames), 3.0),
        Verdict(True, gates, "good: every frame placed, 0.20 px"),
        (
            CandidateScore("prior", 0.97, 0.9, len(frames), 0.2, 1.5, True),
            CandidateScore("global", 0.91, 0.8, 5, 0.4, 2.5),
        ),
        figures={"track_length_mean": 3.5},
    )


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """`room()` builds a scene; `room.distance_to_surface(points)` and `room.paint(points)` are its truth."""
    return Room(tmp_path / "capture")


@pytest.fixture
def mixed(room: Room) -> Scene:
    """Ten frames by two devices in turn, landscape and portrait."""
    names = tuple(f"walk/{k:02d}.png" for k in range(10))
    return room(names=names, camera_ids=tuple(list(MIXED)[k % 2] for k in range(10)), cameras=MIXED, track_count=900)


@pytest.fixture(scope="session")
def room_in() -> type[Room]:
    """`room_in(folder)` is what `room` is, for fixtures that outlive a test."""
    return Room
