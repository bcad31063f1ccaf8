"""Finished sessions to look at, and a port that nobody listens at."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.export import ExportConfig, write_report
from da3_pipeline.export import run as export
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.geometry import Camera, PixelMap, Sim3, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.storage.store import Session
from da3_pipeline.types import Frame, FrameSet, Prediction, Scene, StageRecord, Tracks, Verdict

Float = NDArray[np.float64]

FRAMES = 12
CAMERA = Camera("OPENCV", 320, 240, (230.0, 232.0, 163.0, 118.0, -0.18, 0.05, 0.002, -0.003))
CENTRE = np.array([40.0, -7.0, 12.0])
"""Away from the origin; the world's y axis points down."""

SURVEY = np.array([441500.0, 5121900.0, 2300.0])

PRIOR_FROM_WORLD = Sim3(0.3, np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1.0, 2.0, 3.0]))
PRIOR_ERROR = 0.2
"""By which the prior has moved one camera along the world's z, in units of the world."""


def orbit() -> Float:
    """(FRAMES, 3, 4) level cameras that look at CENTRE."""
    poses = []
    for angle in np.linspace(0.0, 1.2 * np.pi, FRAMES):
        position = CENTRE + np.array([4 * np.cos(angle), -1.0, 4 * np.sin(angle)])
        forward = (CENTRE - position) / np.linalg.norm(CENTRE - position)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        poses.append(np.concatenate([rotation, -(rotation @ position)[:, None]], axis=1))
    return np.array(poses)


def _tracks(poses: Float) -> Tracks:
    generator = np.random.default_rng(7)
    points = CENTRE + generator.uniform(-1.2, 1.2, (600, 3))
    seen = [CAMERA.project(transform_points(pose, points)) for pose in poses]
    inside = [((xy > 0) & (xy < [CAMERA.width, CAMERA.height])).all(axis=1) for xy in seen]
    frames = np.concatenate([np.full(mine.sum(), index) for index, mine in enumerate(inside)])
    xy = np.concatenate([pixels[mine] for pixels, mine in zip(seen, inside, strict=True)])
    colours = (255 * (points - points.min(0)) / np.ptp(points, axis=0)).astype(np.uint8)
    return Tracks(points, colours, np.zeros(600), np.concatenate([np.flatnonzero(m) for m in inside]), frames, xy)


def _prediction(folder: Path, poses: Float) -> Prediction:
    """A prior in a world of its own, with one camera in the wrong place; depth and confidence grow to the right."""
    frames = []
    for index in range(FRAMES):
        path = folder / f"{index:02d}.png"
        picture = np.full((CAMERA.height, CAMERA.width, 3), (20 * index, 120, 200), np.uint8)
        Image.fromarray(picture).save(path)
        frames.append(Frame(path.name, path, CAMERA.width, CAMERA.height, "wide", fingerprint=str(index)))
    wrong = poses.copy()
    wrong[5, :, 3] -= wrong[5, :, :3] @ [0.0, 0.0, PRIOR_ERROR]
    ramp = np.broadcast_to(1 + np.arange(16, dtype=np.float32), (FRAMES, 12, 16)).copy()
    return Prediction(
        FrameSet(tuple(frames), ()),
        "test",
        depth=ramp,
        conf=2 * ramp,
        cam_from_world=PRIOR_FROM_WORLD.apply_to_cameras(wrong),
        cameras={"wide": CAMERA},
        view_intrinsics=np.tile(CAMERA.K, (FRAMES, 1, 1)),
        pixel_maps=(PixelMap((20.0, 20.0), (0.0, 0.0)),) * FRAMES,
    )


def finished(folder: Path, output: Path, away: Float | None = None, **settings: object) -> Path:
    """The folder that a run leaves, stored stages included; the refined world is moved by `away` (3,)."""
    poses = orbit()
    there = Sim3(1.0, np.eye(3), np.zeros(3) if away is None else away)
    tracks = _tracks(poses)
    scene = Scene(
        _prediction(folder, poses),
        {"wide": CAMERA},
        there.apply_to_cameras(poses),
        ("refined",) * FRAMES,
        replace(tracks, points=there.apply(tracks.points)),
        np.full(FRAMES, 0.5),
        Verdict(True, (), "good: made by a test"),
        candidates=(),
    )
    (output / ".da3").mkdir(parents=True)
    result = export(scene, ExportConfig.model_validate(settings), SilentProgress(), output)
    session, record = Session(output), StageRecord("georegister", 0.0, 0.0, reused=False)
    session.save("georegister", "key", scene, record)
    session.save("export", "key", result, record)
    write_report(output, scene, result, (record,), {}, (), ReportConfig())
    return output


@pytest.fixture(scope="session")
def made_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("capture"), tmp_path_factory.mktemp("out") / "session")


@pytest.fixture
def session(made_session: Path, tmp_path: Path) -> Path:
    """A session of its own for each test, to be damaged at will."""
    return Path(shutil.copytree(made_session, tmp_path / "session"))


@pytest.fixture
def undistorted_session(tmp_path: Path) -> Path:
    """The same scene, exported as images of a pinhole camera."""
    (tmp_path / "capture").mkdir()
    return finished(tmp_path / "capture", tmp_path / "session", undistort=True)


@pytest.fixture
def survey_session(tmp_path: Path) -> Path:
    """The same scene in survey coordinates."""
    (tmp_path / "capture").mkdir()
    return finished(tmp_path / "capture", tmp_path / "session", away=SURVEY)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
