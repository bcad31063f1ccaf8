"""What each stage of the pipeline costs on a capture: wall time and peak memory, from a fresh process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...config import PipelineConfig
from ..peers.ours import run_configured

__all__ = ["measure_stages"]


def measure_stages(sources: Sequence[Path], config: PipelineConfig) -> str:
    """A table of seconds and peak memory by stage, and of the whole process, start and imports included."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        measured = run_configured(sources, Path(folder) / "session", config)
    rows = [f"{'stage':<16}{'seconds':>9}{'peak MB':>9}"]
    rows += [
        f"{stage['name']:<16}{stage['seconds']:>9.2f}{stage['peak_memory_mb']:>9.0f}"
        for stage in measured.report["stages"]
    ]
    peak_mb = max(stage["peak_memory_mb"] for stage in measured.report["stages"])
    rows.append(f"{'whole command':<16}{measured.wall_s:>9.2f}{peak_mb:>9.0f}")
    return "\n".join(rows)
