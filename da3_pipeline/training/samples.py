"""From scenes to batches: a pool of rendered scenes, and samples drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..arrays import Float, Int
from .correspondence import correspondences
from .synthetic.atlas import Atlas
from .synthetic.photometry import photograph
from .synthetic.render import render_view
from .synthetic.scenes import make_scene
from .synthetic.viewpoints import place_cameras

__all__ = ["Batch", "ScenePool", "normalise_images", "render_scenes", "spoilt"]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_LEAST_OVERLAP = 0.15
_HOLE_PX = 8


@dataclass(frozen=True)
class Batch:
    """B sets of S views. images (B, S, 3, H, W) uint8; depth (B, S, H, W) z-depth, 0 where there is none;
    cam_from_world (B, S, 3, 4); K (B, S, 3, 3) in pixels."""

    images: Tensor
    depth: Tensor
    cam_from_world: Tensor
    K: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.depth.shape[-2], self.depth.shape[-1]

    def select(self, scenes: Tensor, views: Tensor) -> Batch:
        """Of scenes (B,), the views (B, S), in that order."""
        rows = scenes[:, None]
        return Batch(
            self.images[rows, views], self.depth[rows, views], self.cam_from_world[rows, views], self.K[rows, views]
        )

    def mirrored(self, which: Tensor) -> Batch:
        """The sets where `which` (B,) is true as seen in a mirror: x changes sign in the images and in the world."""
        flip = self.cam_from_world.new_tensor([-1.0, 1, 1])
        poses = self.cam_from_world * flip[:, None] * torch.cat([flip, flip.new_ones(1)])
        K = self.K.clone()
        K[..., 0, 2] = self.size[1] - K[..., 0, 2]
        choose = which[:, None, None, None]
        return Batch(
            torch.where(choose[..., None], self.images.flip(-1), self.images),
            torch.where(choose, self.depth.flip(-1), self.depth),
            torch.where(choose, poses, self.cam_from_world),
            torch.where(choose, K, self.K),
        )

    def turned(self, quarters: int) -> Batch:
        """Pictures and cameras turned by so many quarters anti-clockwise about their axes; the world stays."""
        batch = self
        for _ in range(quarters % 4):
            quarter = batch.K.new_tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
            K = torch.zeros_like(batch.K)
            K[..., 0, 0], K[..., 1, 1], K[..., 2, 2] = batch.K[..., 1, 1], batch.K[..., 0, 0], 1
            K[..., 0, 2], K[..., 1, 2] = batch.K[..., 1, 2], batch.size[1] - batch.K[..., 0, 2]
            images, depth = (part.rot90(1, (-2, -1)) for part in (batch.images, batch.depth))
            batch = Batch(images, depth, quarter @ batch.cam_from_world, K)
        return batch


def spoilt(depth: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Depth (..., H, W) as a sensor gives it: noise in proportion to depth, a tenth of the pixels wrong by up to half
    to twice, and holes, in patches, where a quarter of the pixels lie. generator: on the CPU."""
    shape, (height, width) = depth.shape, depth.shape[-2:]
    draws = torch.randn((3, *shape), generator=generator).to(depth.device)
    coarse = torch.rand(
        (depth[..., 0, 0].numel(), 1, -(-height // _HOLE_PX), -(-width // _HOLE_PX)), generator=generator
    )
    holes = torch.nn.functional.interpolate(coarse, size=(height, width), mode="nearest").reshape(shape) < 0.25
    wrong = draws[1] > 1.2816  # a tenth of a normal distribution
    factor = (1 + noise * draws[0]).clamp_min(0.1) * torch.where(wrong, 2 ** draws[2].clamp(-1, 1), 1.0)
    return torch.where(holes.to(depth.device), 0.0, depth * factor)


def normalise_images(images: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 to the network's float32 input."""
    mean = torch.tensor(_MEAN, device=images.device)[:, None, None]
    std = torch.tensor(_STD, device=images.device)[:, None, None]
    return (images.float() / 255 - mean) / std


def render_scenes(seeds: Sequence[int], atlas: Atlas, views: int, size: tuple[int, int]) -> Batch:
    """The scenes of these seeds, each from `views` cameras, (width, height) pixels; a function of its arguments."""
    parts = []
    for seed in seeds:
        scene = make_scene(seed, atlas)
        cameras = place_cameras(np.random.default_rng([seed, 0xCA3E]), scene, views, size)
        poses = torch.tensor(cameras.cam_from_world, dtype=torch.float32)
        K = torch.tensor(cameras.K, dtype=torch.float32)
        seen = [render_view(scene, atlas, pose, k, size) for pose, k in zip(poses, K, strict=True)]
        images = torch.stack([(view.colour * 255).to(torch.uint8).permute(2, 0, 1) for view in seen])
        parts.append(Batch(images, torch.stack([view.depth for view in seen]), poses, K))
    names = ("images", "depth", "cam_from_world", "K")
    return Batch(*(torch.stack([getattr(part, name) for part in parts]) for name in names))


class ScenePool:
    """Rendered scenes that several batches are drawn from, since a scene costs more than a step on its views."""

    def __init__(self, scenes: Batch) -> None:
        self._scenes = scenes
        self._overlap = _overlap(scenes)

    def draw(self, rng: np.random.Generator, batch: int, views: int) -> Batch:
        """`batch` samples of `views` views that overlap in a chain, in random order, freshly photographed."""
        pool, available = self._overlap.shape[:2]
        scenes = rng.permutation(pool)[:batch] if batch <= pool else rng.integers(0, pool, batch)
        chosen = np.stack([_chain(rng, self._overlap[scene], min(views, available)) for scene in scenes])
        drawn = self._scenes.select(torch.from_numpy(scenes), torch.from_numpy(chosen))
        pictures = np.stack(
            [photograph(image, rng) for image in drawn.images.flatten(0, 1).permute(0, 2, 3, 1).contiguous().numpy()]
        )
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).reshape(drawn.images.shape)
        return replace(drawn, images=images).mirrored(torch.from_numpy(rng.random(batch) < 0.5))


def _overlap(scenes: Batch) -> Float:
    """(P, V, V) share of view i's patches that are seen in view j."""
    return correspondences(scenes.depth, scenes.cam_from_world, scenes.K).visible.float().mean(-1).numpy().astype(float)


def _chain(rng: np.random.Generator, overlap: Float, views: int) -> Int:
    """View indices, each but the first overlapping with an earlier one; in random order."""
    chosen = [int(rng.integers(0, len(overlap)))]
    while len(chosen) < views:
        rest = np.setdiff1d(np.arange(len(overlap)), chosen)
        reach = np.minimum(overlap[chosen][:, rest], overlap[rest][:, chosen].T).max(0)
        linked = rest[reach >= _LEAST_OVERLAP]
        chosen.append(int(rng.choice(linked if len(linked) else rest[[int(reach.argmax())]])))
    return rng.permutation(np.array(chosen))
