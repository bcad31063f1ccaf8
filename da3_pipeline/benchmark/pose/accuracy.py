"""Pose accuracy and time from files to data set on scenes with known truth, COLMAP beside us on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...files.strict_json import strict_json
from ...geometry import nearest_rotation
from ...progress import Progress
from ..peers.colmap import best_mode, colmap_modes
from ..truth.scene_truth import SceneTruth, read_truth
from ..truth.verdicts import verdicts_table
from .methods import COST_NOTE, Measured, measure_colmap, measure_ours, modes_note

__all__ = ["BEST", "PoseOptions", "PoseRow", "measure_poses", "poses_json", "poses_table"]

BEST = "best"
"""Of the modes of COLMAP: that for the kind of capture, as far as its files tell."""

_AUC_COLUMNS = f"{'AUC@1':>7}{'AUC@3':>7}{'AUC@5':>7}{'AUC@30':>8}"
_COLUMNS = f"{'scene':<18}{'method':<22}{'posed':>8}{_AUC_COLUMNS}{'wall s':>9}{'CPU s':>9}{'ours/it':>9}  verdict"


@dataclass(frozen=True)
class PoseOptions:
    """prior: in place of the network, an .npz or the words `identical` or `random` for poses that carry no information.

    colmap: names of modes to run beside us, BEST among them. runs: of each; medians count.
    """

    model: str = "da3-nano"
    matcher: str = "auto"
    prior: Path | None = None
    colmap: tuple[str, ...] = ()
    runs: int = 1


@dataclass(frozen=True)
class PoseRow:
    """A scene by one method; ratio: our wall time over its, None for our own."""

    scene: str
    measured: Measured
    ratio: float | None = None

    def __str__(self) -> str:
        one, score = self.measured, self.measured.score
        aucs = "".join(f"{auc:>7.1f}" for auc in (score.auc_1, score.auc_3, score.auc_5)) + f"{score.auc_30:>8.1f}"
        ratio = f"{'':>9}" if self.ratio is None else f"{self.ratio:>9.2f}"
        verdict = one.verdict.verdict if one.verdict else ""
        posed = f"{score.posed:>4}/{score.images:<3}"
        row = f"{self.scene:<18}{one.method:<22}{posed}{aucs}{one.wall_s:>9.1f}{one.cpu_s:>9.1f}{ratio}"
        return f"{row}  {verdict}".rstrip()


def measure_poses(folders: Sequence[Path], options: PoseOptions, progress: Progress) -> list[PoseRow]:
    """A row for every scene and method, ours first. Folders as for `read_truth`.

    Raises UsageError for a folder that is none and for a mode that COLMAP has not.
    """
    scenes = [read_truth(folder) for folder in folders]
    modes = [colmap_modes([_named(name, scene) for name in options.colmap]) for scene in scenes]
    rows: list[PoseRow] = []
    total = sum(1 + len(of_scene) for of_scene in modes)
    for scene, of_scene in zip(scenes, modes, strict=True):
        progress.step(len(rows), total, f"{scene.folder.name}, ours")
        ours = _ours(scene, options)
        rows.append(PoseRow(scene.folder.name, ours))
        for name, mode in of_scene.items():
            progress.step(len(rows), total, f"{scene.folder.name}, COLMAP {name}")
            theirs = measure_colmap(name, mode, scene.images, scene.by_name, options.runs)
            rows.append(PoseRow(scene.folder.name, theirs, ours.wall_s / theirs.wall_s))
    return rows


def poses_table(rows: Sequence[PoseRow]) -> str:
    """A line a row, what is timed and what COLMAP's modes are, and the verdict against the truth."""
    names = [method.removeprefix("COLMAP ") for row in rows if (method := row.measured.method) != "ours"]
    verdicts = [row.measured.verdict for row in rows if row.measured.verdict]
    notes = [COST_NOTE, *([modes_note(colmap_modes(list(dict.fromkeys(names))))] if names else [])]
    return "\n".join([_COLUMNS, *(str(row) for row in rows), "", *notes, "", verdicts_table(verdicts)])


def poses_json(rows: Sequence[PoseRow]) -> str:
    """All figures of all rows."""
    return strict_json([asdict(row) for row in rows], indent=1)


def _named(name: str, scene: SceneTruth) -> str:
    return best_mode(scene.images) if name == BEST else name


def _ours(scene: SceneTruth, options: PoseOptions) -> Measured:
    def words(scratch: Path) -> list[str]:
        prior = _useless_prior(str(options.prior), scene.names, scratch) if options.prior else None
        given = ["--model", options.model, "--matcher", options.matcher]
        return given + (["--predictions", str(prior)] if prior else [])

    return measure_ours(scene.folder.name, scene.images, scene.by_name, words, options.runs)


def _useless_prior(kind: str, names: Sequence[str], folder: Path) -> Path:
    """An .npz whose poses say nothing: all identical, or random; flat depth, a 60-degree lens."""
    if kind not in ("identical", "random"):
        return Path(kind).absolute()
    height, width, count = 42, 63, len(names)
    extrinsics = np.tile(np.eye(3, 4), (count, 1, 1))
    if kind == "random":
        generator = np.random.default_rng(0)
        extrinsics[:, :, :3] = nearest_rotation(generator.normal(size=(count, 3, 3)))
        extrinsics[:, :, 3] = generator.normal(size=(count, 3))
    focal = width / 2 / np.tan(np.radians(30))
    intrinsics = np.tile(np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), (count, 1, 1))
    depth = np.ones((count, height, width), np.float32)
    path = folder / "prior.npz"
    np.savez(path, depth=depth, conf=depth, extrinsics=extrinsics, intrinsics=intrinsics, names=np.array(names))
    return path
