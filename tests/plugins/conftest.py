"""A finished session of exact cameras and tracks, written by the exporter: two lenses, both distorted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.export import ExportConfig
from da3_pipeline.export import run as export
from da3_pipeline.geometry import Camera, PixelMap, transform_points
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame, FrameSet, Prediction, Scene, Tracks, Verdict

Float = NDArray[np.float64]

FRAMES = 18
CAMERAS = {
    "wide": Camera("OPENCV", 320, 240, (230.0, 232.0, 163.0, 118.0, -0.18, 0.05, 0.002, -0.003)),
    "phone": Camera("SIMPLE_RADIAL", 240, 320, (260.0, 120.0, 160.0, 0.06)),
}
CENTRE = np.array([40.0, -7.0, 12.0])
"""Far from the origin, in metres, as of a survey: a trainer's world is centred."""


def _orbit() -> Float:
    """(FRAMES, 3, 4) cameras that look at CENTRE, held level, around a y-down world."""
    poses = []
    for angle in np.linspace(0.0, 1.5 * np.pi, FRAMES):
        position = CENTRE + np.array([4 * np.cos(angle), -1.0 - 0.3 * np.sin(3 * angle), 4 * np.sin(angle)])
        forward = (CENTRE - position) / np.linalg.norm(CENTRE - position)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        poses.append(np.concatenate([rotation, -(rotation @ position)[:, None]], axis=1))
    return np.array(poses)


def _frame(folder: Path, index: int, below: str = "") -> Frame:
    camera_id = "phone" if index % 3 == 2 else "wide"
    camera = CAMERAS[camera_id]
    path = folder / f"{index:02d}.png"
    rows, columns = np.mgrid[: camera.height, : camera.width]
    picture = np.stack([rows % 256, columns % 256, np.full_like(rows, 10 * index)], axis=-1).astype(np.uint8)
    Image.fromarray(picture).save(path)
    return Frame(f"{below}{path.name}", path, camera.width, camera.height, camera_id, fingerprint=str(index))


def _tracks(frames: tuple[Frame, ...], poses: Float) -> Tracks:
    generator = np.random.default_rng(7)
    points = CENTRE + generator.uniform(-1.2, 1.2, (300, 3))
    seen_points, seen_frames, seen_at = [], [], []
    for index, (frame, pose) in enumerate(zip(frames, poses, strict=True)):
        pixels = CAMERAS[frame.camera_id].project(transform_points(pose, points))
        inside = ((pixels > 0) & (pixels < [frame.width, frame.height])).all(axis=1)
        seen_points.append(np.flatnonzero(inside))
        seen_frames.append(np.full(inside.sum(), index))
        seen_at.append(pixels[inside])
    colours = generator.integers(0, 256, (300, 3), dtype=np.uint8)
    observations = (np.concatenate(part) for part in (seen_points, seen_frames, seen_at))
    return Tracks(points, colours, np.zeros(300), *observations)


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `da3-pipeline run` leaves of such a scene, below its quality gates."""
    return _finished(tmp_path_factory.mktemp("capture"), tmp_path_factory.mktemp("out") / "session", sky=None)


@pytest.fixture(scope="session")
def session_with_sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with sky in the upper eighth of every image."""
    sky = np.zeros((FRAMES, 8, 8), bool)
    sky[:, 0] = True
    return _finished(tmp_path_factory.mktemp("capture"), tmp_path_factory.mktemp("out") / "session", sky)


@pytest.fixture(scope="session")
def session_reduced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With sky, so with masks, and exported by `--downscale 2,4`."""
    sky = np.zeros((FRAMES, 8, 8), bool)
    sky[:, 0] = True
    folder = tmp_path_factory.mktemp("out") / "session"
    return _finished(tmp_path_factory.mktemp("capture"), folder, sky, config=ExportConfig(downscale=(2, 4)))


@pytest.fixture(scope="session")
def session_of_a_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with images below a folder, as of a video, completed as `ns-process-da3` does: three smaller copies."""
    from da3_nerfstudio.processing import complete

    folder = tmp_path_factory.mktemp("out") / "session"
    session = _finished(tmp_path_factory.mktemp("capture"), folder, sky=None, below="clip/")
    complete(session, 3)
    return session


def _finished(
    folder: Path,
    output: Path,
    sky: NDArray[np.bool_] | None,
    below: str = "",
    config: ExportConfig = ExportConfig(),  # noqa: B008 frozen
) -> Path:
    frames = tuple(_frame(folder, index, below) for index in range(FRAMES))
    poses = _orbit()
    verdict = Verdict(False, (), "too few tracks")
    prediction = Prediction(
        FrameSet(frames, ()),
        "truth",
        depth=np.zeros((FRAMES, 8, 8), np.float32),
        conf=np.ones((FRAMES, 8, 8), np.float32),
        cam_from_world=poses,
        cameras=CAMERAS,
        view_intrinsics=np.array([CAMERAS[frame.camera_id].K for frame in frames]),
        pixel_maps=tuple(PixelMap((frame.width / 8, frame.height / 8), (0.0, 0.0)) for frame in frames),
        sky=sky,
    )
    sources = ("refined",) * FRAMES
    tracks = _tracks(frames, poses)
    scene = Scene(prediction, CAMERAS, poses, sources, tracks, np.ones(FRAMES), verdict, candidates=())
    (output / ".da3").mkdir(parents=True)
    export(scene, config, SilentProgress(), output)
    report = {"verdict": {"passed": verdict.passed, "summary": verdict.summary, "gates": []}}
    (output / "report.json").write_text(json.dumps(report))
    return output
