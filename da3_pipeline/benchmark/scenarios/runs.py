"""Ours beside COLMAP on rendered scenarios: pose error, registered share, time, and whether the verdict saw it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Float
from ...config import PipelineConfig
from ...errors import UsageError
from ...files.strict_json import strict_json
from ...presets import load_preset, nested
from ...progress import Progress
from ..peers.colmap import ColmapMode, run_colmap
from ..peers.ours import run_configured
from ..truth.pose_score import PoseScore, score_poses
from ..truth.prior_noise import PriorNoise
from ..truth.scene_truth import stacked
from ..truth.verdicts import JudgedVerdict, judge_data_set, verdicts_table
from .capture_files import ScenarioCapture, render_scenario, write_network_prior
from .catalogue import SCENARIOS

__all__ = ["Outcome", "ScenarioRow", "measure_scenarios", "scenarios_json", "scenarios_table"]

_NOISE = PriorNoise(5.0, 0.05, 0.05)


@dataclass(frozen=True)
class Outcome:
    """score: over all pictures. seconds: wall, of the whole command from files to data set."""

    score: PoseScore
    seconds: float

    def __str__(self) -> str:
        score = self.score
        posed = f"{100 * score.posed / score.images:>5.0f}%"
        return f"{posed}{score.auc_1:>6.0f}{score.auc_5:>5.0f}{score.auc_30:>5.0f}{self.seconds:>7.1f}"


@dataclass(frozen=True)
class ScenarioRow:
    """One scenario of one seed. verdict: on ours. colmap: None where it was not run; mode: how it was."""

    name: str
    seed: int
    ours: Outcome
    verdict: JudgedVerdict
    colmap: Outcome | None = None
    mode: str = ""


def measure_scenarios(
    names: Sequence[str],
    seeds: Sequence[int],
    cache: Path,
    colmap: bool,
    progress: Progress,
    preset: str | None = None,
) -> list[ScenarioRow]:
    """A row for every scenario and seed, ours with a preset. Raises UsageError for a name that is none of SCENARIOS,
    or of no preset."""
    settings = load_preset(preset).settings if preset else {}
    for name in names:
        if name not in SCENARIOS:
            raise UsageError(f"{name!r}: no such scenario; there are {', '.join(SCENARIOS)}")
    rows = []
    for seed in seeds:
        for name in names or SCENARIOS:
            capture = render_scenario(name, cache, seed, progress)
            progress.step(0, 1, f"{name}, ours")
            ours, verdict = _ours(capture, seed, settings)
            mode = ColmapMode(capture.scenario.lens, capture.scenario.cameras)
            beside = colmap and not capture.scenario.film  # which frames it would take of a film is no matter of poses
            theirs = _colmap(capture, mode) if beside else None
            rows.append(ScenarioRow(name, seed, ours, verdict, theirs, str(mode) if beside else ""))
    return rows


def scenarios_table(rows: Sequence[ScenarioRow]) -> str:
    """A line a scenario: share posed, AUC@1/5/30, seconds, verdict, and the same of COLMAP; then the modes that COLMAP
    was run in, why a verdict flagged what it did, and the verdict against the truth."""
    head = f"{'posed':>6}{'@1':>6}{'@5':>5}{'@30':>5}{'s':>7}"
    lines = [f"{'scenario':<24}{'seed':>5}{'ours':>6}{head[6:]}  {'verdict':<9}{'COLMAP':>6}{head[6:]}"]
    for row in rows:
        verdict = "passed" if row.verdict.passed else "flagged"
        lines.append(f"{row.name:<24}{row.seed:>5}{row.ours}  {verdict:<9}{row.colmap or ''}".rstrip())
    modes: dict[str, list[str]] = {}
    for row in rows:
        if row.mode and row.name not in modes.setdefault(row.mode, []):
            modes[row.mode].append(row.name)
    lines.append("")
    lines += [f"COLMAP ({mode}): {', '.join(names)}" for mode, names in modes.items()]
    lines += [f"{row.name}, seed {row.seed}: {row.verdict.verdict}" for row in rows if not row.verdict.passed]
    return "\n".join([*lines, "", verdicts_table([row.verdict for row in rows])])


def scenarios_json(rows: Sequence[ScenarioRow]) -> str:
    """All figures of all rows."""
    return strict_json([asdict(row) | {"cell": row.verdict.cell} for row in rows], indent=1)


def _ours(capture: ScenarioCapture, seed: int, settings: Mapping[str, Any]) -> tuple[Outcome, JudgedVerdict]:
    """The whole pipeline on the pictures, with a simulated network's predictions; on a film, with da3-nano's."""
    if capture.scenario.film:
        return _of_film(capture, seed, settings)
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        prior = Path(folder) / "prior.npz"
        write_network_prior(capture, prior, _NOISE, seed)
        given = {"ingest.masks": capture.masks, "ingest.rig": capture.rig, "infer.predictions": prior}
        config = PipelineConfig.model_validate(nested({**settings, **given, "refine.threads": 1}))
        ours = run_configured([capture.images], Path(folder) / "session", config)
        found = ours.cam_from_world
    truth = dict(zip(capture.names, capture.cam_from_world, strict=True))
    about = f"{capture.name}, seed {seed}"
    verdict = judge_data_set(about, truth, found, ours.set_aside, ours.passed, ours.verdict)
    return _outcome(capture, found, ours.wall_s), verdict


def _of_film(capture: ScenarioCapture, seed: int, settings: Mapping[str, Any]) -> tuple[Outcome, JudgedVerdict]:
    """Scored on the frames that were taken."""
    config = PipelineConfig.model_validate(nested({**settings, "refine.threads": 1}))
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        ours = run_configured([capture.source], Path(folder) / "session", config)
        found = ours.cam_from_world
    taken = {frame["name"] for frame in ours.report["frames"]}
    truth = {n: pose for n, pose in zip(capture.names, capture.cam_from_world, strict=True) if n in taken}
    poses = {name: pose for name, pose in found.items() if name in truth}
    about = f"{capture.name}, seed {seed}"
    verdict = judge_data_set(about, truth, poses, ours.set_aside, ours.passed, ours.verdict)
    score = score_poses(np.stack(list(truth.values())), stacked(tuple(truth), poses))
    return Outcome(score, ours.wall_s), verdict


def _colmap(capture: ScenarioCapture, mode: ColmapMode) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as folder:
        found = run_colmap(capture.images, Path(folder), mode, masks=capture.masks)
    return _outcome(capture, found.cam_from_world, found.wall_s)


def _outcome(capture: ScenarioCapture, found: dict[str, Float], seconds: float) -> Outcome:
    return Outcome(score_poses(capture.cam_from_world, stacked(capture.names, found)), seconds)
