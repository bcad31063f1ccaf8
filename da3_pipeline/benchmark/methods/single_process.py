"""A network on each of the pictures of a folder by itself, as `python -m`: JSON request on stdin, answer on stdout.

Monocular networks know no other way; any-view networks are asked as one of them. Depth is written as an npz.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arrays import Bytes, Float32
from ...errors import CaptureError, UsageError
from ...imageio import UnreadableImageError, probe_image
from ...infer.budget.device import pick_device, precision
from ...infer.config import InferConfig
from ...infer.preprocess import Layout, common_layouts, normalise, own_resolution_px, read_view
from ...metering import Meter
from ..fresh_process import answer_request

if TYPE_CHECKING:
    import torch

__all__ = ["main", "predict_singly"]


def main() -> int:
    """Answer one request: images, output, model, device, and `intrinsics` (3 x 3 each) where metres are asked for."""
    return answer_request(predict_singly)


def predict_singly(request: dict[str, Any]) -> dict[str, Any]:
    """Write depth (N, h, w), scales (N, 2) and offsets (N, 2) of its pixel maps; what it took.

    Raises UsageError where metres are asked of a network that has none.
    """
    from ...model import load

    meter, config = Meter(), InferConfig(model=request["model"], device=request["device"])
    device = pick_device(config.device)
    network = load(config.model, device=device).eval()
    matrices = request["intrinsics"]
    if matrices is not None and not network.config.is_monocular:
        raise UsageError(f"metric:{config.model}: its depth is not in metres; da3metric-large's is")
    paths = sorted(Path(request["images"]).iterdir())
    sizes = [(info.width, info.height) for info in map(probe_image, paths)]
    side = own_resolution_px(network.config.embed_dim)
    plans = common_layouts(sizes, side, config.resize_method, config.views)
    depth = np.stack(
        [
            _depth(network, _pixels(path, plan, config), plan, None if matrices is None else matrices[number], device)
            for number, (path, plan) in enumerate(zip(paths, plans, strict=True))
        ]
    )
    maps = [plan.pixel_map for plan in plans]
    scales, offsets = np.array([one.scale for one in maps]), np.array([one.offset for one in maps])
    np.savez(request["output"], depth=depth, scales=scales, offsets=offsets)
    return {"peak_mb": meter.peak_memory_mb}


def _pixels(path: Path, plan: Layout, config: InferConfig) -> Bytes:
    found = read_view(path, plan, config.views)
    if isinstance(found, UnreadableImageError):
        raise CaptureError(f"{found}; get the data set again")
    return found


def _depth(network: Any, pixels: Bytes, plan: Layout, matrix: Any, device: torch.device) -> Float32:
    """(h, w) of one picture, NaN in the sky where the network knows one; in metres for a camera that is told."""
    import torch

    from ...model import is_sky, metres_from_canonical

    with torch.inference_mode(), precision(device):
        output = network(torch.from_numpy(normalise(pixels[None])).to(device)[None], rays=False)
        depth = output.depth.float()
        if matrix is not None:
            seen = torch.from_numpy(plan.pixel_map.intrinsics_to_network(np.array(matrix, float))).float()
            depth = metres_from_canonical(depth, seen.to(device)[None, None])
        if output.sky is not None:
            depth = depth.masked_fill(is_sky(output.sky), float("nan"))
    return np.asarray(depth[0, 0].cpu().numpy(), np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
