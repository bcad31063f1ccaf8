"""Where cameras stand in a scene and through which lens they look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...arrays import Float
from .building import Scene
from .raycast import cast, pixel_directions
from .solids import Kind

__all__ = ["Viewpoints", "is_clear", "look_at", "place_cameras"]

Rng = np.random.Generator
_TRIES = 24


@dataclass(frozen=True)
class Viewpoints:
    """V cameras: cam_from_world (V, 3, 4), K (V, 3, 3) in pixels of a (width, height) image."""

    cam_from_world: Float
    K: Float
    size: tuple[int, int]


def look_at(centre: Float, target: Float, roll_rad: float = 0.0) -> Float:
    """cam_from_world (3, 4) of a camera at `centre` that looks at `target`, upright along world z, then rolled."""
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / max(float(np.linalg.norm(right)), 1e-9)
    down = np.cross(forward, right)
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([cosine * right + sine * down, cosine * down - sine * right, forward])
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def place_cameras(rng: Rng, scene: Scene, views: int, size: tuple[int, int]) -> Viewpoints:
    """`views` cameras that look at one part of the scene from places spread narrowly or widely.

    The spread is log-uniform, so that many motions are of a few degrees and some pass 60.
    """
    width, height = size
    spread = float(np.exp(rng.uniform(np.log(0.05), np.log(1.0))))
    focal_px = max(size) / 2 / np.tan(np.radians(rng.uniform(42, 82)) / 2) * np.ones(views)
    if rng.random() < 0.15:
        focal_px = focal_px * np.exp(rng.uniform(-0.25, 0.25, views))
    home = _home(rng, scene)
    poses = []
    for view in range(views):
        for attempt in range(_TRIES):
            pose = _one_camera(rng, scene, home, spread * (1 + 0.05 * attempt))
            if _sees(scene, pose, float(focal_px[view]), size):
                break
        poses.append(pose)
    K = np.zeros((views, 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = focal_px
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = width / 2, height / 2, 1
    return Viewpoints(np.stack(poses), K, size)


def _home(rng: Rng, scene: Scene) -> Float:
    for _ in range(_TRIES):
        home = np.asarray(rng.uniform(*scene.stands))
        if is_clear(scene, home, 0.1 * scene.reach_m) and np.linalg.norm(home - scene.focus) > 0.6 * scene.reach_m:
            break
    return home


def _one_camera(rng: Rng, scene: Scene, home: Float, spread: float) -> Float:
    """Around the focus for objects, anywhere in the stands for the others; jittered aim and roll."""
    distance = np.linalg.norm(home - scene.focus)
    if scene.name == "objects":
        angle, radius = spread * rng.normal(0, 0.9), np.exp(spread * rng.normal(0, 0.25))
        offset = (home - scene.focus) * [radius, radius, radius * np.exp(spread * rng.normal(0, 0.4))]
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = [cosine * offset[0] - sine * offset[1], sine * offset[0] + cosine * offset[1], offset[2]]
        centre = scene.focus + np.array(turned)
        centre[2] = max(centre[2], 0.1 * scene.reach_m)
    else:
        extent = (scene.stands[1] - scene.stands[0]) / 2
        centre = np.clip(home + spread * extent * rng.normal(0, 0.8, 3), *scene.stands)
    aim = scene.focus + rng.normal(0, 0.06 + 0.16 * spread, 3) * distance * [1, 1, 0.6]
    roll_deg = rng.normal(0, 2.5 if rng.random() < 0.85 else 12)
    return look_at(centre, aim, np.radians(roll_deg))


def is_clear(scene: Scene, centre: Float, margin_m: float) -> bool:
    """Whether a place is at least `margin_m` outside every solid's box, and inside the room if there is one."""
    solids = scene.solids
    offset = torch.tensor(centre, dtype=torch.float32) - solids.centre
    local = torch.einsum("nij,nj->ni", solids.local_from_world, offset).abs()
    outside = (local - solids.half).clamp_min(0).norm(dim=-1)
    inside = (solids.half - local).amin(-1)
    return bool((torch.where(solids.kind == Kind.ROOM, inside, outside) >= margin_m).all())


def _sees(scene: Scene, pose: Float, focal_px: float, size: tuple[int, int]) -> bool:
    """Whether the camera stands free and most of its view is neither an obstacle at its nose nor sky."""
    rotation, translation = pose[:, :3], pose[:, 3]
    centre = -rotation.T @ translation
    if not is_clear(scene, centre, 0.08 * scene.reach_m):
        return False
    width, height = size
    grid = np.stack(np.meshgrid(np.linspace(0.1, 0.9, 5) * width, np.linspace(0.1, 0.9, 4) * height), -1).reshape(-1, 2)
    K = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], dtype=torch.float32)
    rays = pixel_directions(K, torch.tensor(rotation, dtype=torch.float32), torch.tensor(grid, dtype=torch.float32))
    depth = cast(scene.solids, torch.tensor(centre, dtype=torch.float32), rays).depth
    near = depth < 0.3 * float(np.linalg.norm(centre - scene.focus))
    return bool(near.float().mean() < 0.4 and torch.isinf(depth).float().mean() < 0.4)
