"""What bundle adjustment costs as captures grow: seconds, memory and accuracy of large synthetic problems."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, get_args

from ...errors import PipelineError, UsageError
from ...progress import Progress
from .synthetic_problem import CapturePath

__all__ = ["IMAGES", "measure_adjustment"]

IMAGES = (50, 200, 500)
_ERRORS = f"{'rotation deg':>16}{'position %':>16}"
_COLUMNS = f"{'images':>6}{'observed':>10}{'kept':>9}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}{_ERRORS}{'focal %':>16}"


def measure_adjustment(images: Sequence[int], path: str, seed: int, progress: Progress) -> str:
    """A line per number of images, each in a fresh process of one thread for each operation.

    Poses are off by 3 degrees and 3 % of the extent, the focal length by 3 %; along a walk errors drift, as those of
    a video do. 5 % of the observations are false. Errors before -> after: median rotation, RMS position in percent of
    the extent, both after a similarity, and focal length. Raises UsageError for a path that is none.
    """
    if path not in get_args(CapturePath):
        raise UsageError(f"--path {path}: possible are {' and '.join(get_args(CapturePath))}")
    rows = [_COLUMNS]
    for number, count in enumerate(images):
        progress.step(number, len(images), f"{path} of {count} images")
        answer = _run_fresh({"images": count, "path": path, "seed": seed})
        pairs = "".join(
            f"{f'{answer[name][0]:.{digits}f} -> {answer[name][1]:.{digits + 1}f}':>16}"
            for name, digits in (("rotation_deg", 1), ("position_percent", 1), ("focal_percent", 1))
        )
        rows.append(
            f"{count:>6}{answer['observations']:>10}{answer['kept']:>9}{answer['seconds']:>9.1f}{answer['cpu_s']:>8.1f}"
            f"{answer['peak_mb']:>9.0f}{pairs}"
        )
    return "\n".join(rows)


def _run_fresh(request: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "da3_pipeline.benchmark.refinement.adjustment_process"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, env=environment)
    if child.returncode:
        raise PipelineError((child.stderr.strip().splitlines() or ["the run ended without a word"])[-1])
    answer: dict[str, Any] = json.loads(child.stdout.strip().splitlines()[-1])
    return answer
