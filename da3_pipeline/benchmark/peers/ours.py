"""Our own program as a user runs it: a process of its own, from files to a data set."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Float
from ...config import PipelineConfig
from ...errors import PipelineError
from ..fresh_process import Finished, ask, python_module, run_metered

__all__ = ["OurRun", "data_set_poses", "run_command", "run_configured"]

_PROCESS = "da3_pipeline.benchmark.peers.our_process"
_COMMAND = "from da3_pipeline.cli import main; main()"
_FINISHED = (0, 3)  # and 3: below its quality gates


@dataclass(frozen=True)
class OurRun:
    """One run. session: its folder. report: report.json. wall_s, cpu_s: of the whole process."""

    session: Path
    report: dict[str, Any]
    wall_s: float
    cpu_s: float

    @property
    def passed(self) -> bool:
        return bool(self.report["verdict"]["passed"])

    @property
    def summary(self) -> str:
        return str(self.report["verdict"]["summary"])

    @property
    def verdict(self) -> str:
        """'passed', or the summary that says why not."""
        return "passed" if self.passed else self.summary

    @property
    def set_aside(self) -> frozenset[str]:
        """Names of frames that selection did not mean to train on, whatever their pose: blurred ones, say."""
        return frozenset(frame["name"] for frame in self.report["frames"] if not frame["training"])

    @property
    def cam_from_world(self) -> dict[str, Float]:
        return data_set_poses(self.session)


def run_command(sources: Sequence[Path], session: Path, options: Sequence[str] = ()) -> OurRun:
    """`da3-pipeline run SOURCES -o SESSION --quiet`, and `options`. Raises PipelineError where it fails."""
    words = ["run", *(str(source.absolute()) for source in sources), "-o", str(session), "--quiet", *options]
    finished = run_metered([sys.executable, "-c", _COMMAND, *words])
    if finished.exit_code not in _FINISHED:
        raise PipelineError(f"da3-pipeline {' '.join(words[:2])}: {finished.last_word}")
    return _run(session, finished)


def run_configured(sources: Sequence[Path], session: Path, config: PipelineConfig) -> OurRun:
    """The same through the Python interface, for what the command line has no option for."""
    request = {
        "sources": [str(source.absolute()) for source in sources],
        "output": str(session),
        "config": config.model_dump(mode="json"),
    }
    return _run(session, ask("the run", python_module(_PROCESS), request))


def data_set_poses(session: Path) -> dict[str, Float]:
    """cam_from_world (3, 4) of every image of the data set, by the name of its frame in the capture."""
    import pycolmap

    model = pycolmap.Reconstruction(session / "sparse" / "0")
    frames = json.loads((session / "report.json").read_text(encoding="utf-8"))["frames"]
    frame_of = {frame["image"]: frame["name"] for frame in frames if frame["image"]}
    return {frame_of[image.name]: np.asarray(image.cam_from_world().matrix()) for image in model.images.values()}


def _run(session: Path, finished: Finished) -> OurRun:
    report = json.loads((session / "report.json").read_text(encoding="utf-8"))
    return OurRun(session, report, finished.wall_s, finished.cpu_s)
