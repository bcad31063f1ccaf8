"""One network, ours or the published one, on given images: JSON request on stdin, answer on stdout.

Ours runs as `python -m`, the published one as `PYTHON -I forward_process.py`,
with the interpreter of the environment that holds it. That need not hold this package: hence no imports from it here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = ["main"]

Network = Callable[[torch.Tensor], dict[str, torch.Tensor]]

_PREFIX = "model."
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_MAY_BE_ABSENT = ("head.scratch.output_conv2_aux.", "gs_head.", "gs_adapter.")


def main() -> int:
    """Answer one request."""
    request = json.loads(sys.stdin.read())
    torch.set_num_threads(request["threads"])
    device = torch.device(request["device"])
    published = request["network"] == "published"
    importlib.import_module("depth_anything_3" if published else "da3_pipeline.model")
    request["program_mb"] = 0.0 if device.type == "cuda" else _status_mb("VmRSS")
    with torch.inference_mode():
        network = _published(request, device) if published else _ours(request, device)
        answer = (
            _most_views(network, device, request) if request["find_most_views"] else _timed(network, device, request)
        )
    sys.stdout.write(f"\n{json.dumps(answer)}\n")
    return 0


def _ours(request: dict[str, Any], device: torch.device) -> Network:
    from da3_pipeline.model import load

    net = load(request["checkpoint"], device=device)

    def run(images: torch.Tensor) -> dict[str, torch.Tensor]:
        output = net(images, rays=request["rays"])
        return {
            "depth": output.depth,
            "depth_conf": output.depth_conf,
            "cam_from_world": output.cam_from_world,
            "intrinsics": output.intrinsics,
        }

    return run


def _published(request: dict[str, Any], device: torch.device) -> Network:
    """The published network, called as its own interface calls it."""
    configuration = importlib.import_module("depth_anything_3.cfg")
    registry = importlib.import_module("depth_anything_3.registry").MODEL_REGISTRY
    net = configuration.create_object(configuration.load_config(registry[request["variant"]])).eval()
    state = _mapped(Path(request["checkpoint"]))
    missing, unexpected = net.load_state_dict(state, strict=False)
    wrong = [name for name in missing if not name.startswith(_MAY_BE_ABSENT)] + unexpected
    if wrong:
        raise RuntimeError(f"the published network and the checkpoint differ: {', '.join(wrong[:5])}")
    net = net.to(device)

    def run(images: torch.Tensor) -> dict[str, torch.Tensor]:
        output = net(images)
        return {
            "depth": output["depth"],
            "depth_conf": output["depth_conf"],
            "cam_from_world": output["extrinsics"],
            "intrinsics": output["intrinsics"],
        }

    return run


def _mapped(path: Path) -> dict[str, torch.Tensor]:
    """The float32 tensors of a safetensors file, mapped into memory."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    data = torch.from_numpy(np.memmap(path, np.uint8, "c", offset=8 + length))
    return {
        key.removeprefix(_PREFIX): data[slice(*entry["data_offsets"])].view(torch.float32).reshape(entry["shape"])
        for key, entry in header.items()
        if key != "__metadata__"
    }


def _timed(network: Network, device: torch.device, request: dict[str, Any]) -> dict[str, Any]:
    """Times of `passes` passes after one that is not counted, peak memory of them all, outputs into a file."""
    images = torch.from_numpy(np.load(request["images"]))[None].to(device)
    _reset_peak(device)
    seconds, cpu_seconds = [], []
    output: dict[str, torch.Tensor] = {}
    for _ in range(1 + request["passes"]):
        del output
        wall, cpu = time.perf_counter(), time.process_time()
        output = _pass(network, images)
        seconds.append(time.perf_counter() - wall)
        cpu_seconds.append(time.process_time() - cpu)
    peak_mb = _peak_mb(device)
    arrays: dict[str, Any] = {name: value.float().cpu().numpy() for name, value in output.items()}
    np.savez(request["output"], **arrays)
    return {
        "seconds": seconds[1:],
        "cpu_seconds": cpu_seconds[1:],
        "peak_mb": peak_mb,
        "program_mb": request["program_mb"],
    }


def _pass(network: Network, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """One pass to its end: in float32 on a CPU, on a GPU with bfloat16 autocast as both networks are meant to run."""
    cuda = images.device.type == "cuda"
    with torch.autocast("cuda", torch.bfloat16) if cuda else contextlib.nullcontext():
        output = network(images)
    if cuda:
        torch.cuda.synchronize(images.device)
    return output


def _most_views(network: Network, device: torch.device, request: dict[str, Any]) -> dict[str, Any]:
    """The most views of which one pass fits into the GPU's memory, at most `find_most_views`."""
    drawn = np.load(request["images"], mmap_mode="r")

    def fits(views: int) -> bool:
        torch.cuda.empty_cache()
        try:
            images = torch.from_numpy(drawn[np.arange(views) % len(drawn)])[None].to(device)
            _pass(network, images)
        except torch.cuda.OutOfMemoryError:
            return False
        return True

    return {"most_views": _largest(fits, request["find_most_views"])}


def _largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest number up to `limit` that fits, 0 if none: doubled until one does not, then halved between."""
    good, bad = 0, limit + 1
    trial = 1
    while bad - good > 1:
        if fits(trial):
            good = trial
        else:
            bad = trial
        trial = min(2 * good, limit) if bad > limit else (good + bad) // 2
    return good


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")


def _peak_mb(device: torch.device) -> float:
    """On a GPU what tensors took at most; else the process's largest resident memory, imports and weights included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return _status_mb("VmHWM")


def _status_mb(name: str) -> float:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
