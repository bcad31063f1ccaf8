"""A session folder as a plain scene to look at; knows nothing of viser.

What is shown is the data set as trainers read it: sparse/0, images/, the seed points. The stages stored in .da3 add
what only they know, where they are there and belong to this data set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from ..arrays import Bool, Bytes, Float, Int
from ..errors import CaptureError
from ..export.ply import read_ply
from ..geometry import Camera
from ..geometry.gravity import rotation_between, up_from_cameras
from .stored import StoredStages, stored_stages

__all__ = ["Observations", "SessionImage", "SessionScene", "load_session"]


_GAUSSIANS = "gaussians.ply"


@dataclass(frozen=True)
class SessionImage:
    """A posed image of the data set. `figures` is what report.json says of it, empty where there is no report."""

    name: str
    path: Path
    camera: Camera
    cam_from_world: Float
    figures: dict[str, Any]


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
        return Observations(xy, np.searchsorted(self.point_ids, ids))

    @property
    def cam_from_world(self) -> Float:
        """(N, 3, 4) poses of the images."""
        return np.array([image.cam_from_world for image in self.images]).reshape(-1, 3, 4)


def load_session(folder: Path) -> SessionScene:
    """Read what `da3-pipeline run --output FOLDER` left. Nothing is written.

    Raises CaptureError for a folder that holds no finished session, and for one whose model cannot be read.
    """
    model = _read_model(folder)
    report, transforms = _read_json(folder / "report.json"), _read_json(folder / "transforms.json")
    images = _images(folder, model, report)
    if not images:
        raise CaptureError(f"{folder / 'sparse' / '0'}: holds no posed image; run the capture again")
    point_ids, points, colours = _points(model)
    measured = np.arange(len(points)) < (report.get("data_set") or {}).get("tracks_measured", len(points))
    poses = np.array([image.cam_from_world for image in images])
    gaussians = folder / _GAUSSIANS
    scene = SessionScene(
        folder=folder,
        images=images,
        points=points,
        colours=colours,
        measured=measured,
        seeds=points,
        seed_colours=colours,
        upright_from_world=_upright(transforms, poses)[:, :3],
        prior_cam_from_world=None,
        stored=stored_stages(folder),
        gaussians=gaussians if gaussians.is_file() else None,
        offset=_offset(transforms),
        summary=(report.get("verdict") or {}).get("summary") or "no report.json: nothing is known of the quality",
        notes=_missing_images(images),
        model=model,
        point_ids=point_ids,
    )
    return _with_stages(_with_seeds(scene, transforms), poses)


def _read_model(folder: Path) -> pycolmap.Reconstruction:
    if not folder.exists():
        raise CaptureError(f"{folder}: no such folder; give the --output of da3-pipeline run")
    model = folder / "sparse" / "0"
    if not (model / "images.bin").is_file():
        if (folder / ".da3").is_dir():
            raise CaptureError(f"{folder}: the run in it is not finished (no sparse/0); run the same command again")
        raise CaptureError(f"{folder}: holds no session (no sparse/0); give the --output of da3-pipeline run")
    try:
        return pycolmap.Reconstruction(str(model))
    except (ValueError, RuntimeError, IndexError, MemoryError) as error:
        raise CaptureError(f"{model}: cannot be read ({error}); export the session again") from error


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is none: the viewer does with what is there."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _images(folder: Path, model: pycolmap.Reconstruction, report: dict[str, Any]) -> tuple[SessionImage, ...]:
    figures = {frame.get("image"): frame for frame in report.get("frames") or ()}
    cameras = {number: Camera.from_pycolmap(camera) for number, camera in model.cameras.items()}
    posed = [image for _, image in sorted(model.images.items()) if image.has_pose]
    return tuple(
        SessionImage(
            image.name,
            folder / "images" / image.name,
            cameras[image.camera_id],
            np.asarray(image.cam_from_world().matrix()),
            figures.get(image.name, {}),
        )
        for image in posed
    )


def _points(model: pycolmap.Reconstruction) -> tuple[Int, Float, Bytes]:
    """Ids in ascending order, positions and colours; the exporter numbers measured tracks first."""
    rows = sorted(model.points3D.items())
    ids = np.array([number for number, _ in rows], np.int64)
    points = np.array([point.xyz for _, point in rows]).reshape(-1, 3)
    return ids, points, np.array([point.color for _, point in rows], np.uint8).reshape(-1, 3)


def _upright(transforms: dict[str, Any], cam_from_world: Float) -> Float:
    """(3, 4) from the world of sparse/0 to one with z up: the exporter's, else by the cameras."""
    applied = np.array(transforms.get("applied_transform", []), np.float64)
    if applied.shape == (3, 4) and np.isfinite(applied).all():
        return applied
    up = up_from_cameras(cam_from_world)
    rotation = np.eye(3) if up is None else rotation_between(up.direction, np.array([0.0, 0.0, 1.0]))
    return np.concatenate([rotation, np.zeros((3, 1))], axis=1)


def _offset(transforms: dict[str, Any]) -> Float:
    offset = np.array(transforms.get("world_offset", []), np.float64)
    return offset if offset.shape == (3,) and np.isfinite(offset).all() else np.zeros(3)


def _with_seeds(scene: SessionScene, transforms: dict[str, Any]) -> SessionScene:
    """The seed points in place of the tracks, moved from the world of transforms.json into that of sparse/0."""
    path = scene.folder / str(transforms.get("ply_file_path", "sparse_pc.ply"))
    applied = _upright(transforms, scene.cam_from_world)
    try:
        points, colours = read_ply(path)
    except (OSError, ValueError, IndexError):
        return replace(scene, notes=(*scene.notes, f"{path.name} cannot be read: the points are those of sparse/0."))
    return replace(scene, seeds=(points - applied[:, 3]) @ applied[:, :3], seed_colours=colours)


def _with_stages(scene: SessionScene, poses: Float) -> SessionScene:
    """The prior's poses, where .da3 holds the stages that this data set was made by."""
    if scene.stored is None:
        note = "No stages of this version in .da3: no poses before refinement, no confidence."
        return replace(scene, notes=(*scene.notes, note))
    names = [image.name for image in scene.images]
    if not scene.stored.belongs_to(names, poses):
        note = "The stages in .da3 are of another run than the data set and are not shown."
        return replace(scene, stored=None, notes=(*scene.notes, note))
    return replace(scene, prior_cam_from_world=scene.stored.aligned_prior(names, poses))


def _missing_images(images: Sequence[SessionImage]) -> tuple[str, ...]:
    missing = [image.name for image in images if not image.path.is_file()]
    if not missing:
        return ()
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return (f"Missing below images/: {missing[0]}{more}.",)
