"""One view of every frame out of the chunks that saw it, so that no surface appears twice.

Where two chunks overlap, their cameras and depths are mixed with weights that fall to the ends of each chunk: the
trajectory has no step there, and the depth changes over from one chunk to the other at the same pace as the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...arrays import Float, Float32, Int
from ...geometry import Sim3, centres, nearest_rotation, sim3_of
from ..config import BlendConfig
from .chunk_store import StoredChunk

__all__ = ["Contribution", "blended_camera", "blended_maps", "contributions", "view_weights"]


_LEAST = 1e-9  # a weight that is none, but can be shared out


@dataclass(frozen=True)
class Contribution:
    """What one chunk says of a frame: its view at `position`, moved by `world_from_view`, with a weight."""

    source: StoredChunk
    position: int
    world_from_view: Sim3
    weight: float


def view_weights(runs: Sequence[Int]) -> list[Float]:
    """For every chunk the weight of each frame of its run: 1, falling to its ends where neighbours share frames.

    Over the chunks that share a frame the weights add up to 1.
    """
    weights = []
    for order, run in enumerate(runs):
        weight = np.ones(len(run))
        for neighbour, ascending in ((order - 1, True), (order + 1, False)):
            if 0 <= neighbour < len(runs):
                common = np.flatnonzero(np.isin(run, runs[neighbour]))
                ramp = np.arange(1, len(common) + 1) / (len(common) + 1)
                weight[common] *= ramp if ascending else ramp[::-1]
        weights.append(weight)
    return weights


def contributions(
    chunks: Sequence[StoredChunk], placed: Sequence[Float], weights: Sequence[Float], config: BlendConfig
) -> dict[int, list[Contribution]]:
    """For every frame its usable views, the weightiest first, weights adding up to 1; no entry where there is none.

    `placed`: for every chunk (V, 4, 4) similarities that take each of its views into the world. `weights`: for every
    chunk (V,) by position; a view of weight 0 (an anchor) is taken where no other is left.
    """
    found: dict[int, list[Contribution]] = {}
    for source, world_from_view, weight in zip(chunks, placed, weights, strict=True):
        for position in np.flatnonzero(source.usable):
            one = Contribution(
                source, int(position), sim3_of(world_from_view[position]), max(float(weight[position]), _LEAST)
            )
            found.setdefault(int(source.indices[position]), []).append(one)
    return {frame: _shares(found[frame], config.negligible) for frame in sorted(found)}


def _shares(found: list[Contribution], negligible: float) -> list[Contribution]:
    found = sorted(found, key=lambda one: -one.weight)
    found = [one for one in found if one.weight >= negligible * found[0].weight]
    total = sum(one.weight for one in found)
    return [replace(one, weight=one.weight / total) for one in found]


def blended_camera(found: Sequence[Contribution]) -> tuple[Float, Float]:
    """cam_from_world (3, 4) and intrinsics (3, 3): weighted means of the centres, of the orientations (chordal), and
    of the matrices."""
    poses = np.stack(
        [one.world_from_view.apply_to_cameras(one.source.small["cam_from_world"][one.position]) for one in found]
    )
    matrices = np.stack([one.source.small["intrinsics"][one.position] for one in found])
    if len(found) == 1:
        return poses[0], matrices[0]
    weight = np.array([one.weight for one in found])
    rotation = nearest_rotation(np.einsum("n,nij->ij", weight, poses[:, :, :3]))
    centre = weight @ centres(poses)
    return np.column_stack([rotation, -rotation @ centre]), np.einsum("n,nij->ij", weight, matrices)


def blended_maps(found: Sequence[Contribution], config: BlendConfig) -> dict[str, NDArray[np.generic]]:
    """The maps of a frame by field name: depth in world units, confidence; of any other the weightiest view's."""
    first = found[0]
    maps = {name: file[first.position] for name, file in first.source.maps.items()}
    maps["depth"] = maps["depth"] * np.float32(first.world_from_view.scale)
    if len(found) == 1:
        return maps
    depths = [maps["depth"]]
    confs = [maps["conf"]]
    for one in found[1:]:
        depths.append(one.source.maps["depth"][one.position] * np.float32(one.world_from_view.scale))
        confs.append(one.source.maps["conf"][one.position])
    weights = [one.weight for one in found]
    maps["depth"], maps["conf"] = _mix(depths, confs, weights, config)
    return maps


def _mix(
    depths: list[Float32], confs: list[Float32], weights: list[float], config: BlendConfig
) -> tuple[Float32, Float32]:
    """Weighted means in the logarithm of depth: of the frame's scale, and of its shape where the surfaces agree."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = [np.where(depth > 0, np.log(depth), np.nan) for depth in depths]
    reference = logs[0]
    numerator, denominator = np.zeros_like(reference), np.zeros_like(reference)
    conf_numerator = np.zeros_like(reference)
    shift = 0.0
    for log_depth, conf, weight in zip(logs, confs, weights, strict=True):
        offset = _median_offset(log_depth, reference, config.sampled_pixels)
        shift += weight * offset
        shape = log_depth - np.float32(offset)
        sure = np.isfinite(conf)
        pixel = weight * np.where(sure, np.maximum(conf, 1e-6), 0.0)
        with np.errstate(invalid="ignore"):
            agrees = np.isfinite(shape) & (~np.isfinite(reference) | (np.abs(shape - reference) < config.same_surface))
        pixel = np.where(agrees, pixel, 0.0)
        numerator += pixel * np.where(agrees, shape, 0.0)
        conf_numerator += pixel * np.where(sure, conf, 0.0)
        denominator += pixel
    known = denominator > 0
    safe = np.where(known, denominator, 1.0)
    depth = np.where(known, np.exp(numerator / safe + np.float32(shift)), depths[0])
    conf = np.where(known, conf_numerator / safe, confs[0])
    return depth.astype(np.float32), conf.astype(np.float32)


def _median_offset(log_depth: Float32, reference: Float32, pixels: int) -> float:
    stride = max(1, reference.size // pixels)
    with np.errstate(invalid="ignore"):
        difference = (log_depth - reference).ravel()[::stride]
    difference = difference[np.isfinite(difference)]
    return float(np.median(difference)) if len(difference) else 0.0
