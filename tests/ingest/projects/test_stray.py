"""Stray Scanner: frames of a video with poses and depth by number, upright as players show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, WORLD_POINT, opencv, project_point, seen_where_it_is
from scipy.spatial.transform import Rotation

from da3_pipeline import ingest, select
from da3_pipeline.errors import CaptureError
from da3_pipeline.files.depthio import read_depth
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.ingest.projects.clips import with_known_frames
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.ingest.projects.views import Project
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import SelectConfig
from da3_pipeline.types import Capture

HEADER = "timestamp, frame, x, y, z, qx, qy, qz, qw"
TEN = [POSES[k % 3] for k in range(10)]
Record = Callable[..., Path]


def row(number: int, pose: np.ndarray, own: Sequence[float] = ()) -> str:
    placed = opencv(pose)
    words = [number / 60, f"{number:06d}", *placed[:3, 3], *Rotation.from_matrix(placed[:3, :3]).as_quat(), *own]
    return ", ".join(map(str, words))


def film(path: Path, frames: int) -> None:
    """A wall that passes by, 640 x 480."""
    wall = np.random.default_rng(0).integers(0, 255, (30, 90, 3), np.uint8)
    wide = np.asarray(Image.fromarray(wall).resize((1440, 480), Image.Resampling.BICUBIC))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for k in range(frames):
            picture = np.ascontiguousarray(wide[:, 60 * k : 60 * k + 640])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """`record(rows)` lays a recording of ten frames."""

    def lay(rows: Sequence[str], header: str = HEADER) -> Path:
        folder = tmp_path / "71de12f9"
        for kind in ("depth", "confidence"):
            (folder / kind).mkdir(parents=True)
        film(folder / "rgb.mp4", 10)
        (folder / "odometry.csv").write_text("\n".join([header, *rows]))
        fx, fy, cx, cy = CAMERA.params
        np.savetxt(folder / "camera_matrix.csv", [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], delimiter=", ")
        for k in range(10):
            Image.fromarray(np.full((6, 8), 1000 + k, np.uint16)).save(folder / "depth" / f"{k:06d}.png")
            sure = np.full((6, 8), 2, np.uint8)
            sure[0, 0] = 0
            Image.fromarray(sure).save(folder / "confidence" / f"{k:06d}.png")
        return folder

    return lay


def found(folder: Path) -> Project:
    project = find_project(folder)
    assert project is not None and project.program == "Stray Scanner"
    return project


def sized(project: Project) -> Project:
    """With the size of the video, which only the clip knows."""
    views = ((view, view.intrinsics) for view in project.views)
    return replace(
        project, views=tuple(replace(v, intrinsics=i and replace(i, width=640, height=480)) for v, i in views)
    )


def test_a_point_is_seen_where_it_is(record: Record) -> None:
    """Rows may come in any order; a row's own intrinsics go before those of the last frame."""
    folder = record(
        [row(k, pose, (400, 410, 300, 200)) for k, pose in reversed(list(enumerate(POSES)))],
        HEADER + ", fx, fy, cx, cy",
    )
    project = sized(found(folder))
    assert [view.frame for view in project.views] == [2, 1, 0]
    seen_where_it_is(project.views, Camera("PINHOLE", 640, 480, (400.0, 410.0, 300.0, 200.0)), POSES[::-1])
    (folder / "odometry.csv").write_text("\n".join([HEADER, *(row(k, pose) for k, pose in enumerate(POSES))]))
    project = sized(found(folder))
    seen_where_it_is(project.views)
    assert project.metric and project.up == (0.0, 1.0, 0.0) and not project.views[0].calibrated


def test_frames_taken_from_the_video_know_their_own_pose_and_depth(record: Record) -> None:
    """By number, whatever was taken; depth and confidence are no photographs."""
    rows = [row(k, pose) for k, pose in enumerate(TEN) if k != 4]
    folder = record(rows)
    capture = ingest.run([folder], IngestConfig(), SilentProgress())
    assert not capture.photos and len(capture.videos) == 1
    assert capture.told == ("Stray Scanner project: 9 frames of rgb.mp4, poses, cameras and depth read as priors",)
    frames = select.run(capture, SelectConfig(every=2), SilentProgress(), folder.parent / "stills").frames
    assert [frame.name[-10:] for frame in frames] == [f"{k:06d}.jpg" for k in (0, 2, 4, 6, 8)]
    for frame in frames:
        number = int(frame.path.stem)
        assert frame.exif_focal_px == pytest.approx(np.mean(CAMERA.params[:2]))
        if number == 4:
            assert frame.known_cam_from_world is None and frame.depth is None and frame.up_in_camera is None
            continue
        assert frame.known_cam_from_world is not None and frame.depth is not None
        assert (frame.known_pose_program, frame.known_pose_metric) == ("Stray Scanner", True)
        np.testing.assert_allclose(frame.known_cam_from_world, TEN[number], atol=1e-12)
        np.testing.assert_allclose(frame.up_in_camera, TEN[number][:, 1], atol=1e-12)
        depth = read_depth(frame.depth)
        assert depth[3, 3] == pytest.approx(1 + number / 1000) and np.isnan(depth[0, 0])


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_poses_and_depth_turn_with_the_video(record: Record, rotation_deg: int) -> None:
    """They are of the stored picture, 640 x 480; the point moves to where the turned picture shows it."""
    project = found(record([row(0, POSES[0])]))
    (clip,) = ingest.run([project.path], IngestConfig(), SilentProgress()).videos
    sides = (640, 480) if rotation_deg % 180 == 0 else (480, 640)
    turned = replace(clip, rotation_deg=rotation_deg, width=sides[0], height=sides[1])
    known = with_known_frames(Capture((), (turned,), ()), project, "prior", True)[0].videos[0].known_frames
    assert known is not None
    x, y = project_point(CAMERA, POSES[0], WORLD_POINT)
    fx, fy, cx, cy = CAMERA.params
    camera, shown = {
        0: ((fx, fy, cx, cy), (x, y)),
        90: ((fy, fx, cy, 640 - cx), (y, 640 - x)),
        180: ((fx, fy, 640 - cx, 480 - cy), (640 - x, 480 - y)),
        270: ((fy, fx, 480 - cy, cx), (480 - y, x)),
    }[rotation_deg]
    upright = Camera("PINHOLE", *sides, camera)
    np.testing.assert_allclose(project_point(upright, known.cam_from_world[0], WORLD_POINT), shown)
    assert known.depth[0].quarter_turns == -rotation_deg // 90 % 4


def test_poses_can_be_kept_or_left_out(record: Record) -> None:
    folder = record([row(k, pose) for k, pose in enumerate(TEN)])
    for poses, program, posed in (("fixed", None, 10), ("none", None, 0)):
        config = IngestConfig.model_validate({"project_poses": poses})
        known = ingest.run([folder], config, SilentProgress()).videos[0].known_frames
        assert known is not None and known.program == program
        assert np.isfinite(known.cam_from_world).all(axis=(1, 2)).sum() == posed
    assert ingest.run([folder], IngestConfig(project=False), SilentProgress()).videos[0].known_frames is None


def test_lens_tables_are_said_to_be_left(record: Record, caplog: pytest.LogCaptureFixture) -> None:
    folder = record([row(0, POSES[0])])
    found(folder)
    assert not caplog.records
    (folder / "distortion").mkdir()
    (folder / "distortion" / "000000.bin").write_bytes(np.linspace(0, 0.01, 42, dtype=np.float32).tobytes())
    assert found(folder).views[0].cam_from_world is not None
    assert "lens is solved anew" in caplog.text


def test_rows_beyond_the_video_are_of_no_frame(record: Record) -> None:
    folder = record([row(k, POSES[0]) for k in range(10, 14)])
    capture = ingest.run([folder], IngestConfig(), SilentProgress())
    assert capture.videos[0].known_frames is None and "it is not used" in capture.told[0]


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("x, y, z", "1, 2, 3", "row 1: has no numbers qx"),
        (HEADER, "0.0, 000000, 1, 2, 3, 0, 0, 0, 0", "row 1: its quaternion is zero"),
        (HEADER, "0.0, 000000, 1, 2, 3, 0, 0, 0", "row 1: has no numbers qx"),
        (HEADER, "0.0, zero, 1, 2, 3, 0, 0, 0, 1", "row 1: has no numbers frame"),
        (HEADER, "", "holds no poses"),
    ],
)
def test_damaged_odometry_is_one_line(record: Record, header: str, line: str, said: str) -> None:
    folder = record([line], header)
    with pytest.raises(CaptureError, match=said) as caught:
        find_project(folder)
    assert "odometry.csv" in str(caught.value) and "\n" not in str(caught.value)
