"""What a trainer of splats starts from: undistorted pictures at a small size, their cameras and poses, seed points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from ...arrays import Bytes, Float
from ...export.config import UndistortionConfig
from ...export.ply import MODEL_PLY_NAME, PLY_NAME, read_ply
from ...export.undistortion import Undistortion, forget_maps
from ...gaussians import pinhole_view
from ...geometry import Camera
from ...imageio import read_rgb
from ..methods.given import model_points
from ..peers.colmap import ColmapRun
from .splat_trainer import TargetView

__all__ = ["PosedScene", "posed_by_colmap", "posed_by_us", "target_view"]


@dataclass(frozen=True)
class PosedScene:
    """views by name in the capture, in order; seed points (P, 3) in their world, their colours (P, 3); wall seconds."""

    views: dict[str, TargetView]
    points: Float
    colours: Bytes
    seconds_to_pose: float


def posed_by_us(session: Path, seconds_to_pose: float, width_px: int) -> PosedScene:
    """A session that was exported with `undistort`; pictures are reduced to `width_px`, 0 leaves them."""
    import pycolmap

    model = pycolmap.Reconstruction(session / "sparse" / "0")
    frames = json.loads((session / "report.json").read_text(encoding="utf-8"))["frames"]
    frame_of = {frame["image"]: frame["name"] for frame in frames if frame["image"]}
    views = {}
    for image in model.images.values():
        camera = Camera.from_pycolmap(model.cameras[image.camera_id])
        picture = read_rgb(session / "images" / image.name)
        views[frame_of[image.name]] = target_view(picture, camera, image.cam_from_world().matrix(), width_px)
    seeds = session / MODEL_PLY_NAME
    points, colours = read_ply(seeds if seeds.exists() else session / PLY_NAME)
    return PosedScene(dict(sorted(views.items())), points, colours, seconds_to_pose)


def posed_by_colmap(run: ColmapRun, width_px: int) -> PosedScene | None:
    """COLMAP's data set, its images undistorted as ours are, which its seconds leave out; None where it has none."""
    model = run.model
    if model is None or run.data_set is None:
        return None
    lenses = {
        key: Undistortion.of(Camera.from_pycolmap(camera), f"{key} of COLMAP", UndistortionConfig())
        for key, camera in model.cameras.items()
    }
    views = {}
    for image in model.images.values():
        lens = lenses[image.camera_id]
        picture = lens.image(read_rgb(run.data_set / "images" / image.name))
        views[image.name] = target_view(picture, lens.pinhole, image.cam_from_world().matrix(), width_px)
    forget_maps()
    return PosedScene(dict(sorted(views.items())), *model_points(model), run.wall_s)


def target_view(picture: Bytes, camera: Camera, cam_from_world: Float, width_px: int) -> TargetView:
    """The picture and its pinhole camera at another width; the height is rounded, and the camera follows it exactly."""
    height, width = picture.shape[:2]
    if width_px and width_px < width:
        size = (width_px, max(1, round(height * width_px / width)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.diag([picture.shape[1] / camera.width, picture.shape[0] / camera.height, 1.0])
    reduced = Camera.from_matrix(scale @ camera.K, picture.shape[1], picture.shape[0])
    photograph = torch.as_tensor(picture, dtype=torch.float32) / 255
    return TargetView(photograph, pinhole_view(reduced, cam_from_world))
