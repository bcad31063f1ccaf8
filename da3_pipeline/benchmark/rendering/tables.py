"""The figures of rendering runs as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from ...files.strict_json import strict_json
from ..truth.verdicts import verdicts_table
from .runs import RenderingRun

__all__ = ["rendering_json", "rendering_table"]

_COLUMNS = (
    f"{'scene':<18}{'source':<16}{'posed':>7}{'held out':>10}{'seeds':>9}{'PSNR dB':>15}{'SSIM':>8}{'LPIPS':>15}"
    f"{'to pose s':>11}{'training s':>12}"
)


def rendering_json(runs: Sequence[RenderingRun]) -> str:
    """All runs, every held-out view, and the curves. What was not measured is null."""
    return strict_json([asdict(run) for run in runs], indent=1)


def rendering_table(runs: Sequence[RenderingRun], target_db: float) -> str:
    """A line for every scene and source; PSNR is mean ± standard deviation over the seeds of the mean over views.

    Then, by scene, how ours compare with COLMAP, seed by seed; what is timed, and the verdict against known truth.
    """
    lines = [f"{_COLUMNS}{f'to {target_db:g} dB s':>13}"]
    groups: dict[tuple[str, str], list[RenderingRun]] = {}
    for run in runs:
        groups.setdefault((run.scene, run.source), []).append(run)
    lines += [_line(group, target_db) for group in groups.values()]
    return "\n".join([*lines, "", *_comparisons(groups), *_notes(runs)])


def _line(group: Sequence[RenderingRun], target_db: float) -> str:
    first = group[0]
    head = f"{first.scene:<18}{first.source:<16}{f'{first.posed}/{first.images}':>7}"
    measured = [run for run in group if run.failure is None]
    if not measured:
        return f"{head}   {first.failure}"
    psnr = [run.psnr_db for run in measured]
    lpips = [run.lpips for run in measured if run.lpips is not None]
    seconds = [value for run in measured if (value := run.seconds_to(target_db)) is not None]
    reached = f"{np.median(seconds):.1f}" if len(seconds) == len(measured) else "not reached"
    shown = f"{np.mean(lpips):.3f}" if lpips else "not available"
    return (
        f"{head}{len(first.held_out):>10}{first.seed_points:>9}{f'{np.mean(psnr):.2f} ± {np.std(psnr):.2f}':>15}"
        f"{np.mean([run.ssim for run in measured]):>8.3f}{shown:>15}{first.seconds_to_pose:>11.1f}"
        f"{np.median([run.training_seconds for run in measured]):>12.1f}{reached:>13}"
    )


def _comparisons(groups: dict[tuple[str, str], list[RenderingRun]]) -> Iterator[str]:
    for (scene, source), group in groups.items():
        peers = {run.seed: run for run in groups.get((scene, "COLMAP"), [])}
        if source == "COLMAP" or not peers:
            continue
        ahead = [run.psnr_db - peers[run.seed].psnr_db for run in group if run.seed in peers]
        ahead = [value for value in ahead if np.isfinite(value)]
        if ahead:
            each = ", ".join(f"{value:+.2f}" for value in ahead)
            yield f"{scene}: {source} minus COLMAP {np.mean(ahead):+.2f} dB ({each})"


def _notes(runs: Sequence[RenderingRun]) -> Iterator[str]:
    yield "to pose: wall seconds of the whole command, files to data set; ours undistorts, COLMAP's leaves that out"
    yield from (f"{run.scene}: COLMAP is {run.mode}" for run in runs if run.mode and run.seed == 0)
    judged = [run.verdict for run in runs if run.verdict is not None and run.seed == 0]
    if judged:
        yield f"\n{verdicts_table(judged)}"
