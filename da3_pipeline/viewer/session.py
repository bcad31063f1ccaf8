"""A session folder as a plain scene to look at; knows nothing of viser.

What is shown is the data set as trainers read it: sparse/0, images/, the seed points. The stages stored in .da3 add
what only they know, where they are there and belong to this data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pycolmap

from ..arrays import Bool, Bytes, Float, Int
from ..errors import CaptureError
from ..export.ply import read_ply
from ..files.colmap_model import read_colmap_model
from ..geometry import Camera
from ..geometry.gravity import rotation_between, up_from_cameras
from ..guard.foreign import foreign, reason
from .stored import StoredStages, stored_stages
from .told import Told, inside, read_told

__all__ = ["Observations", "SessionImage", "SessionScene", "load_session"]


_GAUSSIANS = "gaussians.ply"
_FARTHEST = 1e12  # of coordinates that a picture can be drawn of: surveys have 1e7
_REMEDY = "export the session again"


@dataclass(frozen=True)
class SessionImage:
    """A posed image of the data set. `figures` is what report.json says of it, empty where there is no report.

    path: None where the name leads out of the session.
    """

    name: str
    path: Path | None
    camera: Camera
    cam_from_world: Float
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class Observations:
    """What one image sees: xy (M, 2) in its pixels, `points` (M,) rows of SessionScene.points."""

    xy: Float
    points: Int


@dataclass(frozen=True)
class SessionScene:
    """A data set in the world of sparse/0.

    points (P, 3) and colours (P, 3) of the tracks, `measured` (P,) False where they come from depth alone; seeds (S, 3)
    with seed_colours are what a trainer starts from. upright_from_world (3, 3) brings up to +z.
    prior_cam_from_world (N, 3, 4): the poses before refinement, moved onto the refined ones by one similarity, NaN
    where unknown; None where nothing is known of them. gaussians: the 3DGS file, where there is one, which leaves
    `offset` (3,) out of its positions.
    summary: the verdict in a sentence. notes: what is missing, in sentences.
    """

    folder: Path
    images: tuple[SessionImage, ...]
    points: Float
    colours: Bytes
    measured: Bool
    seeds: Float
    seed_colours: Bytes
    upright_from_world: Float
    prior_cam_from_world: Float | None
    stored: StoredStages | None
    gaussians: Path | None
    offset: Float
    summary: str
    notes: tuple[str, ...]
    model: pycolmap.Reconstruction = field(repr=False, compare=False)
    point_ids: Int = field(repr=False)

    def observations(self, index: int) -> Observations:
        """The observations of image `index`, read when they are asked for: a long capture has millions."""
        keypoints = self.model.find_image_with_name(self.images[index].name).get_observation_points2D()
        xy = np.array([keypoint.xy for keypoint in keypoints]).reshape(-1, 2)
        ids = np.array([keypoint.point3D_id for keypoint in keypoints], np.int64)
        known = np.isin(ids, self.point_ids)
        return Observations(xy[known], np.searchsorted(self.point_ids, ids[known]))

    @property
    def cam_from_world(self) -> Float:
        """(N, 3, 4) poses of the images."""
        return np.array([image.cam_from_world for image in self.images]).reshape(-1, 3, 4)


def load_session(folder: Path) -> SessionScene:
    """Read what `da3-pipeline run --output FOLDER` left. Nothing is written.

    Raises CaptureError for a folder that holds no finished session, and for one whose model cannot be read.
    """
    model, told = _read_model(folder), read_told(folder)
    with foreign(CaptureError, folder / "sparse" / "0", _REMEDY):
        images = _images(folder, model, told)
        point_ids, points, colours = _points(model)
    if not images:
        raise CaptureError(f"{folder / 'sparse' / '0'}: holds no posed image; run the capture again")
    measured = np.arange(len(points)) < (len(points) if told.measured is None else told.measured)
    poses = np.array([image.cam_from_world for image in images])
    gaussians = inside(folder, _GAUSSIANS)
    scene = SessionScene(
        folder=folder,
        images=images,
        points=points,
        colours=colours,
        measured=measured,
        seeds=points,
        seed_colours=colours,
        upright_from_world=_upright(told, poses)[:, :3],
        prior_cam_from_world=None,
        stored=stored_stages(folder),
        gaussians=gaussians if gaussians is not None and gaussians.is_file() else None,
        offset=told.offset,
        summary=told.summary,
        notes=(*told.notes, *_missing_images(images)),
        model=model,
        point_ids=point_ids,
    )
    return _with_stages(_with_seeds(scene, told), poses)


def _read_model(folder: Path) -> pycolmap.Reconstruction:
    if not folder.exists():
        raise CaptureError(f"{folder}: no such folder; give the --output of da3-pipeline run")
    model = folder / "sparse" / "0"
    if not (model / "images.bin").is_file():
        if (folder / ".da3").is_dir():
            raise CaptureError(f"{folder}: the run in it is not finished (no sparse/0); run the same command again")
        raise CaptureError(f"{folder}: holds no session (no sparse/0); give the --output of da3-pipeline run")
    with foreign(CaptureError, model, _REMEDY):
        return read_colmap_model(model)


def _images(folder: Path, model: pycolmap.Reconstruction, told: Told) -> tuple[SessionImage, ...]:
    """The posed images whose pose and camera can be drawn: numbers that are none are of no exporter of ours."""
    cameras = {number: Camera.from_pycolmap(camera) for number, camera in model.cameras.items()}
    images = []
    for _, image in sorted(model.images.items()):
        if not image.has_pose:
            continue
        camera, pose = cameras[image.camera_id], np.asarray(image.cam_from_world().matrix())
        drawn = np.isfinite([*pose.flat, *camera.params, *camera.fov_deg]).all() and np.abs(pose).max() < _FARTHEST
        if not drawn or min(camera.width, camera.height) < 1:
            raise ValueError(f"the pose or the camera of {image.name} is not made of usable numbers")
        figures = told.figures.get(image.name, {})
        images.append(SessionImage(image.name, inside(folder, f"images/{image.name}"), camera, pose, figures))
    return tuple(images)


def _points(model: pycolmap.Reconstruction) -> tuple[Int, Float, Bytes]:
    """Ids in ascending order, positions and colours; the exporter numbers measured tracks first."""
    rows = sorted(model.points3D.items())
    ids = np.array([number for number, _ in rows], np.int64)
    points = np.array([point.xyz for _, point in rows]).reshape(-1, 3)
    if not (np.abs(points) < _FARTHEST).all():
        raise ValueError("its points are not made of usable numbers")
    return ids, points, np.array([point.color for _, point in rows], np.uint8).reshape(-1, 3)


def _upright(told: Told, cam_from_world: Float) -> Float:
    """(3, 4) from the world of sparse/0 to one with z up: the exporter's, else by the cameras."""
    if told.applied is not None and np.allclose(told.applied[:, :3] @ told.applied[:, :3].T, np.eye(3), atol=1e-3):
        return told.applied
    up = up_from_cameras(cam_from_world)
    rotation = np.eye(3) if up is None else rotation_between(up.direction, np.array([0.0, 0.0, 1.0]))
    return np.concatenate([rotation, np.zeros((3, 1))], axis=1)


def _with_seeds(scene: SessionScene, told: Told) -> SessionScene:
    """The seed points in place of the tracks, moved from the world of transforms.json into that of sparse/0."""
    path, applied = inside(scene.folder, told.seeds), _upright(told, scene.cam_from_world)
    try:
        if path is None:
            raise ValueError("it lies outside of the session")
        points, colours = read_ply(path)
        if not (np.abs(points) < _FARTHEST).all():
            raise ValueError("its points are not made of usable numbers")
    except Exception as error:  # whatever it is: the tracks are shown instead
        note = f"{PurePath(told.seeds).name} cannot be read ({reason(error)}): the points are those of sparse/0."
        return replace(scene, notes=(*scene.notes, note))
    return replace(scene, seeds=(points - applied[:, 3]) @ applied[:, :3], seed_colours=colours)


def _with_stages(scene: SessionScene, poses: Float) -> SessionScene:
    """The prior's poses, where .da3 holds the stages that this data set was made by."""
    if scene.stored is None:
        note = "No stages of this version in .da3: no poses before refinement, no confidence."
        return replace(scene, notes=(*scene.notes, note))
    names = [image.name for image in scene.images]
    try:
        belongs = scene.stored.belongs_to(names, poses)
        prior = scene.stored.aligned_prior(names, poses) if belongs else None
    except Exception as error:  # a stored scene whose parts do not go together
        note = f"The stages in .da3 cannot be read ({reason(error)})."
        return replace(scene, stored=None, notes=(*scene.notes, note))
    if not belongs:
        note = "The stages in .da3 are of another run than the data set and are not shown."
        return replace(scene, stored=None, notes=(*scene.notes, note))
    return replace(scene, prior_cam_from_world=prior)


def _missing_images(images: Sequence[SessionImage]) -> tuple[str, ...]:
    outside = [image.name for image in images if image.path is None]
    missing = [image.name for image in images if image.path is not None and not image.path.is_file()]
    told = (("Not shown, as they lie outside of the session", outside), ("Missing below images/", missing))
    return tuple(
        f"{what}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}." for what, names in told if names
    )
