"""Ours beside COLMAP on rendered scenarios: pose error, registered share, time, and whether the verdict saw it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float
from ...config import PipelineConfig
from ...errors import UsageError
from ...geometry.pose_metrics import pose_errors
from ...pipeline import run
from ...progress import Progress, SilentProgress
from ..peers.colmap import run_colmap
from ..truth.prior_noise import PriorNoise
from .capture_files import ScenarioCapture, render_scenario, write_network_prior
from .catalogue import SCENARIOS

__all__ = ["RIGHT_AUC_5", "Outcome", "ScenarioRow", "measure_scenarios", "scenarios_json", "scenarios_table"]


RIGHT_AUC_5 = 90.0
"""A solution with less is wrong, and a verdict that passes it has failed."""

_NOISE = PriorNoise(5.0, 0.05, 0.05)


@dataclass(frozen=True)
class Outcome:
    """posed: share of all pictures. auc_1, auc_5, auc_30: in percent, pictures without a pose counting as wrong."""

    posed: float
    auc_1: float
    auc_5: float
    auc_30: float
    seconds: float
    passed: bool | None = None
    verdict: str = ""

    def __str__(self) -> str:
        return f"{100 * self.posed:>5.0f}%{self.auc_1:>6.0f}{self.auc_5:>5.0f}{self.auc_30:>5.0f}{self.seconds:>7.1f}"


@dataclass(frozen=True)
class ScenarioRow:
    """One scenario of one seed. colmap: None where it was not run."""

    name: str
    seed: int
    images: int
    ours: Outcome
    colmap: Outcome | None

    @property
    def unflagged(self) -> bool:
        """Wrong, and passed by the verdict."""
        return bool(self.ours.passed) and self.ours.auc_5 < RIGHT_AUC_5


def measure_scenarios(
    names: Sequence[str], seeds: Sequence[int], cache: Path, colmap: bool, progress: Progress
) -> list[ScenarioRow]:
    """A row for every scenario and seed. Raises UsageError for a name that is none of SCENARIOS."""
    for name in names:
        if name not in SCENARIOS:
            raise UsageError(f"{name!r}: no such scenario; there are {', '.join(SCENARIOS)}")
    rows = []
    for seed in seeds:
        for name in names or SCENARIOS:
            capture = render_scenario(name, cache, seed, progress)
            progress.step(0, 1, f"{name}, ours")
            ours = _ours(capture, seed)
            theirs = _colmap(capture) if colmap else None
            rows.append(ScenarioRow(name, seed, len(capture.names), ours, theirs))
    return rows


def scenarios_table(rows: Sequence[ScenarioRow]) -> str:
    """A line a scenario: share posed, AUC@1/5/30, seconds, verdict, and the same of COLMAP; then what went unseen."""
    head = f"{'posed':>6}{'@1':>6}{'@5':>5}{'@30':>5}{'s':>7}"
    lines = [f"{'scenario':<24}{'seed':>5}{'ours':>6}{head[6:]}  {'verdict':<9}{'COLMAP':>6}{head[6:]}"]
    for row in rows:
        verdict = "passed" if row.ours.passed else "flagged"
        lines.append(f"{row.name:<24}{row.seed:>5}{row.ours}  {verdict:<9}{row.colmap or ''}".rstrip())
    lines.append("")
    lines += [f"{row.name}, seed {row.seed}: {row.ours.verdict}" for row in rows if not row.ours.passed]
    wrong = [row for row in rows if row.ours.auc_5 < RIGHT_AUC_5]
    unseen = [f"{row.name} (seed {row.seed})" for row in rows if row.unflagged]
    wrong_rule = f"wrong (AUC@5 under {RIGHT_AUC_5:.0f})"
    lines.append(f"{wrong_rule}: {len(wrong)} of {len(rows)} runs, of these passed by the verdict: {len(unseen)}")
    return "\n".join([*lines, *unseen])


def scenarios_json(rows: Sequence[ScenarioRow]) -> str:
    """All figures of all rows."""
    return json.dumps([asdict(row) | {"unflagged": row.unflagged} for row in rows], indent=1)


def _ours(capture: ScenarioCapture, seed: int) -> Outcome:
    """The whole pipeline on the pictures, with a simulated network's predictions; seconds up to the poses."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        prior = Path(folder) / "prior.npz"
        write_network_prior(capture, prior, _NOISE, seed)
        config = PipelineConfig.model_validate(
            {
                "ingest": {"masks": capture.masks, "rig": capture.rig},
                "infer": {"predictions": prior},
                "refine": {"threads": 1},
            }
        )
        outcome = run([capture.images], Path(folder) / "session", config, SilentProgress())
    scene = outcome.scene
    found = {frame.name: pose for frame, pose in zip(scene.frames, scene.cam_from_world, strict=True)}
    seconds = sum(stage.seconds for stage in outcome.stages if stage.name != "export")
    return _judged(capture, found, seconds, scene.verdict.passed, scene.verdict.summary)


def _colmap(capture: ScenarioCapture) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        found = run_colmap(
            capture.images,
            Path(folder),
            capture.scenario.lens,
            cameras=capture.scenario.cameras,
            masks=capture.masks,
        )
    return _judged(capture, found.cam_from_world, found.seconds)


def _judged(
    capture: ScenarioCapture, found: dict[str, Float], seconds: float, passed: bool | None = None, verdict: str = ""
) -> Outcome:
    missing = np.full((3, 4), np.nan)
    poses = np.stack([found.get(name, missing) for name in capture.names])
    errors = pose_errors(capture.cam_from_world, poses)
    posed = float(np.isfinite(poses).all((1, 2)).mean())
    return Outcome(posed, errors.auc(1), errors.auc(5), errors.auc(30), seconds, passed, verdict)
