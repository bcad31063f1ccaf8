"""Loggers of ARCore and ARKit, and RTAB-Map's exports, in tiny trees of their layouts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, opencv, opengl, seen_where_it_is
from scipy.spatial.transform import Rotation

from da3_pipeline import ingest
from da3_pipeline.errors import CaptureError
from da3_pipeline.files.depthio import read_depth
from da3_pipeline.geometry.cameras import Camera
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.ingest.projects.registry import find_project
from da3_pipeline.ingest.projects.views import Project
from da3_pipeline.progress import SilentProgress

FX, FY, CX, CY = CAMERA.params
T0 = 1627530745.040137


def found(folder: Path, program: str) -> Project:
    project = find_project(folder)
    assert project is not None and project.program == program
    return project


def turn(world_from_cam: np.ndarray) -> list[float]:
    """x y z w."""
    return [float(value) for value in Rotation.from_matrix(world_from_cam[:3, :3]).as_quat()]


def picture(path: Path, seed: int = 0) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (480, 640, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise).save(path)


class TestIosLogger:
    """Poses twice as often as frames, as ARKit tells them, in an order of their own."""

    def lay(self, folder: Path, lens: bool = True) -> Path:
        with av.open(str(folder / "Frames.m4v"), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
            for _ in POSES:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
            container.mux(stream.encode())
        frames, poses = [], []
        for k, pose in enumerate(POSES):
            time, world_from_cam = T0 + k / 30, opengl(pose)
            told = [f"{time:.6f}", str(k), *(map(str, (FX, FY, CX, CY)) if lens else ())]
            frames.append(",".join(told))
            x, y, z, w = turn(world_from_cam)
            poses.append(",".join(map(str, [f"{time + 1e-6:.6f}", *world_from_cam[:3, 3], w, x, y, z])))
            poses.append(f"{time + 1 / 60:.6f},9,9,9,1,0,0,0")
        (folder / "Frames.txt").write_text("\n".join(frames) + "\n")
        (folder / "ARposes.txt").write_text("\n".join(reversed(poses)) + "\n")
        (folder / "Accel.txt").write_text("0,0,0,0\n")
        return folder

    def test_frames_have_the_pose_of_their_time(self, tmp_path: Path) -> None:
        project = found(self.lay(tmp_path), "iOS Logger")
        assert [view.frame for view in project.views] == [0, 1, 2] and project.metric and project.up == (0.0, 1.0, 0.0)
        sized = [replace(view, intrinsics=replace(view.intrinsics, width=640, height=480)) for view in project.views]  # type: ignore[type-var]
        seen_where_it_is(sized)
        capture = ingest.run([tmp_path], IngestConfig(), SilentProgress())
        known = capture.videos[0].known_frames
        assert known is not None and np.isfinite(known.cam_from_world).all()
        assert capture.told == ("iOS Logger project: 3 frames of Frames.m4v, poses and cameras read as priors",)

    def test_the_port_to_android_may_have_no_lens(self, tmp_path: Path) -> None:
        project = found(self.lay(tmp_path, lens=False), "iOS Logger")
        assert all(view.intrinsics is None and view.cam_from_world is not None for view in project.views)

    def test_frames_far_from_any_pose_have_none(self, tmp_path: Path) -> None:
        self.lay(tmp_path)
        (tmp_path / "ARposes.txt").write_text(f"{T0 + 0.5:.6f},0,0,0,1,0,0,0\n")
        assert all(view.cam_from_world is None for view in found(tmp_path, "iOS Logger").views)
        (tmp_path / "ARposes.txt").write_text("")
        assert all(view.cam_from_world is None for view in found(tmp_path, "iOS Logger").views)

    def test_a_last_line_that_was_cut_off_is_left_out(self, tmp_path: Path) -> None:
        with open(self.lay(tmp_path) / "Frames.txt", "a") as file:
            file.write("1627530745.9,3,52")
        assert len(found(tmp_path, "iOS Logger").views) == 3

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("ARposes.txt", "1,2,3\n", "no table of 8 numbers"),
            ("ARposes.txt", f"{T0},0,0,0,0,0,0,0\n", "no place and quaternion"),
            ("Frames.txt", "time,frame\n1.0,0\n", "no table of 2 or 6"),
            ("Frames.txt", f"{T0},0,0,0,5,5\n", "is not positive"),
            ("Frames.txt", "", "holds no frames"),
        ],
    )
    def test_damage_is_one_line(self, name: str, text: str, said: str, tmp_path: Path) -> None:
        (self.lay(tmp_path) / name).write_text(text)
        with pytest.raises(CaptureError, match=said) as error:
            find_project(tmp_path)
        assert name in str(error.value)


class TestArRecorder:
    """Both published forms: numbered rows, and times that pictures count in intervals."""

    def row(self, k: int, nested: bool, **changes: Any) -> str:
        world_from_cam = opengl(POSES[k])
        pose = {"pos": world_from_cam[:3, 3].tolist(), "quat": turn(world_from_cam)}
        lens = {"fx": FX, "fy": FY, "cx": CX, "cy": CY}
        size = {"t_ns": 1_000_000_000_123 + k * 500_000_000, "w": 640, "h": 480, "display_rotation": 0}
        if nested:
            return json.dumps({"frame_num": k, "pose": pose, "intrinsics": lens, **size, **changes})
        return json.dumps({**size, **pose, **lens, **changes}, indent=2)

    def lay(self, folder: Path, rows: Sequence[str], nested: bool = True) -> Path:
        (folder / "session_1766721309500.jsonl").write_text("\n".join(rows) + "\n")
        for k in range(len(POSES)):
            name = f"frame_17667213{k:05d}_{k}.jpg" if nested else f"frame_{2000 + k:06d}.jpg"
            picture(folder / name, k)
        return folder

    @pytest.mark.parametrize("nested", [True, False])
    def test_a_point_is_seen_where_it_is(self, nested: bool, tmp_path: Path) -> None:
        rows = [self.row(k, nested) for k in (2, 0, 1)]
        project = found(self.lay(tmp_path, rows, nested), "AR Recorder")
        seen_where_it_is(project.views)
        assert project.metric and project.up == (0.0, 1.0, 0.0) and not project.views[0].calibrated
        capture = ingest.run([tmp_path], IngestConfig(), SilentProgress())
        assert capture.told == ("AR Recorder project: 3 images, poses and cameras read as priors",)

    def test_rows_without_a_picture_are_left_out(self, tmp_path: Path) -> None:
        rows = [self.row(k, True, frame_num=number) for k, number in ((0, 0), (1, 1), (2, 77))]
        assert len(found(self.lay(tmp_path, rows), "AR Recorder").views) == 2

    def test_a_session_that_broke_off_keeps_what_is_whole(self, tmp_path: Path) -> None:
        rows = [self.row(0, False), self.row(1, False), self.row(2, False)[:60]]
        assert len(found(self.lay(tmp_path, rows, nested=False), "AR Recorder").views) == 2

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"pose": {"pos": [1, 2], "quat": [0, 0, 0, 1]}}, "object 1: has no numbers"),
            ({"pose": {"pos": [1, 2, 3], "quat": [0, 0, 0, 0]}}, "no place and quaternion"),
            ({"intrinsics": {"fx": 0, "fy": 0, "cx": 1, "cy": 1}}, "is not positive"),
            ({"intrinsics": None}, "object 1: has no numbers"),
            ({"frame_num": "x"}, "neither frame_num nor t_ns"),
            ({"frame_num": 99}, "none of the pictures"),
        ],
    )
    def test_damage_is_one_line(self, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
        self.lay(tmp_path, [self.row(0, True, **changes)])
        with pytest.raises(CaptureError, match=said) as error:
            find_project(tmp_path)
        assert "session_1766721309500.jsonl" in str(error.value)

    def test_what_is_no_json_is_said(self, tmp_path: Path) -> None:
        self.lay(tmp_path, [self.row(0, True), "{broken", self.row(1, True)])
        with pytest.raises(CaptureError, match="object 2 is no JSON"):
            find_project(tmp_path)


CALIBRATION = """%YAML:1.0
---
camera_name: "1"
image_width: 640
image_height: 480
camera_matrix:
   rows: 3
   cols: 3
   data: [ {fx}, 0., {cx}, 0., {fy},
       {cy}, 0., 0., 1. ]
distortion_coefficients:
   rows: 1
   cols: 5
   data: [ {distortion} ]
distortion_model: plumb_bob
"""


class TestRtabMap:
    def lay(self, folder: Path, by_id: bool = True, distortion: str = "0., 0., 0., 0., 0.") -> Path:
        rows = ["#timestamp x y z qx qy qz qw" + " id" * by_id]
        for k, pose in enumerate(POSES):
            world_from_cam, name = opencv(pose), str(k + 3) if by_id else f"{1000.5 + k:.6f}"
            words = [f"{1000.5 + k:.6f}", *world_from_cam[:3, 3], *turn(world_from_cam), *([k + 3] if by_id else [])]
            rows.append(" ".join(map(str, words)))
            picture(folder / "scan_rgb" / f"{name}.jpg", k)
            for kind in ("depth", "calib"):
                (folder / f"scan_{kind}").mkdir(exist_ok=True)
            Image.fromarray(np.full((12, 16), 1500 + k, np.uint16)).save(folder / "scan_depth" / f"{name}.png")
            text = CALIBRATION.format(fx=FX, fy=FY, cx=CX - 0.5, cy=CY - 0.5, distortion=distortion)
            (folder / "scan_calib" / f"{name}.yaml").write_text(text)
        (folder / "scan_camera_poses.txt").write_text("\n".join(rows) + "\n")
        return folder

    @pytest.mark.parametrize("by_id", [True, False])
    def test_a_point_is_seen_where_it_is(self, by_id: bool, tmp_path: Path) -> None:
        project = found(self.lay(tmp_path, by_id), "RTAB-Map")
        seen_where_it_is(project.views)
        assert project.metric and project.up == (0.0, 0.0, 1.0) and not project.views[0].calibrated
        depth = project.views[1].depth
        assert depth is not None and read_depth(depth)[3, 3] == pytest.approx(1.501)

    @pytest.mark.parametrize(
        ("told", "model", "params"),
        [
            ("0.01, -0.02, 0.001, 0.002, 0.", "OPENCV", (0.01, -0.02, 0.001, 0.002)),
            ("0.01, -0.02, 0., 0., 0.003, 0.004", "OPENCV_FISHEYE", (0.01, -0.02, 0.003, 0.004)),
            ("1e-2, -.02, 0.001, 0.002, 0.03, 1., 2., 3.", "FULL_OPENCV", (0.01, -0.02, 0.001, 0.002, 0.03, 1, 2, 3)),
        ],
    )
    def test_a_lens_with_distortion_was_calibrated(
        self, told: str, model: str, params: tuple[float, ...], tmp_path: Path
    ) -> None:
        project = found(self.lay(tmp_path, distortion=told), "RTAB-Map")
        assert all(view.calibrated for view in project.views)
        seen_where_it_is(project.views, Camera(model, 640, 480, (FX, FY, CX, CY, *params)))

    def test_pictures_alone_are_photographs(self, tmp_path: Path) -> None:
        capture = ingest.run([self.lay(tmp_path)], IngestConfig(), SilentProgress())
        assert [photo.name for photo in capture.photos] == [f"scan_rgb/{k}.jpg" for k in (3, 4, 5)]
        assert capture.told == ("RTAB-Map project: 3 images, poses, cameras and depth read as priors",)

    @pytest.mark.parametrize(
        ("name", "text", "said"),
        [
            ("scan_camera_poses.txt", "1 0 0 0 0 0 0 1 0 0 1 0\n", "no stamp x y z"),
            ("scan_camera_poses.txt", "1000.5 0 0 0 0 0 0 0 3\n", "no place and quaternion"),
            ("scan_camera_poses.txt", "1 0 0 0 0 0 0 1 77\n", "poses of none of the pictures"),
            ("scan_calib/3.yaml", "camera_matrix: 3", "no calibration with camera_matrix"),
            ("scan_calib/3.yaml", CALIBRATION.format(fx=0, fy=0, cx=1, cy=1, distortion="0."), "is not positive"),
            ("scan_calib/3.yaml", CALIBRATION.format(fx=9, fy=9, cx=1, cy=1, distortion="1, 2"), "2 distortion"),
        ],
    )
    def test_damage_is_one_line(self, name: str, text: str, said: str, tmp_path: Path) -> None:
        (self.lay(tmp_path) / name).write_text(text)
        with pytest.raises(CaptureError, match=said) as error:
            find_project(tmp_path)
        assert name in str(error.value)

    def test_several_cameras_in_one_picture_are_refused(self, tmp_path: Path) -> None:
        self.lay(tmp_path)
        (tmp_path / "scan_camera_poses.txt").rename(tmp_path / "scan_camera_poses_0.txt")
        with pytest.raises(CaptureError, match="one picture holds several cameras"):
            find_project(tmp_path)
