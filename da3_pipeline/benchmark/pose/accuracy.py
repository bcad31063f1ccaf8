"""Pose accuracy and time from images to poses on scenes with known truth, COLMAP beside us on request."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float
from ...config import PipelineConfig
from ...geometry import nearest_rotation
from ...geometry.pose_metrics import pose_errors
from ..peers.colmap import run_colmap
from ..truth.scene_truth import read_truth
from .stages import run_fresh

__all__ = ["measure_poses"]

_AUC_COLUMNS = f"{'AUC@1':>7}{'AUC@3':>7}{'AUC@5':>7}{'AUC@30':>8}"
_COLUMNS = f"{'scene':<20}{'method':<10}{'posed':>8}{_AUC_COLUMNS}{'seconds':>9}{'ratio':>7}  verdict"


@dataclass(frozen=True)
class _Row:
    scene: str
    method: str
    truth: Float
    estimate: Float
    seconds: float
    peer_seconds: float | None = None
    verdict: str = ""

    def __str__(self) -> str:
        errors = pose_errors(self.truth, self.estimate)
        posed = int(np.isfinite(self.estimate).all(axis=(1, 2)).sum())
        aucs = "".join(f"{errors.auc(limit):>7.1f}" for limit in (1, 3, 5)) + f"{errors.auc(30):>8.1f}"
        ratio = f"{self.seconds / self.peer_seconds:>7.2f}" if self.peer_seconds else f"{'':>7}"
        row = f"{self.scene:<20}{self.method:<10}{posed:>4}/{len(self.truth):<3}{aucs}{self.seconds:>9.1f}{ratio}"
        return f"{row}  {self.verdict}".rstrip()


def measure_poses(
    scenes: Sequence[Path], config: PipelineConfig, *, prior: Path | None = None, colmap: bool = False, runs: int = 1
) -> str:
    """A table with a line per scene and method; `seconds` are medians from images to poses, process start included.

    A scene is a folder with `images/` and `truth.json` ({"images": {name: {"w2c": 3x4, ...}}}). `prior` replaces the
    network: an .npz, or the words `identical` or `random` for poses that carry no information. `ratio` is our time
    over COLMAP's. Raises UsageError for a folder that is not such a scene.
    """
    rows = [_COLUMNS]
    for scene in scenes:
        truth = _read_truth(scene)
        peer = _run_peer(scene, truth, runs) if colmap else None
        if peer is not None:
            rows.append(str(peer))
        rows.append(str(_run_ours(scene, truth, config, prior, runs, peer.seconds if peer else None)))
    return "\n".join(rows)


def _read_truth(scene: Path) -> dict[str, Float]:
    truth = read_truth(scene)
    return dict(zip(truth.names, truth.cam_from_world, strict=True))


def _stack(truth: dict[str, Float], poses: dict[str, Float]) -> Float:
    return np.stack([poses.get(name, np.full((3, 4), np.nan)) for name in truth])


def _run_peer(scene: Path, truth: dict[str, Float], runs: int) -> _Row:
    seconds = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as scratch:
            measured = run_colmap(scene / "images", Path(scratch))
        seconds.append(measured.seconds)
    estimate = _stack(truth, measured.cam_from_world)
    return _Row(scene.name, "colmap", _stack(truth, truth), estimate, statistics.median(seconds))


def _run_ours(
    scene: Path, truth: dict[str, Float], config: PipelineConfig, prior: Path | None, runs: int, peer_s: float | None
) -> _Row:
    import pycolmap

    seconds, poses, verdict = [], {}, {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
            predictions = _useless_prior(str(prior), list(truth), Path(scratch)) if prior else None
            infer = config.infer.model_copy(update={"predictions": predictions})
            output = Path(scratch) / "session"
            measured = run_fresh([scene / "images"], output, config.model_copy(update={"infer": infer}))
            model = pycolmap.Reconstruction(output / "sparse" / "0")
            poses = {image.name: image.cam_from_world().matrix() for image in model.images.values()}
            verdict = json.loads((output / "report.json").read_text(encoding="utf-8"))["verdict"]
        seconds.append(measured.images_to_poses_s)
    estimate, passed = _stack(truth, poses), "passed" if verdict["passed"] else verdict["summary"]
    return _Row(scene.name, "ours", _stack(truth, truth), estimate, statistics.median(seconds), peer_s, passed)


def _useless_prior(kind: str, names: Sequence[str], folder: Path) -> Path:
    """An .npz whose poses say nothing: all identical, or random; flat depth, a 60-degree lens."""
    if kind not in ("identical", "random"):
        return Path(kind)
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
