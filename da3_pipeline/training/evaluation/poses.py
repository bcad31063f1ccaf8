"""How good the poses are: on held-out synthetic scenes, and on folders of photographs with a truth.json.

Always beside two baselines: a constant pose (no motion predicted) and random poses. Definitions of the errors:
`geometry.metrics.poses`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ...arrays import Bytes, Float
from ...errors import CaptureError
from ...geometry import identity
from ...geometry.metrics.poses import area_under_recall, pose_errors
from ...imageio import read_rgb
from ...model import DepthAnything3
from ...model.config import PATCH
from ..samples import Batch, ScenePool, normalise_images, render_scenes
from ..synthetic.atlas import Atlas, build_atlas
from ..synthetic.scenes import HELD_OUT_SEED

__all__ = [
    "PoseFigures",
    "PosedPhotographs",
    "evaluate_pairs",
    "evaluate_photographs",
    "held_out_atlas",
    "held_out_views",
    "load_posed_photographs",
    "predict_poses",
    "random_poses",
    "summarise",
]

_FAR_DEG = (20.0, 40.0)
_NEIGHBOURS = 3
_POOL_VIEWS = 4


@dataclass(frozen=True)
class PoseFigures:
    """Over all pairs of views within sets of views; degrees and percent.

    rotation_deg: median error. far_deg: the same over pairs whose true rotation is 20 to 40 degrees, NaN without
    any. direction_deg: median error of the translation's direction, signed, so that 90 is chance. auc_30: area
    under the recall of max(rotation, folded direction) up to 30 degrees.
    """

    rotation_deg: float
    far_deg: float
    direction_deg: float
    auc_30: float
    pairs: int


@dataclass(frozen=True)
class PosedPhotographs:
    """images (N, 3, H, W) uint8 at network size; cam_from_world (N, 3, 4)."""

    images: Tensor
    cam_from_world: Float


def held_out_atlas() -> Atlas:
    """Procedural textures that no training scene uses."""
    return build_atlas(HELD_OUT_SEED, 180)


def held_out_views(scenes: int, views: int = 2, size: tuple[int, int] = (112, 84)) -> Batch:
    """`views` overlapping views of each of `scenes` held-out scenes, (width, height), as photographs."""
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + scenes)
    rendered = render_scenes(seeds, held_out_atlas(), max(views, _POOL_VIEWS), size)
    return ScenePool(rendered).draw(np.random.default_rng(HELD_OUT_SEED), scenes, views)


@torch.no_grad()
def predict_poses(net: DepthAnything3, images: Tensor) -> Float:
    """cam_from_world (B, S, 3, 4) of (B, S, 3, H, W) uint8 images."""
    training = net.training
    device = net.trunk.cls_token.device
    poses: Float = net.eval()(normalise_images(images.to(device))).cam_from_world.double().cpu().numpy()
    net.train(training)
    return poses


def evaluate_pairs(net: DepthAnything3, views: Batch) -> dict[str, PoseFigures]:
    """The network and the baselines on rendered sets of views."""
    truth = views.cam_from_world.double().numpy()
    estimate = np.concatenate([predict_poses(net, images) for images in torch.split(views.images, 16)])
    return _with_baselines(list(truth), list(estimate))


def load_posed_photographs(folder: Path, longest_px: int) -> PosedPhotographs:
    """The images below `folder`/images that `folder`/truth.json gives poses for, in the order of their names.

    The longer side becomes about `longest_px`, both sides multiples of 14. Raises CaptureError without a truth.json.
    """
    try:
        entries = json.loads((folder / "truth.json").read_text())["images"]
    except (OSError, ValueError, KeyError) as error:
        raise CaptureError(
            f"{folder}/truth.json cannot be read ({error}): give a folder with images/ and truth.json"
        ) from error
    names = sorted(entries)
    images = np.stack([_fit(read_rgb(folder / "images" / name), longest_px) for name in names])
    poses = np.array([entries[name]["w2c"] for name in names], float)[:, :3]
    return PosedPhotographs(torch.from_numpy(images).permute(0, 3, 1, 2), poses)


def evaluate_photographs(
    net: DepthAnything3, photographs: PosedPhotographs, whole: bool = True
) -> dict[str, dict[str, PoseFigures]]:
    """`scene`, if `whole`: all photographs in one pass; `pairs`: two at a time, each with its next three."""
    poses, count = photographs.cam_from_world, len(photographs.images)
    pairs = [[i, j] for i in range(count) for j in range(i + 1, min(i + 1 + _NEIGHBOURS, count))]
    by_two = torch.split(photographs.images[torch.tensor(pairs)], 8)
    two_views = np.concatenate([predict_poses(net, images) for images in by_two])
    found = {"pairs": _with_baselines([poses[pair] for pair in pairs], list(two_views))}
    if whole:
        found["scene"] = _with_baselines([poses], list(predict_poses(net, photographs.images[None])))
    return found


def random_poses(rng: np.random.Generator, count: int) -> Float:
    """(count, 3, 4): uniform rotations, normal translations."""
    from scipy.spatial.transform import Rotation

    turns = np.asarray(Rotation.random(count, random_state=rng).as_matrix())
    return np.concatenate([turns, rng.standard_normal((count, 3, 1))], axis=2)


def summarise(truth: Sequence[Float], estimate: Iterable[Float]) -> PoseFigures:
    """Figures of sets of poses (S, 3, 4) against the true ones."""
    still = [pose_errors(poses, identity(len(poses))).rotation_deg for poses in truth]
    errors = [pose_errors(*both) for both in zip(truth, estimate, strict=True)]
    rotation = np.concatenate([error.rotation_deg for error in errors])
    angle = np.concatenate(still)
    far = (angle >= _FAR_DEG[0]) & (angle <= _FAR_DEG[1])
    return PoseFigures(
        rotation_deg=float(np.median(rotation)),
        far_deg=float(np.median(rotation[far])) if far.any() else float("nan"),
        direction_deg=float(np.median(np.concatenate([error.translation_deg for error in errors]))),
        auc_30=area_under_recall(np.concatenate([error.pair_deg for error in errors]), 30),
        pairs=len(rotation),
    )


def _with_baselines(truth: Sequence[Float], estimate: Sequence[Float]) -> dict[str, PoseFigures]:
    rng = np.random.default_rng(0)
    guesses: dict[str, Callable[[int], Float]] = {
        "constant": identity,
        "random": lambda count: random_poses(rng, count),
    }
    figures = {"network": summarise(truth, estimate)}
    return figures | {name: summarise(truth, [guess(len(poses)) for poses in truth]) for name, guess in guesses.items()}


def _fit(image: Bytes, longest_px: int) -> Bytes:
    height, width = image.shape[:2]
    factor = longest_px / max(height, width)
    size = tuple(max(PATCH, round(side * factor / PATCH) * PATCH) for side in (width, height))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
