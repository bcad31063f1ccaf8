"""The robustness runs as a table, a list of every failure, and JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict

from ...files.strict_json import strict_json
from ..truth.verdicts import verdicts_table
from .candidate_order import candidate_order
from .robustness import RobustnessRun

__all__ = ["robustness_json", "robustness_table"]

_AUCS = f"{'prior':>7}{'perfect':>9}{'least':>7}{'median':>8}{'within 1':>10}"
_COLUMNS = f"{'noise':<22}{'scene':<16}{_AUCS}{'passed':>8}   {'features':>8}{'matching':>9}{'solving':>8}{'total':>7}"


def robustness_json(runs: Sequence[RobustnessRun]) -> str:
    """All figures of all runs."""
    return strict_json([asdict(run) | {"holds": run.holds} for run in runs], indent=1)


def robustness_table(runs: Sequence[RobustnessRun]) -> str:
    """A line per noise and scene and one per noise; whether the score chose rightly; every failure; and the verdict
    against the truth.

    AUC@5 of the prior (median), from perfect poses, and of the runs (least, median); runs within one point of the
    perfect ones; runs whose verdict passed; mean processor seconds an image.
    """
    rows = ["AUC@5 in percent; processor seconds an image", _COLUMNS]
    for noise in dict.fromkeys(run.noise for run in runs):
        of_noise = [run for run in runs if run.noise == noise]
        scenes = dict.fromkeys(run.scene for run in of_noise)
        rows += [_row(noise, scene, [run for run in of_noise if run.scene == scene]) for scene in scenes]
        if len(scenes) > 1:
            rows.append(_row(noise, "all", of_noise))
    order = candidate_order(run.result.candidates for run in runs)
    failures = [_failure(run) for run in runs if not run.holds]
    wrongly = sum(run.result.passed and not run.holds for run in runs)
    head = (
        f"{len(failures)} of {len(runs)} runs are more than a point below perfect; the verdict passed {wrongly} of them"
    )
    judged = [run.result.judged(f"{run.scene} {run.noise} seed {run.seed}") for run in runs]
    return "\n".join([*rows, "", str(order), "", head, *failures, "", verdicts_table(judged)])


def _row(noise: str, scene: str, runs: Sequence[RobustnessRun]) -> str:
    reached = [run.result.score.auc_5 for run in runs]
    prior = statistics.median(run.prior_auc_5 for run in runs)
    perfect = f"{runs[0].perfect:.1f}" if scene != "all" else ""
    holds, passed = sum(run.holds for run in runs), sum(run.result.passed for run in runs)
    cost = [
        statistics.mean(getattr(run.result.cpu, part) / run.images for run in runs)
        for part in ("features", "matching", "adjustment")
    ]
    return (
        f"{noise:<22}{scene:<16}{prior:>7.1f}{perfect:>9}{min(reached):>7.1f}{statistics.median(reached):>8.1f}"
        f"{f'{holds}/{len(runs)}':>10}{f'{passed}/{len(runs)}':>8}"
        f"   {cost[0]:>8.2f}{cost[1]:>9.2f}{cost[2]:>8.2f}{sum(cost):>7.2f}"
    )


def _failure(run: RobustnessRun) -> str:
    result = run.result
    what = f"{run.scene} {run.noise} seed {run.seed}: AUC@5 {result.score.auc_5:.1f} of {run.perfect:.1f}"
    wrong = f"; gross outliers {', '.join(run.wrong)}" if run.wrong else ""
    tried = "; ".join(str(candidate) for candidate in result.candidates) or "none"
    sources = ", ".join(f"{count} {source}" for source, count in sorted(result.sources.items()))
    return (
        f"{what}, focal x{run.focal_factor:.2f}, frames {sources}, verdict {result.verdict}{wrong}"
        f"\n    candidates, score -> AUC@5, the chosen first: {tried}"
    )
