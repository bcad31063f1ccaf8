"""The network's own Gaussians in the world of the refined cameras, as files that viewers open, and a film of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..arrays import Bool, Float
from ..gaussians import Pruning, View, moved_by_view, orbit_path, pruned, subset, write_gaussians_ply, write_spz
from ..geometry import Camera, Sim3, transform_points
from ..grouping import Groups
from ..progress import Progress
from ..types import GaussianCloud, Prediction, Scene
from .config import ExportConfig
from .ignored import IgnoredPixels
from .ply import offset_comments

__all__ = ["scene_gaussians", "write_gaussians"]

_GOLDEN_RATIO = (1 + 5**0.5) / 2


def write_gaussians(
    folder: Path,
    scene: Scene,
    frames: Sequence[int],
    ignored: IgnoredPixels,
    offset: Float,
    config: ExportConfig,
    progress: Progress,
) -> dict[str, float]:
    """Write gaussians.ply, gaussians.spz and orbit.mp4 where the scene has Gaussians in those frames.

    They are in the frame and scale of sparse/0, less the `offset` (3,) that transforms.json names where it leaves one
    out: they are in single precision, too. Where it names a rotation in applied_transform, that takes them into its
    world. Gives counts for the report; an empty dict, and no files, where the prior has no Gaussians.
    """
    predicted = scene.prediction.gaussians
    if predicted is None:
        return {}
    near = Sim3(1.0, np.eye(3), -offset)
    scene = replace(scene, cam_from_world=near.apply_to_cameras(scene.cam_from_world))
    cloud = scene_gaussians(scene, frames, ignored, config)
    if len(cloud):
        write_gaussians_ply(folder / "gaussians.ply", cloud, comments=offset_comments(offset, "(x y z)"))
        write_spz(folder / "gaussians.spz", cloud)
        if config.orbit_video:
            _film(folder / "orbit.mp4", cloud, scene, frames, config, progress)
    return {"gaussians_predicted": len(predicted), "gaussians": len(cloud)}


def scene_gaussians(scene: Scene, frames: Sequence[int], ignored: IgnoredPixels, config: ExportConfig) -> GaussianCloud:
    """The Gaussians of those frames in the scene's world, without sky, what masks ignore, borders and the invisible.

    Those of a view move with its camera: from the prior's pose to the refined one, and away from it or towards it by
    the scale of its depth, so that each view renders as the prior meant it to. `view` stays the index of the frame.
    """
    prediction = scene.prediction
    if prediction.gaussians is None:
        raise ValueError("the prior has no Gaussians")
    moves = {frame: _scene_from_prior(scene, frame) for frame in frames if np.isfinite(scene.depth_scale[frame])}
    views = {frame: _view(prediction, frame, ignored.masked(frame)) for frame in moves}
    cloud = pruned(prediction.gaussians, views, Pruning(max_count=config.max_gaussians))
    nothing = Sim3.identity()  # for frames of which no Gaussian is left
    return moved_by_view(cloud, [moves.get(frame, nothing) for frame in range(len(scene.frames))])


def _scene_from_prior(scene: Scene, frame: int) -> Sim3:
    """The similarity under which what the prior's camera saw is seen by the refined one, at the scene's depth."""
    prior, refined = scene.prediction.cam_from_world[frame], scene.cam_from_world[frame]
    scale = float(scene.depth_scale[frame])
    rotation = refined[:, :3].T
    return Sim3(scale, rotation @ prior[:, :3], rotation @ (scale * prior[:, 3] - refined[:, 3]))


def _view(prediction: Prediction, frame: int, masked: Bool | None) -> View:
    """Where the frame's Gaussians were predicted: the network's camera, and the part of the image it was shown.

    What the frame's mask ignores is no more wanted than sky.
    """
    target = prediction.frames.frames[frame]
    height, width = prediction.depth[frame].shape
    corners = prediction.pixel_maps[frame].to_original(np.array([[0.0, 0.0], [width, height]]))
    left, top, right, bottom = corners.ravel().tolist()
    camera = Camera.from_matrix(prediction.view_intrinsics[frame], target.width, target.height)
    hidden = masked if prediction.sky is None else prediction.sky[frame]
    if prediction.sky is not None and masked is not None:
        hidden = prediction.sky[frame] | masked
    return View(prediction.cam_from_world[frame], camera, (left, top, right, bottom), hidden)


def _film(
    path: Path, cloud: GaussianCloud, scene: Scene, frames: Sequence[int], config: ExportConfig, progress: Progress
) -> None:
    """A loop around the scene; small, short and of fewer Gaussians where there is no GPU."""
    from ..gaussians import Renderer, gsplat_is_usable, render_video

    film = config.film_on_gpu if gsplat_is_usable() else config.film_on_cpu
    poses = scene.cam_from_world[list(frames)]
    path_poses = orbit_path(poses, _typical_depth(cloud, scene.cam_from_world), film.frames)
    camera = scene.cameras[scene.frames[frames[0]].camera_id]
    shrink = min(1.0, film.side_px / max(camera.width, camera.height))
    small = camera.resized(max(2, round(camera.width * shrink)), max(2, round(camera.height * shrink)))
    render_video(path, Renderer(_thinned(cloud, film.max_gaussians)), small, path_poses, progress)


def _typical_depth(cloud: GaussianCloud, cam_from_world: Float) -> float:
    """Median z-depth of the Gaussians in the views that they came from."""
    by_view = Groups.of(cloud.view.astype(np.int64), len(cam_from_world))
    depths = [
        transform_points(cam_from_world[frame], cloud.means[by_view[frame]].astype(np.float64))[:, 2]
        for frame in by_view.filled
    ]
    return float(np.median(np.concatenate(depths)))


def _thinned(cloud: GaussianCloud, limit: int | None) -> GaussianCloud:
    """An even sample of about `limit`, grown to cover for the others, so that surfaces stay closed.

    Multiples of the golden ratio, modulo one, choose: neither rows nor columns of the views show as stripes.
    """
    if limit is None or len(cloud) <= limit:
        return cloud
    share = limit / len(cloud)
    sample = subset(cloud, np.arange(len(cloud)) * _GOLDEN_RATIO % 1.0 < share)
    return replace(sample, scales=sample.scales * np.float32(np.sqrt(1 / share)))
