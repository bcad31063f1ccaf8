"""transforms.json as nerfstudio reads it. OpenGL axes appear here and nowhere else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..arrays import Float
from ..geometry import Camera, Sim3, centres, compose, invert, nearest_rotation
from ..geometry.gravity import rotation_between, up_from_cameras
from ..imageio import copy_upright, read_mask, upright_suffix, write_mask
from ..types import PanoramaView, RigPlace

__all__ = [
    "PosedImage",
    "TrainerWorld",
    "read_trainer_world",
    "trainer_world",
    "write_panoramas",
    "write_transforms",
]


_OPENGL_FROM_OPENCV = np.diag([1.0, -1.0, -1.0])
_DISTORTION = {"PINHOLE": (), "OPENCV": ("k1", "k2", "p1", "p2"), "OPENCV_FISHEYE": ("k1", "k2", "k3", "k4")}


@dataclass(frozen=True)
class PosedImage:
    """An image of the data set: path below images/, ids in the COLMAP model, camera (in a trainer's model), pose.

    rig, view_of: as of its frame."""

    name: str
    image_id: int
    camera_id: int
    camera: Camera
    cam_from_world: Float
    rig: RigPlace | None = None
    view_of: PanoramaView | None = None


@dataclass(frozen=True)
class TrainerWorld:
    """The world of transforms.json and its seeds, as a rotation of that of sparse/0 less an `offset` (3,)."""

    from_model: Sim3
    offset: Float

    @classmethod
    def of(cls, rotation: Float, offset: Float) -> TrainerWorld:
        return cls(Sim3(1.0, rotation, 0.0 - rotation @ offset), offset)

    @property
    def applied_transform(self) -> Float:
        """(3, 4): nerfstudio's name for the way from the original world to the stored one."""
        return np.column_stack([self.from_model.rotation, self.from_model.translation])

    @property
    def is_model(self) -> bool:
        """Whether it is the world of sparse/0."""
        return np.array_equal(self.applied_transform, np.eye(3, 4))


def trainer_world(
    cam_from_world: Float, points: Float, up_source: str | None, max_step: float = np.inf
) -> TrainerWorld:
    """The world for trainers, of the world of (N, 3, 4) cameras and (P, 3) points.

    It is turned so that z is up, as in nerfstudio's worlds, unless `up_source` says who turned the scene before: by the
    rotation of least angle that brings the cameras' up to +z, none where they do not know it. Worlds of given poses are
    turned here only, and keep their own axes in the COLMAP model.

    Trainers read positions in single precision. Where its steps are wider than `max_step` of the cameras' extent
    (survey coordinates), an offset of few digits near the cameras' middle is taken off.
    """
    up = up_from_cameras(cam_from_world) if up_source is None else None
    rotation = np.eye(3)
    if up is not None:  # to the last digit: survey coordinates multiply what is missing to a rotation by millions
        rotation = nearest_rotation(rotation_between(up.direction, np.array([0.0, 0.0, 1.0])))
    return TrainerWorld.of(rotation, _offset(centres(cam_from_world), points, max_step))


def _offset(places: Float, points: Float, max_step: float) -> Float:
    extent = float(np.ptp(places, axis=0).max())
    if extent == 0 and len(points):  # a single place: what is seen from there has a size
        extent = float(np.median(np.linalg.norm(points - places[0], axis=1)))
    if np.spacing(np.float32(np.abs(places).max())) <= max_step * extent:
        return np.zeros(3)
    unit = 10.0 ** np.floor(np.log10(extent)) if extent > 0 else 1.0
    return np.asarray(np.round(np.median(places, axis=0) / unit) * unit)


def read_trainer_world(path: Path) -> TrainerWorld:
    """That of a transforms.json which `write_transforms` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    rotation = np.array(document["applied_transform"], np.float64)[:, :3]
    return TrainerWorld.of(rotation, np.array(document.get("world_offset", (0.0, 0.0, 0.0)), np.float64))


def write_transforms(
    path: Path,
    images: Sequence[PosedImage],
    world: TrainerWorld,
    ply_name: str,
    masks: Mapping[str, str],
    depths: Mapping[str, str],
) -> None:
    """Write the poses in `world`, in which the ply must be, too.

    `masks`, `depths`: path of its mask and depth map by image name, for all images or none. Intrinsics stand at the top
    where all images share them, else in every frame: nerfstudio mixes the two up.
    """
    document: dict[str, Any] = {"camera_model": _camera_model(images)}
    shared = len({image.camera for image in images}) == 1
    if shared:
        document.update(_intrinsics(images[0].camera))
    document.update(_of_world(world, ply_name))
    document["frames"] = [
        {
            "file_path": f"images/{image.name}",
            "transform_matrix": _opengl_pose(world.from_model.apply_to_cameras(image.cam_from_world)),
            "colmap_im_id": image.image_id,
            **({"mask_path": masks[image.name]} if masks else {}),
            **({"depth_file_path": depths[image.name]} if depths else {}),
            **({} if shared else _intrinsics(image.camera)),
        }
        for image in images
    ]
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def write_panoramas(folder: Path, images: Sequence[PosedImage], world: TrainerWorld, ply: Path) -> int:
    """Write the whole panoramas that the images are views of into an empty folder, as a data set of nerfstudio's own.

    Its EQUIRECTANGULAR cameras have fx = width / 2 and fy = height and look along -z in the middle of the picture, with
    y up (Cameras.generate_rays of 1.1.5): OpenCV's axes of the panorama turned to OpenGL's, as for any camera. They
    have masks, all or none. Gives their number; nothing is written of none.
    """
    views = {image.view_of.name: (image, image.view_of) for image in images if image.view_of is not None}
    whole = {name: pair for name, pair in views.items() if pair[1].area.is_whole}
    if not whole:
        return 0
    stems = _plain_names(whole)
    masked = any(view.mask is not None for _, view in whole.values())
    frames = []
    for name, (image, view) in whole.items():
        written = copy_upright(view.path, folder / "images" / f"{stems[name]}{upright_suffix(view.path)}")
        turn = np.column_stack([view.view_from_panorama.T, np.zeros(3)])
        pose = compose(turn, world.from_model.apply_to_cameras(image.cam_from_world))
        size = (view.area.width, view.area.height)
        lens = {"fl_x": size[0] / 2, "fl_y": float(size[1]), "cx": size[0] / 2, "cy": size[1] / 2}
        entry: dict[str, Any] = {
            "file_path": written.relative_to(folder).as_posix(),
            "transform_matrix": _opengl_pose(pose),
        }
        if masked:
            entry["mask_path"] = f"masks/{stems[name]}.png"
            used = np.ones(size[::-1], bool) if view.mask is None else read_mask(view.mask, *size)
            write_mask(folder / entry["mask_path"], used)
        frames.append(entry | lens | {"w": size[0], "h": size[1]})
    shutil.copyfile(ply, folder / ply.name)
    document = {"camera_model": "EQUIRECTANGULAR", **_of_world(world, ply.name), "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")
    return len(frames)


def _plain_names(panoramas: Iterable[str]) -> dict[str, str]:
    """A file name without suffix for each, unique whatever the case: their paths with folders joined by underscores."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in panoramas:
        plain = str(PurePosixPath(name).with_suffix("")).replace("/", "_")
        unique = next(n for n in chain([plain], (f"{plain}_{k}" for k in count(2))) if n.casefold() not in taken)
        taken.add(unique.casefold())
        names[name] = unique
    return names


def _of_world(world: TrainerWorld, ply_name: str) -> dict[str, Any]:
    offset = {"world_offset": world.offset.tolist()} if world.offset.any() else {}
    return {"applied_transform": world.applied_transform.tolist(), **offset, "ply_file_path": ply_name}


def _camera_model(images: Sequence[PosedImage]) -> str:
    return "OPENCV_FISHEYE" if images[0].camera.model == "OPENCV_FISHEYE" else "OPENCV"


def _intrinsics(camera: Camera) -> dict[str, float]:
    """nerfstudio's keys. Its principal point has the corner origin, as ours."""
    focal_x, focal_y, centre_x, centre_y = camera.params[:4]
    values = {"fl_x": focal_x, "fl_y": focal_y, "cx": centre_x, "cy": centre_y, "w": camera.width, "h": camera.height}
    names = _DISTORTION[camera.model] or _DISTORTION["OPENCV"]
    coefficients = camera.params[4:] or (0.0,) * len(names)
    return values | dict(zip(names, coefficients, strict=True))


def _opengl_pose(cam_from_world: Float) -> list[list[float]]:
    """(4, 4) camera-to-world with x right, y up, z backwards."""
    pose = np.eye(4)
    pose[:3] = invert(cam_from_world)
    pose[:3, :3] = pose[:3, :3] @ _OPENGL_FROM_OPENCV
    return [[float(value) for value in row] for row in pose]
