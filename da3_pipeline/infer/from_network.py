"""The network run over the frames of this run: planning, chunks, one prediction of them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..arrays import Bytes, Float, Int
from ..errors import InferenceError
from ..files.fingerprint import fingerprint
from ..geometry import PixelMap
from ..progress import Progress
from ..types import Dropped, Frame
from ..versions import STAGE_VERSIONS
from .budget.device import memory_limit_bytes, pick_device, require_fused_attention
from .budget.memory import NetworkCost, weights_in_use
from .budget.plan import Limits, Plan, make_plan
from .config import InferConfig, ViewConfig
from .frame_reader import FrameReader
from .given_poses import given_cameras, known_poses
from .network_pass import NetworkPass, refuse_monocular
from .preprocess import Layout, common_layouts, own_resolution_px
from .sequence.chunk_store import ChunkStore, recall, remember
from .sequence.run import MERGED, PredictedSequence, SequencePlan, predict_sequence
from .views import RawViews

if TYPE_CHECKING:
    from ..model import Network

__all__ = ["NetworkViews", "views_from_network"]

logger = logging.getLogger(__name__)

_WITHOUT_INFLUENCE = {
    "budget", "device", "loop_closure", "max_memory_gb", "max_views_per_pass", "predictions", "reading_threads",
    "sensor", "sequence",
}  # fmt: skip
"""Settings that do not change what a chunk of given frames and size says."""


@dataclass(frozen=True)
class NetworkViews:
    """The frames that the network says something of, what it says, and the frames that are left out.

    `confidence` (N,): the median of each view's. The views are in the world of the known poses where there are any.
    It took `chunks` chunks; of the revisits that were `tried`, `loops` closed.
    """

    frames: tuple[Frame, ...]
    views: RawViews
    confidence: Float
    pixel_maps: tuple[PixelMap, ...]
    dropped: tuple[Dropped, ...]
    chunks: int
    tried: int
    loops: int


def views_from_network(
    frames: Sequence[Frame], config: InferConfig, progress: Progress, workspace: Path | None = None
) -> NetworkViews:
    """Run the configured network over the frames.

    Finished chunks are kept in `workspace` and found there by a later run; the maps of a long capture stay there and
    are memory-mapped. Raises InferenceError where nothing can be read, the network gives nothing usable, memory does
    not suffice or a device is absent, and WeightsError where the network cannot be loaded.
    """
    from .. import model

    refuse_monocular(config.model)
    device = pick_device(config.device)
    network = model.load(config.model, device=device).eval()
    network_pass = NetworkPass(network, device, config)
    with _workspace(workspace) as folder:
        identity = _identity(frames, config)
        cost = _cost(network, frames, config, device.type)
        plan = _plan(cost, network, frames, config, memory_limit_bytes(device, config))
        plan = _as_before(plan, frames, config, recall(folder, identity))
        tokens = cost.tokens(plan.views_per_pass, *plan.size)
        require_fused_attention(device, network.config.heads, tokens, config.budget)
        remember(folder, identity, {"resolution_px": plan.resolution_px, "views_per_pass": plan.views_per_pass})
        sources = [(frame.width, frame.height) for frame in frames]
        layouts = common_layouts(sources, plan.resolution_px, config.resize_method, config.views)
        _log_plan(plan, frames, layouts, config.views)
        maps = tuple(layout.pixel_map for layout in layouts)
        given = given_cameras(frames, maps, config.cameras)

        def predict_chunk(indices: Int, pixels: Bytes) -> RawViews:
            return network_pass(pixels, None if given is None else given.subset(indices))

        store = ChunkStore(folder, fingerprint(identity, plan.size), [frame.fingerprint for frame in frames])
        sequence_plan = SequencePlan(
            plan.views_per_pass, config.chunk_overlap, config.sequence, given is not None, config.loop_closure
        )
        note = f"frames predicted at {plan.size[0]} x {plan.size[1]} px"
        with FrameReader([frame.path for frame in frames], layouts, config.views, config.reading_threads) as reader:
            sequence = predict_sequence(
                reader, predict_chunk, store, sequence_plan, progress, known_poses(frames), note
            )
        merged = sequence.merged
        if merged is not None and (workspace is None or sequence.chunks == 1):
            merged = replace(merged, views=merged.views.in_memory())
            shutil.rmtree(folder / MERGED, ignore_errors=True)
    return _outcome(frames, maps, replace(sequence, merged=merged), config.model)


@contextmanager
def _workspace(folder: Path | None) -> Iterator[Path]:
    """The folder for finished chunks, or one that lives as long as the run."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="da3-pipeline-") as name:
        yield Path(name)


def _identity(frames: Sequence[Frame], config: InferConfig) -> str:
    """A digest of all that decides what a chunk says but its frames and their size."""
    settings = config.model_dump(mode="json", exclude=_WITHOUT_INFLUENCE)
    checkpoint = Path(config.model)
    status = checkpoint.stat() if checkpoint.is_file() else None
    stamp = None if status is None else (status.st_size, status.st_mtime_ns)
    given = [
        (
            frame.fingerprint,
            frame.width,
            frame.height,
            frame.exif_focal_px,
            None if frame.known_camera is None else frame.known_camera.params,
            None if frame.known_cam_from_world is None else frame.known_cam_from_world.tolist(),
        )
        for frame in frames
    ]
    return fingerprint(STAGE_VERSIONS["infer"], settings, stamp, given)


def _cost(network: Network, frames: Sequence[Frame], config: InferConfig, device: str) -> NetworkCost:
    """On a GPU the weights are loaded before the free memory is asked for; on a CPU those in use fill it later."""
    told = any(frame.known_cam_from_world is not None for frame in frames)
    weights = weights_in_use(network, told=told) if device == "cpu" else 0
    return NetworkCost(network.config, weights, device, config.gaussians)


def _plan(cost: NetworkCost, network: Network, frames: Sequence[Frame], config: InferConfig, memory_bytes: int) -> Plan:
    ratio = config.budget.cpu_attention_ratio if cost.device == "cpu" else None
    limits = Limits(memory_bytes, ratio, config.max_views_per_pass)
    resolution_px = config.process_res_px or own_resolution_px(network.config.embed_dim)
    sources = [(frame.width, frame.height) for frame in frames]
    return make_plan(sources, resolution_px, config, cost, limits)


def _as_before(plan: Plan, frames: Sequence[Frame], config: InferConfig, before: dict[str, int]) -> Plan:
    """The plan that an interrupted run began with, so that its chunks fit; smaller ones where memory has shrunk."""
    if not before or not before["views_per_pass"] >= 1:
        return plan
    shapes = sorted({(frame.width, frame.height) for frame in frames})
    size = common_layouts(shapes, before["resolution_px"], config.resize_method, config.views)[0].size
    views = before["views_per_pass"]
    if size == plan.size:
        views = min(views, plan.views_per_pass)
    return replace(plan, resolution_px=before["resolution_px"], size=size, views_per_pass=views)


def _outcome(
    frames: Sequence[Frame], maps: Sequence[PixelMap], sequence: PredictedSequence, source: str
) -> NetworkViews:
    """Everything by frame, and why the others are left out."""
    merged = sequence.merged
    dropped = {index: f"cannot be read ({reason})" for index, reason in sequence.unreadable.items()}
    if merged is None:
        if len(dropped) == len(frames):
            raise InferenceError(f"{frames[0].name}: {dropped[0]}, nor can any other frame")
        raise InferenceError(
            f"{source}: gives no finite depth, pose and focal length for any of {len(frames) - len(dropped)} frames; "
            "try another model, or --device cpu"
        )
    for index in set(range(len(frames))) - set(merged.kept.tolist()) - set(dropped):
        dropped[index] = f"{source} gives no finite depth or pose for it"
    return NetworkViews(
        tuple(frames[index] for index in merged.kept),
        merged.views,
        merged.confidence,
        tuple(maps[index] for index in merged.kept),
        tuple(Dropped(frames[index].name, dropped[index]) for index in sorted(dropped)),
        sequence.chunks,
        sequence.tried,
        sequence.loops,
    )


def _log_plan(plan: Plan, frames: Sequence[Frame], layouts: Sequence[Layout], config: ViewConfig) -> None:
    logger.info(
        "%d views of %d x %d px, %d in a pass, at most %.2f GB",
        len(frames), *plan.size, plan.views_per_pass, plan.peak_bytes / 2**30,
    )  # fmt: skip
    for frame, layout in zip(frames, layouts, strict=True):
        if layout.kept_share < config.little_kept:
            logger.warning(
                "%s: the network sees only the middle %.0f %% of it, because the capture mixes shapes",
                frame.name, 100 * layout.kept_share,
            )  # fmt: skip
