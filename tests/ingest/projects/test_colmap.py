"""COLMAP's models: images in sub-folders, rigs, and poses of pictures before EXIF's orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image
from project_truth import CAMERA, POSES, WORLD_POINT, project_point, seen_where_it_is

from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.projects import colmap
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Capture

ORIENTATION = 0x0112


def write_model(folder: Path, names: list[str], binary: bool = True) -> None:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(CAMERA.to_pycolmap(1))
    for index, (name, pose) in enumerate(zip(names, POSES, strict=True), start=1):
        model.add_image_with_trivial_frame(
            pycolmap.Image(name=name, camera_id=1, image_id=index), pycolmap.Rigid3d(pose)
        )
    folder.mkdir(parents=True)
    model.write_binary(str(folder)) if binary else model.write_text(str(folder))


def picture(path: Path, seed: int, orientation: int | None = None) -> None:
    pixels = np.random.default_rng(seed).integers(0, 255, (CAMERA.height // 4, CAMERA.width // 4, 3), np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)


def capture_of(folder: Path, **settings: object) -> Capture:
    return run([folder], IngestConfig.model_validate(settings), SilentProgress())


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", ""])
def test_models_are_found_where_tools_put_them(binary: bool, place: str, tmp_path: Path) -> None:
    names = ["left/1.jpg", "right/1.jpg", "2.jpg"]
    write_model(tmp_path / "scene" / place, names, binary)
    for name in names:
        picture(tmp_path / "scene" / "images" / name, len(name))
    project = colmap.read(tmp_path / "scene")
    by_name = {view.name: view for view in project.views}
    assert [by_name[name].path for name in names] == [tmp_path / "scene" / "images" / name for name in names]
    seen_where_it_is([by_name[name] for name in names])


def test_images_of_a_rig_have_poses_of_their_own(tmp_path: Path) -> None:
    model, rig = pycolmap.Reconstruction(), pycolmap.Rig(rig_id=1)
    sensors = [pycolmap.sensor_t(type=pycolmap.SensorType.CAMERA, id=number) for number in (1, 2)]
    cam_from_rig = np.concatenate([POSES[1][:, :3], [[0.1], [0.0], [0.02]]], axis=1)
    rig.add_ref_sensor(sensors[0])
    rig.add_sensor(sensors[1], pycolmap.Rigid3d(cam_from_rig))
    for number in (1, 2):
        model.add_camera(CAMERA.to_pycolmap(number))
    model.add_rig(rig)
    frame = pycolmap.Frame(frame_id=1, rig_id=1, rig_from_world=pycolmap.Rigid3d(POSES[0]))
    for number in (1, 2):
        frame.add_data_id(pycolmap.data_t(sensors[number - 1], number))
    model.add_frame(frame)
    for number in (1, 2):
        model.add_image(pycolmap.Image(name=f"{number}.jpg", camera_id=number, image_id=number, frame_id=1))
    tmp_path.joinpath("sparse").mkdir()
    model.write_binary(str(tmp_path / "sparse"))
    second = np.vstack([cam_from_rig, [0, 0, 0, 1]]) @ np.vstack([POSES[0], [0, 0, 0, 1]])
    seen_where_it_is(colmap.read(tmp_path).views, poses=[POSES[0], second[:3]])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("as_option", [False, True])
def test_poses_are_of_the_picture_before_its_orientation(orientation: int, as_option: bool, tmp_path: Path) -> None:
    """The point is seen in the upright picture where turning the stored picture takes it."""
    names = ["1.jpg", "2.jpg", "3.jpg"]
    write_model(tmp_path / "model", names)
    for number, name in enumerate(names):
        picture(tmp_path / "images" / name, number, orientation)
    if as_option:
        capture = capture_of(tmp_path / "images", poses=tmp_path / "model", intrinsics=tmp_path / "model")
    else:
        (tmp_path / "model").rename(tmp_path / "sparse")
        capture = capture_of(tmp_path)
    for photo, pose in zip(capture.photos, POSES, strict=True):
        camera, known = photo.known_camera, photo.known_cam_from_world
        assert camera is not None and known is not None
        assert (camera.width, camera.height) == (photo.width, photo.height)
        x, y = project_point(CAMERA, pose, WORLD_POINT) / 4
        width, height = CAMERA.width / 4, CAMERA.height / 4
        turned = {1: (x, y), 3: (width - x, height - y), 6: (height - y, x), 8: (y, width - x)}[orientation]
        assert project_point(camera, known, WORLD_POINT) == pytest.approx(turned, abs=1e-6)


def test_pictures_that_were_turned_before_colmap_saw_them_stay(tmp_path: Path) -> None:
    """Their orientation may be left over; the shape of the camera says what COLMAP saw."""
    write_model(tmp_path / "sparse", ["1.jpg", "2.jpg", "3.jpg"])
    for number in (1, 2, 3):
        upright = np.random.default_rng(number).integers(0, 255, (CAMERA.width // 4, CAMERA.height // 4, 3), np.uint8)
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(upright).save(tmp_path / "images" / f"{number}.jpg", exif=exif)
    photo = capture_of(tmp_path).photos[0]
    assert photo.known_cam_from_world == pytest.approx(POSES[0])


def test_what_is_read_is_said_and_can_be_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "sparse/0", ["1.jpg", "2.jpg", "gone.jpg"])
    for number in (1, 2):
        picture(tmp_path / "images" / f"{number}.jpg", number)
    capture = capture_of(tmp_path)
    assert capture.told == ("COLMAP project: 2 of 3 images, poses and cameras read as priors",)
    assert {photo.known_pose_program for photo in capture.photos} == {"COLMAP"}
    kept = capture_of(tmp_path, project_poses="fixed")
    assert {photo.known_pose_program for photo in kept.photos} == {None} and kept.photos[0].known_camera is not None
    without = capture_of(tmp_path, project=False)
    assert without.told == () and without.photos[0].known_cam_from_world is None


def test_names_of_a_text_model_may_have_spaces(tmp_path: Path) -> None:
    """As of copies in Windows; lines may end as there, and images may have no observations."""
    lines = ["# IMAGE_ID, QW, ..., NAME", ""]
    for k in (1, 2):
        lines += [f"{k} 1 0 0 0 0 0 {k} 1 day one/IMG ({k}).jpg", "" if k == 1 else "10 12 -1 20 22 -1"]
    (tmp_path / "cameras.txt").write_bytes(b"1 PINHOLE 64 48 50 50 32 24\r\n")
    (tmp_path / "images.txt").write_bytes("\r\n".join(lines).encode() + b"\r\n")
    (tmp_path / "points3D.txt").touch()
    views = colmap.read_model(tmp_path, tmp_path)
    assert sorted(view.name for view in views) == ["day one/IMG (1).jpg", "day one/IMG (2).jpg"]
