"""How far the surface is that a pixel shows: triangulated points where they are near, else the depth map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Float, Int
from ..geometry import invert, transform_points
from ..types import Scene
from .config import LengthConfig

__all__ = ["SurfacePoint", "Surfaces"]


@dataclass(frozen=True)
class SurfacePoint:
    """point (3,) in the scene and its covariance (3, 3), scene units."""

    point: Float
    covariance: Float


class Surfaces:
    """What the frames of a scene show, and how far it is."""

    def __init__(self, scene: Scene, config: LengthConfig) -> None:
        self.scene = scene
        self.config = config
        self._by_frame = scene.tracks.by_frame(len(scene.frames))

    def at(self, frame: int, pixel: tuple[float, float]) -> SurfacePoint | None:
        """What a posed frame shows at an original pixel (corner origin); None where neither tracks nor depth know.

        Away from matched points the depth map gives the shape and the nearest matched points its scale.
        """
        found = self._depth_at(frame, np.asarray(pixel))
        if found is None:
            return None
        depth, sigma = found
        camera = self.scene.cameras[self.scene.frames[frame].camera_id]
        ray = np.append(camera.unproject(np.array([pixel]))[0], 1.0)
        world_from_cam = invert(self.scene.cam_from_world[frame])
        point = transform_points(world_from_cam, (ray * depth)[None])[0]
        along = world_from_cam[:, :3] @ ray
        across = depth * self.config.click_share * max(camera.width, camera.height) / camera.focal_px
        return SurfacePoint(point, sigma**2 * np.outer(along, along) + across**2 * np.eye(3))

    def typical_depth(self, frame: int) -> float:
        """The median depth of a frame in scene units, from its tracks, else its depth map; NaN where it has neither."""
        mine = self._by_frame[frame]
        if len(mine):
            return float(np.median(_track_depths(self.scene, frame, mine)))
        depth = self.scene.prediction.depth[frame]
        known = depth[np.isfinite(depth) & (depth > 0)]
        return float(np.median(known) * self.scene.depth_scale[frame]) if len(known) else float("nan")

    def _depth_at(self, frame: int, pixel: Float) -> tuple[float, float] | None:
        """z-depth and its sigma, scene units."""
        scene, tracks, config = self.scene, self.scene.tracks, self.config
        camera, mine = scene.cameras[scene.frames[frame].camera_id], self._by_frame[frame]
        depths = _track_depths(scene, frame, mine)
        mine, depths = mine[depths > 0], depths[depths > 0]
        distance_px = np.linalg.norm(tracks.observation_xy[mine] - pixel, axis=1)
        near = distance_px <= max(config.near_px, config.near_share * max(camera.width, camera.height))
        if near.any():
            depth = float(np.median(depths[near]))
            return depth, float(np.hypot(config.track_sigma * depth, _spread(depths[near])))
        here, step = _map_depth(scene, frame, pixel)
        if not here > 0:
            return None
        order = np.argsort(distance_px, kind="stable")[: 2 * config.neighbours]
        mapped = np.array([_map_depth(scene, frame, tracks.observation_xy[mine[k]])[0] for k in order])
        known = np.isfinite(mapped)
        ratios = (depths[order][known] / mapped[known])[: config.neighbours]
        if len(ratios) < config.fewest_neighbours:
            return here, float(np.hypot(config.uncorrected_sigma * here, step))
        ratio = float(np.median(ratios))
        relative = np.hypot(config.map_sigma, _spread(ratios) / ratio)
        return here * ratio, float(np.hypot(relative * here, step) * ratio)


def _map_depth(scene: Scene, frame: int, pixel: Float) -> tuple[float, float]:
    """The depth map in scene units at an original pixel, and how much it varies around; NaN where it says nothing."""
    depth, sky = scene.prediction.depth[frame], scene.prediction.sky
    column, row = np.floor(scene.prediction.pixel_maps[frame].to_network(pixel)).astype(int)
    height, width = depth.shape
    inside = 0 <= row < height and 0 <= column < width
    if not inside or not depth[row, column] > 0 or (sky is not None and sky[frame, row, column]):
        return float("nan"), float("nan")
    around = depth[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
    scale = float(scene.depth_scale[frame])
    return float(depth[row, column]) * scale, float(np.std(around[around > 0])) * scale


def _track_depths(scene: Scene, frame: int, observations: Int) -> Float:
    points = scene.tracks.points[scene.tracks.observation_point[observations]]
    return np.asarray(transform_points(scene.cam_from_world[frame], points)[:, 2])


def _spread(values: Float) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))
