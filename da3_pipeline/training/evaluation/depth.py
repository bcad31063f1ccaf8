"""How good depth is, but for scale: on held-out synthetic scenes, and on pictures of a depth camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from ...errors import CaptureError
from ...geometry.metrics.depth import mean_depth_metrics
from ...geometry.metrics.depth import measure_depth as measure_map
from ...imageio import read_rgb
from ...model import DepthAnything3
from ...model.config import PATCH
from ..datasets.depth_files import read_depth_png
from ..samples import Batch, normalise_images

__all__ = ["DepthFigures", "DepthPictures", "evaluate_depth", "load_depth_pictures", "measure_depth", "predict_depth"]

_MILLIMETRE = 0.001
_SUFFIX = ".depth.png"
_AT_ONCE = 8


@dataclass(frozen=True)
class DepthFigures:
    """Means over pictures. abs_rel: mean of |estimate - truth| / truth; delta1: percent of pixels within a factor of
    1.25; after one scale a picture, the median of the ratios."""

    abs_rel: float
    delta1: float
    pictures: int


@dataclass(frozen=True)
class DepthPictures:
    """images (N, 1, 3, H, W) uint8 at the network's size, each on its own; depth (N, 1, H, W), 0 where unknown."""

    images: Tensor
    depth: Tensor


def measure_depth(estimate: Tensor, truth: Tensor) -> DepthFigures:
    """Of depth maps (N, H, W), true ones 0 where unknown; pictures of which nothing is known are left out."""
    pairs = zip(estimate.float().cpu().numpy(), truth.float().cpu().numpy(), strict=True)
    each = [measure_map(found, wanted, "ratio") for found, wanted in pairs]
    mean = mean_depth_metrics(each)
    return DepthFigures(mean.abs_rel, mean.delta[0], sum(one.pixels > 0 for one in each))


@torch.no_grad()
def predict_depth(net: DepthAnything3, images: Tensor) -> Tensor:
    """(B, S, H, W) depth of (B, S, 3, H, W) uint8 images."""
    training, device = net.training, net.trunk.cls_token.device
    net.eval()
    parts = [net(normalise_images(part.to(device)), rays=False).depth.cpu() for part in torch.split(images, _AT_ONCE)]
    net.train(training)
    return torch.cat(parts)


def evaluate_depth(net: DepthAnything3, views: Batch | DepthPictures) -> dict[str, DepthFigures]:
    """The network, and a constant depth beside it."""
    truth = views.depth.flatten(0, 1)
    guesses: dict[str, Callable[[], Tensor]] = {
        "network": lambda: predict_depth(net, views.images).flatten(0, 1),
        "constant": lambda: torch.ones_like(truth),
    }
    return {name: measure_depth(guess(), truth) for name, guess in guesses.items()}


def load_depth_pictures(folder: Path, longest_px: int, every: int = 1) -> DepthPictures:
    """Every so many of the pictures NAME.jpg or NAME.png of a folder that have a NAME.depth.png in millimetres.

    The longer side becomes about `longest_px`, both sides multiples of 14. Raises CaptureError without any.
    """
    maps = sorted(folder.glob(f"*{_SUFFIX}"))[::every]
    pairs = [(path.with_name(path.name.removesuffix(_SUFFIX) + end), path) for path in maps for end in (".jpg", ".png")]
    found = [(image, path) for image, path in pairs if image.exists()]
    if not found:
        raise CaptureError(f"{folder} holds no pictures with NAME{_SUFFIX}: give a folder of RGB-D frames")
    images, depths = [], []
    for image, path in found:
        picture, depth = read_rgb(image), read_depth_png(path, _MILLIMETRE)
        factor = longest_px / max(picture.shape[:2])
        width, height = (max(PATCH, round(side * factor / PATCH) * PATCH) for side in picture.shape[1::-1])
        images.append(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))
        depths.append(cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return DepthPictures(stacked[:, None], torch.from_numpy(np.stack(depths))[:, None])
