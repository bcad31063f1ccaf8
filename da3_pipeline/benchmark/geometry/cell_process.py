"""One cell of the grid, as `python -m`: JSON request on stdin, answer on stdout. What it took is free when it ends."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ...files.strict_json import finite
from ...metering import Meter
from ..fresh_process import answer_request
from ..methods.registry import method
from .cells import cell_scene
from .evaluation import evaluate

__all__ = ["main", "measure_cell"]


def main() -> int:
    """Answer one request: the fields of a `Cell`, and `device`."""
    return answer_request(measure_cell)


def measure_cell(request: dict[str, Any]) -> dict[str, Any]:
    """Read the scene, ask the method, judge the answer; as JSON has it, with the peak memory of all that."""
    meter = Meter()
    scene = cell_scene(request["dataset"], Path(request["folder"]), request["scene"], request["views"])
    asked = method(request["method"], request["dataset"], request["device"])
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
        estimate = asked.estimate(scene, Path(scratch))
        figures = evaluate(scene, estimate, _device(request["device"]) if scene.targets else "cpu")
    told = {name: getattr(estimate, name) for name in ("wall_s", "cpu_s", "peak_mb", "passed", "verdict")}
    answer: dict[str, Any] = finite({"figures": figures.__dict__, **told, "cell_mb": meter.peak_memory_mb})
    return answer


def _device(name: str) -> str:
    """Where splats are trained: on a GPU only with gsplat, without which pictures are drawn as slowly as on a CPU."""
    from ...gaussians import gsplat_is_usable
    from ...infer.budget.device import pick_device

    return str(pick_device(name)) if gsplat_is_usable() else "cpu"


if __name__ == "__main__":
    raise SystemExit(main())
