"""The network run over the frames of this run: planning, reading, passes, merging."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InferenceError
from ..geometry import PixelMap
from ..imageio import UnreadableImageError
from ..progress import Progress
from ..types import Dropped, Frame
from .chunks import chunk_layout, merge_chunks
from .config import InferConfig
from .device import memory_limit_bytes, pick_device
from .given_poses import given_cameras
from .memory import NetworkCost
from .network_pass import NetworkPass
from .plan import CPU_ATTENTION_RATIO, Limits, Plan, make_plan
from .preprocess import Layout, common_layouts, read_views
from .views import RawViews

__all__ = ["NetworkViews", "views_from_network"]

logger = logging.getLogger(__name__)

_FULL_RES_PX, _COMPACT_RES_PX = 504, 168  # the published networks' resolution; that of nets narrower than small
_SMALLEST_PUBLISHED_WIDTH = 384
_LITTLE_KEPT = 0.7


@dataclass(frozen=True)
class NetworkViews:
    """The frames that could be read, what the network says of them, and how the run was planned.

    `conditioned`: the network was told the poses, and the views are in their world and scale.
    """

    frames: tuple[Frame, ...]
    views: RawViews
    pixel_maps: tuple[PixelMap, ...]
    dropped: tuple[Dropped, ...]
    plan: Plan
    conditioned: bool


def views_from_network(frames: Sequence[Frame], config: InferConfig, progress: Progress) -> NetworkViews:
    """Run the configured network over the frames.

    Raises InferenceError where nothing can be read, memory does not suffice or a device is absent, and
    WeightsError where the network cannot be loaded.
    """
    from .. import model

    device = pick_device(config.device)
    network = model.load(config.model, device=device).eval()
    sources = [(frame.width, frame.height) for frame in frames]
    limits = Limits(
        memory_limit_bytes(device, config.max_memory_gb),
        CPU_ATTENTION_RATIO if device.type == "cpu" else None,
        config.max_views_per_pass,
    )
    compact = network.config.embed_dim < _SMALLEST_PUBLISHED_WIDTH
    resolution_px = config.process_res_px or (_COMPACT_RES_PX if compact else _FULL_RES_PX)
    plan = make_plan(sources, resolution_px, config.resize_method, NetworkCost(network.config), limits)
    layouts = common_layouts(sources, plan.resolution_px, config.resize_method)
    _log_plan(plan, resolution_px, frames, layouts)

    pixels, readable, dropped = _read(frames, layouts, config.reading_threads, progress)
    kept = tuple(frames[index] for index in readable)
    maps = tuple(layouts[index].pixel_map for index in readable)
    given = given_cameras(kept, maps)
    chunks = chunk_layout(len(kept), plan.views_per_pass, config.chunk_overlap)
    network_pass = NetworkPass(network, device, config, pixels, given)
    note = f"passes of {plan.size[0]} x {plan.size[1]} px"
    progress.step(0, len(chunks), note)
    done = 0

    def predict(indices: NDArray[np.int64]) -> RawViews:
        nonlocal done
        views = network_pass(indices)
        done += 1
        progress.step(done, len(chunks), note)
        return views

    views = merge_chunks(chunks, len(kept), predict, tied=given is not None)
    return NetworkViews(kept, views, maps, dropped, plan, given is not None)


def _read(
    frames: Sequence[Frame], layouts: Sequence[Layout], threads: int, progress: Progress
) -> tuple[NDArray[np.uint8], list[int], tuple[Dropped, ...]]:
    """The network views (M, h, w, 3) of the readable frames, their indices, and the frames that are not."""
    width, height = layouts[0].size
    pixels = np.empty((len(frames), height, width, 3), np.uint8)
    readable: list[int] = []
    dropped: list[Dropped] = []
    for index, view in enumerate(read_views([frame.path for frame in frames], layouts, threads)):
        if isinstance(view, UnreadableImageError):
            dropped.append(Dropped(frames[index].name, f"cannot be read ({view.reason})"))
        else:
            pixels[len(readable)] = view
            readable.append(index)
        progress.step(index + 1, len(frames), "photographs read")
    if not readable:
        raise InferenceError(f"{dropped[0].frame}: {dropped[0].reason}, nor can any other frame")
    return pixels[: len(readable)], readable, tuple(dropped)


def _log_plan(plan: Plan, asked_px: int, frames: Sequence[Frame], layouts: Sequence[Layout]) -> None:
    logger.info(
        "%d views of %d x %d px (%d px asked), %d in a pass, at most %.2f GB",
        len(frames), *plan.size, asked_px, plan.views_per_pass, plan.peak_bytes / 2**30,
    )  # fmt: skip
    for frame, layout in zip(frames, layouts, strict=True):
        if layout.kept_share < _LITTLE_KEPT:
            logger.warning(
                "%s: the network sees only the middle %.0f %% of it, because the capture mixes shapes",
                frame.name, 100 * layout.kept_share,
            )  # fmt: skip
