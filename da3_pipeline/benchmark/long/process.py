"""Runs one long capture, as `python -m`: JSON request on stdin, answer on stdout.

It is given pictures and, for the simulated network, what that answers from; the judge lives in another process.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ...infer import InferConfig
from ...infer.frame_reader import FrameReader
from ...infer.from_network import views_from_network
from ...infer.preprocess import common_layouts
from ...infer.sequence.chunk_store import ChunkStore
from ...infer.sequence.run import SequencePlan, predict_sequence
from ...metering import Meter
from ...progress import SilentProgress
from ...types import Frame
from ..fresh_process import answer_request
from ..truth.simulated_network import SimulatedNetwork
from ..truth.tour_capture import render_capture

__all__ = ["main"]

_NETWORK_PX = 168


def main() -> int:
    """Answer one request; the result lies below the request's workspace as `result.npz` and `merged/depth.npy`."""
    return answer_request(_measured)


def _measured(request: dict[str, Any]) -> dict[str, Any]:
    meter, cpu_s = Meter(), time.process_time()
    answer = (_simulated if request["simulated"] else _network)(request, Path(request["workspace"]))
    return answer | {"seconds": meter.seconds, "cpu_s": time.process_time() - cpu_s, "peak_mb": meter.peak_memory_mb}


def _network(request: dict[str, Any], workspace: Path) -> dict[str, Any]:
    images = [Path(image) for image in request["images"]]
    width, height = request["size"]
    frames = [Frame(image.name, image, width, height, "camera", image.name) for image in images]
    config = InferConfig(
        model=request["model"],
        device=request["device"],
        process_res_px=_NETWORK_PX,
        max_views_per_pass=request["views_per_pass"],
        loop_closure=request["loops"],
    )
    result = views_from_network(frames, config, SilentProgress(), workspace)
    kept = [images.index(frame.path) for frame in result.frames]
    _write(workspace, np.array(kept), result.views.cam_from_world, result.views.intrinsics)
    return {"chunks": result.chunks, "tried": result.tried, "loops": result.loops}


def _simulated(request: dict[str, Any], workspace: Path) -> dict[str, Any]:
    count = len(request["images"])
    capture = render_capture(Path(request["cache"]), request["seed"], count, SilentProgress())
    layouts = common_layouts([tuple(request["size"])] * count, _NETWORK_PX, "upper_bound_resize", InferConfig().views)
    config = InferConfig()
    plan = SequencePlan(request["views_per_pass"], config.chunk_overlap, config.sequence, close_loops=request["loops"])
    store = ChunkStore(workspace, "simulated", [str(index) for index in range(count)])
    with FrameReader(capture.images, layouts, InferConfig().views) as reader:
        network = SimulatedNetwork(capture, request["seed"])
        result = predict_sequence(reader, network, store, plan, SilentProgress())
    if result.merged is not None:
        _write(workspace, result.merged.kept, result.merged.views.cam_from_world, result.merged.views.intrinsics)
    return {"chunks": result.chunks, "tried": result.tried, "loops": result.loops}


def _write(workspace: Path, kept: np.ndarray, cam_from_world: np.ndarray, intrinsics: np.ndarray) -> None:
    np.savez(workspace / "result.npz", kept=kept, cam_from_world=cam_from_world, intrinsics=intrinsics)


if __name__ == "__main__":
    raise SystemExit(main())
