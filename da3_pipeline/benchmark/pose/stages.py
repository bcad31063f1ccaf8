"""What each stage of the pipeline costs on a capture: wall time and peak memory, from a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config import PipelineConfig
from ...errors import PipelineError
from ...types import StageRecord

__all__ = ["FreshRun", "measure_stages", "run_fresh"]


@dataclass(frozen=True)
class FreshRun:
    """One run of the pipeline in a process of its own, interpreter start and imports included.

    `images_to_poses_s` is the time from process start until refined poses exist (export not counted).
    """

    stages: tuple[StageRecord, ...]
    images_to_poses_s: float
    peak_memory_mb: float


def run_fresh(sources: Sequence[Path], output: Path, config: PipelineConfig) -> FreshRun:
    """Run the pipeline once in a new interpreter. Raises PipelineError with the run's last message where it fails."""
    request = {
        "sources": [str(source.absolute()) for source in sources],
        "output": str(output),
        "config": config.model_dump(mode="json"),
        "started_s": time.time(),
    }
    command = [sys.executable, "-m", "da3_pipeline.benchmark.pose.process"]
    child = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True)
    if child.returncode:
        raise PipelineError((child.stderr.strip().splitlines() or ["the run ended without a word"])[-1])
    answer = json.loads(child.stdout.strip().splitlines()[-1])
    stages = tuple(StageRecord(**stage) for stage in answer["stages"])
    export_s = sum(stage.seconds for stage in stages if stage.name == "export")
    return FreshRun(stages, answer["elapsed_s"] - export_s, max(stage.peak_memory_mb for stage in stages))


def measure_stages(sources: Sequence[Path], config: PipelineConfig) -> str:
    """A table of seconds and peak memory by stage."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        measured = run_fresh(sources, Path(folder), config)
    rows = [f"{'stage':<16}{'seconds':>9}{'peak MB':>9}"]
    rows += [f"{stage.name:<16}{stage.seconds:>9.2f}{stage.peak_memory_mb:>9.0f}" for stage in measured.stages]
    rows.append(f"{'images to poses':<16}{measured.images_to_poses_s:>9.2f}{measured.peak_memory_mb:>9.0f}")
    return "\n".join(rows)
