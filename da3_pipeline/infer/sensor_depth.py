"""Depth that a sensor measured takes the place of the network's, where it is known, and brings the metres."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..arrays import Float32, read_entry
from ..errors import MissingExtraError
from ..files.depthio import UnreadableDepthError, depth_at, read_depth
from ..geometry import PixelMap
from ..types import Frame, MetricScale, Prediction
from .config import SensorConfig

__all__ = ["in_network_pixels", "with_sensor_depth"]

logger = logging.getLogger(__name__)

Element = TypeVar("Element", bound=np.generic)


def with_sensor_depth(prediction: Prediction, config: SensorConfig) -> Prediction:
    """The prediction with measured depth in place of the predicted, and the length of its unit by the sensor.

    A unit of the world is what makes the median frame's measured depth that of the network, since its cameras go with
    its depth; frames then agree with each other as the sensor's do. Where a frame's sensor knows nothing, the network's
    depth stays, brought to the frame's own measured scale. Maps that cannot be read are said, and stay the network's.
    """
    measured = _measured(prediction)
    if not measured:
        return prediction
    ratios = {k: _ratio(depth, read_entry(prediction.depth, k), config.fewest_pixels) for k, depth in measured.items()}
    ratios = {k: ratio for k, ratio in ratios.items() if np.isfinite(ratio)}
    if not ratios:
        logger.warning("the sensor's depth covers too little of every picture: it is not used")
        return prediction
    unit = float(np.exp(np.median(np.log(list(ratios.values())))))
    depth, conf = _writable(prediction.depth), _writable(prediction.conf)
    surest = _largest(prediction.conf)
    for frame, ratio in ratios.items():
        known = np.isfinite(measured[frame])
        depth[frame] = np.where(known, measured[frame], depth[frame] * np.float32(ratio)) / np.float32(unit)
        conf[frame][known] = surest
    metric = prediction.metric
    if any(_metric(prediction.frames.frames[k]) for k in ratios):
        metric = MetricScale(unit, 0.0, "the depth sensor", measured=True)
    return replace(prediction, depth=depth, conf=conf, metric=metric)


def in_network_pixels(depth: Float32, frame: Frame, pixel_map: PixelMap, shape: tuple[int, int]) -> Float32:
    """A stored depth map (H, W) of a frame at the centres of the network's (h, w) pixels, by the nearest one."""
    rows, columns = np.indices(shape).reshape(2, -1)
    upright = pixel_map.to_original(np.stack([columns + 0.5, rows + 0.5], axis=1))
    return depth_at(depth, frame, upright).reshape(shape)


def _measured(prediction: Prediction) -> dict[int, Float32]:
    """The sensor's maps in network pixels, by frame."""
    found, lost = {}, []
    for index, frame in enumerate(prediction.frames.frames):
        if frame.depth is None:
            continue
        try:
            depth = read_depth(frame.depth)
        except (UnreadableDepthError, MissingExtraError) as error:
            lost.append(str(error))
            continue
        shape = prediction.depth.shape[1:]
        found[index] = in_network_pixels(depth, frame, prediction.pixel_maps[index], (shape[0], shape[1]))
    if lost:
        logger.warning("%d depth maps of the sensor are not used: %s", len(lost), lost[0])
    return found


def _largest(confidence: Float32) -> float:
    """The largest of all frames (N, h, w): what a network doubts in one frame a sensor knows as well as in another."""
    maps = (read_entry(confidence, index) for index in range(len(confidence)))
    return max((float(conf[np.isfinite(conf)].max(initial=0.0)) for conf in maps), default=0.0) or 1.0


def _metric(frame: Frame) -> bool:
    return frame.depth is not None and (frame.depth.metric or frame.known_pose_metric)


def _ratio(measured: Float32, predicted: Float32, fewest: int) -> float:
    """The median of measured over predicted depth of a frame; NaN where too little is known of both."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = measured / predicted
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.median(ratios)) if len(ratios) >= fewest else float("nan")


def _writable(array: np.ndarray[tuple[int, ...], np.dtype[Element]]) -> np.ndarray[tuple[int, ...], np.dtype[Element]]:
    """A copy: in memory, or of a long capture's mapped file in another beside it."""
    if not isinstance(array, np.memmap) or array.filename is None:
        return np.array(array, subok=False)
    path = Path(array.filename)
    copy = np.lib.format.open_memmap(
        path.with_name(f"sensor_{path.name}"), mode="w+", dtype=array.dtype, shape=array.shape
    )
    for index in range(len(array)):
        copy[index] = read_entry(array, index)
    return copy
