"""What a long capture costs and how good it gets: memory, time, trajectory and surfaces of a rendered tour.

Every length runs in a fresh process that sees pictures only; truth stays here. With `simulated` the network is one
that is as good as the best published (`simulated_network`), which shows what is made of good chunks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...arrays import Float32
from ...geometry import centres, umeyama
from ...geometry.metrics.poses import centre_rmse
from ...infer.sequence.array_file import ArrayFile
from ...progress import Progress
from ..fresh_process import ask, python_module
from ..truth.tour_capture import TourCapture, render_capture
from .surface_error import Fused, doubled_share, far_share

__all__ = ["LENGTHS", "LongOptions", "measure_long"]

LENGTHS = (200, 500, 1000, 2000)
_THICKNESS_M = 0.3


@dataclass(frozen=True)
class LongOptions:
    """`cache`: where rendered tours are kept. `views_per_pass`: the same for every length, so that they compare."""

    cache: Path
    model: str = "da3-nano"
    device: str = "cpu"
    seed: int = 0
    simulated: bool = False
    views_per_pass: int = 48


@dataclass(frozen=True)
class _Accuracy:
    """Against the truth after one similarity: RMS of the centres; shares of points far off, and of doubled ones."""

    ate_m: float
    far: float
    doubled: float


def measure_long(lengths: Sequence[int], options: LongOptions, progress: Progress) -> str:
    """Two tables: cost, and accuracy with loops left open, with loops closed, and with the true cameras.

    The last tells what is owed to the depth alone. Rendering the tour takes minutes and happens once.
    """
    capture = render_capture(options.cache, options.seed, max(lengths), progress)
    costs = [f"{'frames':>6}{'chunks':>8}{'loops':>9}{'peak MB':>9}{'seconds':>9}{'CPU s a frame':>15}"]
    errors = [f"{'frames':>6}{'path m':>8}  {'ATE m (of the path)':<32}{'far':<24}{'doubled':<24}".rstrip()]
    errors.append(
        " " * 16 + f"{'open':<16}{'closed':<16}" + 2 * f"{'open':<8}{'closed':<8}{'true':<8}".rstrip().ljust(24)
    )
    for done, length in enumerate(lengths):
        part = replace(capture, images=capture.images[:length], cam_from_world=capture.cam_from_world[:length])
        with tempfile.TemporaryDirectory(prefix="da3-long-") as folder:
            run = _run_fresh(part, options, Path(folder), loops=True)
            closed, true = _judge(part, Path(folder)), _judge(part, Path(folder), true_cameras=True)
            _run_fresh(part, options, Path(folder), loops=False)
            left_open = _judge(part, Path(folder))
        path_m = float(np.linalg.norm(np.diff(centres(part.cam_from_world), axis=0), axis=1).sum())
        loops = f"{run['loops']}/{run['tried']}"
        cost = f"{run['peak_mb']:>9.0f}{run['seconds']:>9.1f}{run['cpu_s'] / length:>15.3f}"
        costs.append(f"{length:>6}{run['chunks']:>8}{loops:>9}{cost}")
        ate = "".join(f"{f'{one.ate_m:.2f} ({one.ate_m / path_m:.2%})':<16}" for one in (left_open, closed))
        shares = "".join(
            f"{_percent(value):<8}"
            for name in ("far", "doubled")
            for value in (getattr(one, name) for one in (left_open, closed, true))
        )
        errors.append(f"{length:>6}{path_m:>8.1f}  {ate}{shares}".rstrip())
        progress.step(done + 1, len(lengths), "lengths measured")
    what = "simulated network" if options.simulated else options.model
    head = (
        f"{what}, tour {options.seed}, {options.views_per_pass} views in a chunk; far and doubled: by {_THICKNESS_M} m"
    )
    return "\n".join([head, "", *costs, "", *errors])


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.1%}"


def _run_fresh(part: TourCapture, options: LongOptions, workspace: Path, loops: bool) -> dict[str, float]:
    """One run in a new interpreter; a second one in the same workspace finds the chunks of the first."""
    request = {
        "images": [str(image) for image in part.images],
        "size": [part.camera.width, part.camera.height],
        "cache": str(options.cache),
        "seed": options.seed,
        "model": options.model,
        "device": options.device,
        "simulated": options.simulated,
        "views_per_pass": options.views_per_pass,
        "loops": loops,
        "workspace": str(workspace),
    }
    return ask("the run", python_module("da3_pipeline.benchmark.long.process"), request).answer


def _judge(part: TourCapture, workspace: Path, true_cameras: bool = False) -> _Accuracy:
    with np.load(workspace / "result.npz") as file:
        kept, estimate, intrinsics = file["kept"], file["cam_from_world"], file["intrinsics"]
    depth = ArrayFile(workspace / "merged" / "depth.npy")
    truth = part.cam_from_world[kept]
    in_metres = umeyama(centres(estimate), centres(truth))

    def depth_m(row: int) -> Float32:
        return np.asarray(depth[row] * np.float32(in_metres.scale))

    cameras = truth if true_cameras else in_metres.apply_to_cameras(estimate)
    fused = Fused(kept, cameras, intrinsics, depth_m)
    return _Accuracy(
        centre_rmse(truth, estimate),
        far_share(fused, part, _THICKNESS_M),
        doubled_share(fused, part, _THICKNESS_M),
    )
