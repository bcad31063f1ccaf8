"""How good the poses are: on held-out synthetic scenes and on folders of photographs with a truth.json.

Baselines: a constant pose (no motion predicted) and random poses.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..geometry.pose_metrics import area_under_recall, pose_errors
from ..model import DepthAnything3
from .samples import Batch, ScenePool, normalise_images, render_scenes
from .synthetic.atlas import Atlas, build_atlas
from .synthetic.scenes import HELD_OUT_SEED

__all__ = ["evaluate_pairs", "held_out_atlas", "held_out_pairs", "predict_poses", "summarise"]

Float = NDArray[np.float64]
_FAR_DEG = (20.0, 40.0)


def held_out_atlas() -> Atlas:
    """Procedural textures that no training scene uses."""
    return build_atlas(HELD_OUT_SEED, 180)


def held_out_pairs(scenes: int, size: tuple[int, int] = (112, 84)) -> Batch:
    """One overlapping pair of each of `scenes` held-out scenes, photographed."""
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + scenes)
    rendered = render_scenes(seeds, held_out_atlas(), 4, size)
    return ScenePool(rendered).draw(np.random.default_rng(HELD_OUT_SEED), scenes, 2)


@torch.no_grad()
def predict_poses(net: DepthAnything3, images: torch.Tensor) -> Float:
    """cam_from_world (B, S, 3, 4) of (B, S, 3, H, W) uint8 images."""
    training = net.training
    poses = net.eval()(normalise_images(images)).cam_from_world.double().cpu().numpy()
    net.train(training)
    return poses


def evaluate_pairs(net: DepthAnything3, pairs: Batch) -> dict[str, float]:
    """Figures of the network on pairs of views, beside those of the constant pose."""
    estimate = np.concatenate([predict_poses(net, images) for images in pairs.images.split(16)])
    truth = pairs.cam_from_world.double().numpy()
    constant = np.broadcast_to(np.eye(3, 4), truth.shape)
    figures = {f"held_out_{name}": value for name, value in summarise(truth, estimate).items()}
    return figures | {f"constant_{name}": value for name, value in summarise(truth, constant).items()}


def summarise(truth: Float, estimate: Float) -> dict[str, float]:
    """Over all pairs of views within each of (B, S, 3, 4) sets of poses, in degrees and percent.

    rotation: median error; far: the same over true rotations of 20 to 40 degrees; direction: median signed error of
    the translation's direction; auc30: area under the recall of max(rotation, direction) up to 30 degrees.
    """
    rotation, direction, pair, turned = [], [], [], []
    for one_truth, one_estimate in zip(truth, estimate, strict=True):
        errors = pose_errors(one_truth, one_estimate)
        rotation.append(errors.rotation_deg)
        direction.append(errors.translation_deg)
        pair.append(errors.pair_deg)
        turned.append(pose_errors(one_truth, np.broadcast_to(np.eye(3, 4), one_truth.shape)).rotation_deg)
    rotations, angles = np.concatenate(rotation), np.concatenate(turned)
    far = (angles >= _FAR_DEG[0]) & (angles <= _FAR_DEG[1])
    return {
        "rotation": float(np.median(rotations)),
        "far": float(np.median(rotations[far])) if far.any() else float("nan"),
        "direction": float(np.median(np.concatenate(direction))),
        "auc30": area_under_recall(np.concatenate(pair), 30),
    }
