"""Depth maps as pictures to look at: near is bright, unknown is black, all of one scale."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..arrays import Bytes
from ..imageio import write_rgb

__all__ = ["write_depth_pictures"]

_CUT_PERCENT = (2.0, 98.0)
"""Of all depths, what the colours span: a few far or near ones would take them all (chosen)."""


def write_depth_pictures(source: Path, target: Path) -> int:
    """A PNG below `target` for each depth map (.npy, thousandths of a unit, 0 unknown) below `source`; their number.

    Colours follow the inverse of depth, from one near to one far depth for all pictures, so that they compare.
    """
    files = sorted(source.rglob("*.npy"))
    near, far = _range(files)
    for file in files:
        depth = np.load(file)
        known = depth > 0
        inverse = np.zeros(depth.shape)
        inverse[known] = (1 / depth[known] - 1 / far) / (1 / near - 1 / far)
        picture = target / file.relative_to(source).with_suffix(".png")
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(picture, _coloured(np.clip(inverse, 0, 1), known))
    return len(files)


def _range(files: list[Path]) -> tuple[float, float]:
    """The near and far ends, in the maps' unit, apart from each other also where all depths are one."""
    samples = [depth[depth > 0][::101] for depth in map(np.load, files)]
    values = np.concatenate(samples) if samples else np.zeros(0)
    near, far = np.percentile(values, _CUT_PERCENT) if len(values) else (1.0, 2.0)
    return float(near), float(max(far, near * 1.01))


def _coloured(share: np.ndarray, known: np.ndarray) -> Bytes:
    colours = cv2.applyColorMap(np.round(255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    return np.where(known[:, :, None], colours, 0).astype(np.uint8)
