"""One capture posed by one program, from files to data set: how well, and what the whole of it cost."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Float
from ..peers.colmap import ColmapMode, run_colmap
from ..peers.ours import run_command
from ..truth.pose_score import PoseScore, score_poses
from ..truth.scene_truth import stacked
from ..truth.verdicts import JudgedVerdict, judge_data_set

__all__ = ["COST_NOTE", "Measured", "measure_colmap", "measure_ours", "modes_note"]

COST_NOTE = (
    "wall and CPU seconds (all threads): the whole command in a process of its own, from files to a data set on disk.\n"
    "ours: da3-pipeline run, start, imports, network, images, model, seeds and report included; "
    "COLMAP: start and imports, extraction, matching, mapping, model and copies of its images; "
    "left out on both sides: undistortion."
)


@dataclass(frozen=True)
class Measured:
    """score: of the poses in the data set. wall_s, cpu_s: medians of the runs. parts_s: wall seconds of the last run's
    stages. verdict: of ours, against the truth."""

    method: str
    score: PoseScore
    wall_s: float
    cpu_s: float
    parts_s: dict[str, float]
    verdict: JudgedVerdict | None = None


def measure_ours(
    run: str,
    images: Path,
    truth: Mapping[str, Float],
    options: Callable[[Path], Sequence[str]] = lambda scratch: (),
    runs: int = 1,
) -> Measured:
    """`da3-pipeline run` with `options`, which are asked for with a scratch folder each time; `run` names it."""
    walls, cpus = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
            ours = run_command([images], Path(scratch) / "session", options(Path(scratch)))
            poses, aside = ours.cam_from_world, ours.set_aside
        walls.append(ours.wall_s)
        cpus.append(ours.cpu_s)
    parts_s = {stage["name"]: stage["seconds"] for stage in ours.report["stages"]}
    verdict = judge_data_set(run, truth, poses, aside, ours.passed, ours.verdict)
    return _measured("ours", truth, poses, (walls, cpus), parts_s, verdict)


def measure_colmap(name: str, mode: ColmapMode, images: Path, truth: Mapping[str, Float], runs: int = 1) -> Measured:
    """COLMAP in the mode of that name."""
    walls, cpus = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
            theirs = run_colmap(images, Path(scratch), mode)
        walls.append(theirs.wall_s)
        cpus.append(theirs.cpu_s)
    return _measured(f"COLMAP {name}", truth, theirs.cam_from_world, (walls, cpus), theirs.seconds, None)


def modes_note(modes: Mapping[str, ColmapMode]) -> str:
    """What the names of the modes mean, a line each."""
    return "\n".join(f"COLMAP {name}: {mode}" for name, mode in modes.items())


def _measured(
    method: str,
    truth: Mapping[str, Float],
    poses: Mapping[str, Float],
    seconds: tuple[list[float], list[float]],
    parts_s: Mapping[str, Any],
    verdict: JudgedVerdict | None,
) -> Measured:
    wall_s, cpu_s = (statistics.median(of_runs) for of_runs in seconds)
    score = score_poses(np.stack(list(truth.values())), stacked(truth, poses))
    return Measured(method, score, wall_s, cpu_s, dict(parts_s), verdict)
