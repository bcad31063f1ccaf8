"""The COLMAP model: cameras, rigs, frames, images and points, written by pycolmap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap

from ..arrays import Float
from ..errors import ExportError
from ..geometry import centres, compose, invert, nearest_rotation
from ..types import Tracks
from .nerfstudio import PosedImage

__all__ = ["write_colmap"]

_CAMERA = pycolmap.SensorType.CAMERA
_TOGETHER = 1e-6  # of the extent of the cameras: adjusted together, images agree to rounding


def write_colmap(folder: Path, images: Sequence[PosedImage], frames: Sequence[int], tracks: Tracks) -> None:
    """Write a binary model into `folder`. `frames` (one an image) are what `tracks` calls them.

    Cameras on rigs stand there as they do at most instants, and images of an instant that stand so, too, are a frame;
    every other camera is a rig of its own, every other image a frame. Points keep their order: point k has id k + 1.
    """
    model = pycolmap.Reconstruction()
    sensors = _add_cameras(model, images)
    frame_of = _add_frames(model, images, sensors)
    # COLMAP counts an image's observations from 0 in the order of its keypoints.
    by_frame = tracks.by_frame(max(frames, default=-1) + 1)
    image_id = np.zeros(len(tracks.observation_frame), np.int64)
    keypoint = np.zeros(len(image_id), np.int64)
    for image, frame in zip(images, frames, strict=True):
        mine = by_frame[frame]
        image_id[mine], keypoint[mine] = image.image_id, np.arange(len(mine))
        entry = pycolmap.Image(
            name=image.name,
            keypoints=tracks.observation_xy[mine],
            camera_id=image.camera_id,
            image_id=image.image_id,
        )
        if image.image_id in frame_of:
            entry.frame_id = frame_of[image.image_id]
            model.add_image(entry)
        else:
            model.add_image_with_trivial_frame(entry, pycolmap.Rigid3d(image.cam_from_world))
    for frame_id in sorted(set(frame_of.values())):
        model.register_frame(frame_id)
    _add_points(model, tracks, image_id, keypoint)
    _write(model, folder, images, tracks)


def _add_cameras(model: pycolmap.Reconstruction, images: Sequence[PosedImage]) -> dict[int, tuple[int, Float]]:
    """Adds cameras and rigs; gives the rig and the cam_from_rig (3, 4) of every camera on one."""
    cameras = {image.camera_id: image.camera for image in images}
    by_rig: dict[str, list[PosedImage]] = {}
    for image in images:
        if image.rig is not None:
            by_rig.setdefault(image.rig.rig, []).append(image)
    sensors: dict[int, tuple[int, Float]] = {}
    for members in by_rig.values():
        poses = _rig_poses(members)
        if len(poses) < 2:
            continue
        rig = pycolmap.Rig()
        rig.rig_id = max(cameras) + 1 + len(model.rigs)
        for number, (camera_id, pose) in enumerate(poses.items()):
            model.add_camera(cameras[camera_id].to_pycolmap(camera_id))
            sensor = pycolmap.sensor_t(type=_CAMERA, id=camera_id)
            if number:
                rig.add_sensor(sensor, pycolmap.Rigid3d(pose))
            else:
                rig.add_ref_sensor(sensor)
            sensors[camera_id] = (rig.rig_id, pose)
        model.add_rig(rig)
    for camera_id in cameras.keys() - sensors.keys():
        model.add_camera_with_trivial_rig(cameras[camera_id].to_pycolmap(camera_id))
    return sensors


def _rig_poses(members: Sequence[PosedImage]) -> dict[int, Float]:
    """cam_from_rig (3, 4) of each camera, the reference first; those left out that share no instant with it."""
    at: dict[int, dict[str, Float]] = {}
    for image in members:
        if image.rig is not None:
            at.setdefault(image.camera_id, {})[image.rig.instant] = image.cam_from_world
    told = {image.camera_id for image in members if image.rig is not None and image.rig.reference}
    reference = min(at, key=lambda camera_id: (camera_id not in told, -len(at[camera_id]), camera_id))
    poses = {reference: np.eye(3, 4)}
    for camera_id in sorted(at.keys() - {reference}):
        both = at[camera_id].keys() & at[reference].keys()
        if both:
            relative = [compose(at[camera_id][k], invert(at[reference][k])) for k in sorted(both)]
            usual = np.median(relative, axis=0)
            poses[camera_id] = np.concatenate([nearest_rotation(usual[:, :3]), usual[:, 3:]], axis=1)
    return poses


def _add_frames(
    model: pycolmap.Reconstruction, images: Sequence[PosedImage], sensors: Mapping[int, tuple[int, Float]]
) -> dict[int, int]:
    """Adds the frames of rigs; gives the frame by image id."""
    places = [image for image in images if image.camera_id in sensors]
    extent = float(np.ptp(centres(np.array([image.cam_from_world for image in images])), axis=0).max()) if images else 0
    frames: dict[tuple[int, str], list[tuple[Float, list[PosedImage]]]] = {}
    for image in places:
        rig_id, cam_from_rig = sensors[image.camera_id]
        body = compose(invert(cam_from_rig), image.cam_from_world)
        together = frames.setdefault((rig_id, image.rig.instant if image.rig else image.name), [])
        for pose, members in together:
            if np.abs(pose - body).max() <= _TOGETHER * max(extent, 1.0):
                members.append(image)
                break
        else:
            together.append((body, [image]))
    frame_of = {}
    for (rig_id, _), together in frames.items():
        for pose, members in together:
            frame = pycolmap.Frame()
            frame.frame_id, frame.rig_id = members[0].image_id, rig_id
            for image in members:
                sensor = pycolmap.sensor_t(type=_CAMERA, id=image.camera_id)
                frame.add_data_id(pycolmap.data_t(sensor, image.image_id))
                frame_of[image.image_id] = frame.frame_id
            frame.rig_from_world = pycolmap.Rigid3d(pose)
            model.add_frame(frame)
    return frame_of


def _add_points(model: pycolmap.Reconstruction, tracks: Tracks, image_id: np.ndarray, keypoint: np.ndarray) -> None:
    by_point = tracks.by_point()
    # Plain integers: pybind11 converts them several times faster than numpy's.
    image_ids, keypoints = image_id[by_point.order].tolist(), keypoint[by_point.order].tolist()
    element, track = pycolmap.TrackElement, pycolmap.Track
    for index, (start, end) in enumerate(pairwise(by_point.starts.tolist())):
        elements = [element(i, k) for i, k in zip(image_ids[start:end], keypoints[start:end], strict=True)]
        model.add_point3D(tracks.points[index], track(elements), tracks.colours[index])
    points = model.points3D
    for index, error_px in enumerate(tracks.point_error_px.tolist()):
        points[index + 1].error = error_px


def _write(model: pycolmap.Reconstruction, folder: Path, images: Sequence[PosedImage], tracks: Tracks) -> None:
    """Write and check the sizes: COLMAP's streams do not say when the disk is full."""
    folder.mkdir(parents=True)
    try:
        model.write_binary(folder)
    except RuntimeError as error:
        raise ExportError(f"{folder}: the COLMAP model cannot be written ({error}); choose another --output") from error
    observations = len(tracks.observation_point)
    names = sum(len(image.name.encode()) + 1 for image in images)
    expected = {
        "images.bin": 8 + len(images) * (4 + 7 * 8 + 4 + 8) + names + 24 * observations,
        "points3D.bin": 8 + len(tracks) * (8 + 24 + 3 + 8 + 8) + 8 * observations,
    }
    for name, size in expected.items():
        if (folder / name).stat().st_size != size:
            raise ExportError(f"{folder / name}: could not be written in full; free some space and run again")
