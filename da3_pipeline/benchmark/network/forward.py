"""The network's forward pass beside the published package: time, memory, and that both say the same.

The published network computes ray maps in every pass and returns them in none: "ours" leaves them out and returns the
same outputs, "ours+rays" computes and returns them as well.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...arrays import Float32
from ...errors import UsageError
from ...files.strict_json import strict_json
from ...infer.budget.device import pick_device
from ...infer.budget.memory import NetworkCost, weights_in_use
from ...model import load
from ...model.config import PATCH
from ..fresh_process import ask
from ..truth.random_weights import write_random_checkpoint
from . import forward_process

__all__ = [
    "ForwardCase",
    "ForwardOptions",
    "ForwardRow",
    "forward_cases",
    "forward_json",
    "forward_table",
    "measure_forward",
    "measure_memory",
]

_PUBLISHED = "published"
_MODULE = "da3_pipeline.benchmark.network.forward_process"
_COLUMNS = (
    f"{'variant':<11}{'size':>9}{'views':>6} {'network':<10}{'min s':>8}{'median s':>9}{'CPU s':>8}{'peak MB':>9}"
    f"{'speed':>7}{'memory':>8}{'depth':>9}{'conf':>9}{'poses':>9}{'K':>9}"
)


@dataclass(frozen=True)
class ForwardCase:
    """What to run: a registered variant on `views` views of (height, width) px."""

    variant: str
    views: int
    size: tuple[int, int]


@dataclass(frozen=True)
class ForwardOptions:
    """How to run: `rounds` times in turn, each time `passes` timed passes in a fresh process.

    published: the interpreter of an environment that holds the published package; None measures ours alone.
    most_views: on a GPU also search the most views of which a pass fits, up to this number; 0 does not.
    """

    published: Path | None = None
    device: str = "cpu"
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    rounds: int = 3
    passes: int = 2
    seed: int = 0
    most_views: int = 0


@dataclass(frozen=True)
class ForwardRow:
    """One network on one case; where both ran, ours also carries how it compares.

    speed: their least time over ours; memory: our peak over theirs; differences: the largest of each output,
    relative to the largest magnitude of theirs.
    """

    case: ForwardCase
    network: str
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    peak_mb: float
    speed: float | None = None
    memory: float | None = None
    differences: dict[str, float] = field(default_factory=dict)
    most_views: int | None = None


def measure_forward(cases: Sequence[ForwardCase], options: ForwardOptions) -> list[ForwardRow]:
    """Run every case with our network and, where given, the published one: same weights, same images, in turn.

    Raises UsageError for an interpreter that is not there, InferenceError for a device that is not, PipelineError with
    its last word where a run fails.
    """
    if options.published is not None and not options.published.is_file():
        raise UsageError(f"{options.published}: no such interpreter; give the python of the published package")
    options = replace(options, device=str(pick_device(options.device)))
    rows: list[ForwardRow] = []
    with tempfile.TemporaryDirectory(prefix="da3-forward-") as folder:
        for case in cases:
            rows += _measure_case(case, options, *_prepared(case, Path(folder), options.seed))
    return rows


def measure_memory(cases: Sequence[ForwardCase], device: str = "cpu") -> str:
    """A table of the memory that a pass takes beyond the program: what the planner predicts and what is measured.

    On a CPU the largest resident memory of a fresh process less that before the weights are opened; on a GPU all that
    its tensors take. Both times with the weights, without rays.
    """
    rows = [f"{'variant':<12}{'size':>9}{'views':>6}{'measured MB':>13}{'predicted MB':>14}{'ratio':>7}"]
    options = ForwardOptions(device=str(pick_device(device)), passes=1)
    with tempfile.TemporaryDirectory(prefix="da3-memory-") as folder:
        for case in cases:
            checkpoint, images = _prepared(case, Path(folder), options.seed)
            answer = _run("ours", Path(sys.executable), _request(case, options, checkpoint, images))
            network = load(checkpoint)
            cost = NetworkCost(network.config, weights_in_use(network, told=False), options.device.partition(":")[0])
            predicted_mb = cost.peak_bytes(case.views, case.size[1], case.size[0]) / 2**20
            measured_mb = answer["peak_mb"] - answer["program_mb"]
            rows.append(
                f"{case.variant:<12}{'{}x{}'.format(*case.size):>9}{case.views:>6}{measured_mb:>13.0f}"
                f"{predicted_mb:>14.0f}{predicted_mb / measured_mb:>7.2f}"
            )
    return "\n".join(rows)


def forward_cases(variants: Sequence[str], views: Sequence[int], size: str) -> list[ForwardCase]:
    """All combinations; `size` is HEIGHTxWIDTH. Raises UsageError for a size that no network takes."""
    sides = size.split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) and int(side) % PATCH == 0 for side in sides):
        raise UsageError(f"--size {size}: give HEIGHTxWIDTH, both multiples of {PATCH}, such as 378x504")
    return [ForwardCase(variant, count, (int(sides[0]), int(sides[1]))) for variant in variants for count in views]


def forward_json(rows: Sequence[ForwardRow]) -> str:
    """The figures of all rows."""
    return strict_json([asdict(row) for row in rows], indent=2)


def forward_table(rows: Sequence[ForwardRow]) -> str:
    """A line per case and network."""
    return "\n".join([_COLUMNS, *(_line(row) for row in rows)])


def smooth_images(views: int, size: tuple[int, int], seed: int) -> Float32:
    """(views, 3, height, width) float32 of about unit variance: a scene that all share, and what each has alone."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(count: int, *grid: int) -> Tensor:
        noise = torch.randn((count, 3, *grid), generator=generator)
        return functional.interpolate(noise, size=size, mode="bilinear", align_corners=False)

    return (drawn(1, 12, 16) + 0.6 * drawn(views, 24, 32) + 0.1 * drawn(views, *size)).numpy()


def _measure_case(case: ForwardCase, options: ForwardOptions, checkpoint: Path, images: Path) -> list[ForwardRow]:
    own = Path(sys.executable)
    networks = {"ours": own, "ours+rays": own} | ({_PUBLISHED: options.published} if options.published else {})
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in networks}
    most_views: dict[str, int | None] = dict.fromkeys(networks)
    outputs = {name: images.with_name(f"{name}.npz") for name in networks}
    request = _request(case, options, checkpoint, images)
    for _ in range(options.rounds):
        for name, interpreter in networks.items():
            answers[name].append(_run(name, interpreter, request | {"output": str(outputs[name])}))
    if options.most_views:
        for name, interpreter in networks.items():
            found = _run(name, interpreter, request | {"find_most_views": options.most_views})
            most_views[name] = found["most_views"]
    rows = {name: _row(case, name, answers[name], most_views[name]) for name in networks}
    if _PUBLISHED in rows:
        for name in ("ours", "ours+rays"):
            rows[name] = _compared(rows[name], rows[_PUBLISHED], _differences(outputs[name], outputs[_PUBLISHED]))
    return list(rows.values())


def _prepared(case: ForwardCase, folder: Path, seed: int) -> tuple[Path, Path]:
    """Files with random weights, kept for the next case of the same variant, and with images."""
    checkpoint, images = folder / f"{case.variant}.safetensors", folder / "images.npy"
    if not checkpoint.exists():
        for other in folder.glob("*.safetensors"):
            other.unlink()
        write_random_checkpoint(case.variant, checkpoint, seed)
    np.save(images, smooth_images(case.views, case.size, seed))
    return checkpoint, images


def _request(case: ForwardCase, options: ForwardOptions, checkpoint: Path, images: Path) -> dict[str, Any]:
    return {
        "variant": case.variant,
        "checkpoint": str(checkpoint),
        "images": str(images),
        "output": str(images.with_suffix(".npz")),
        "device": options.device,
        "threads": options.threads,
        "passes": options.passes,
        "find_most_views": 0,
    }


def _run(network: str, interpreter: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The answer of one fresh process."""
    start = ["-I", str(Path(forward_process.__file__))] if network == _PUBLISHED else ["-m", _MODULE]
    return ask(
        f"{network} on {request['variant']}",
        [str(interpreter), *start],
        request | {"network": network, "rays": network == "ours+rays"},
        {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(request["threads"])},
    ).answer


def _row(case: ForwardCase, network: str, answers: Sequence[dict[str, Any]], most_views: int | None) -> ForwardRow:
    return ForwardRow(
        case,
        network,
        tuple(second for answer in answers for second in answer["seconds"]),
        tuple(second for answer in answers for second in answer["cpu_seconds"]),
        max(answer["peak_mb"] for answer in answers),
        most_views=most_views,
    )


def _compared(ours: ForwardRow, theirs: ForwardRow, differences: dict[str, float]) -> ForwardRow:
    return replace(
        ours,
        speed=min(theirs.seconds) / min(ours.seconds),
        memory=ours.peak_mb / theirs.peak_mb,
        differences=differences,
    )


def _differences(ours: Path, theirs: Path) -> dict[str, float]:
    with np.load(ours) as mine, np.load(theirs) as truth:
        return {name: float(np.abs(mine[name] - truth[name]).max() / np.abs(truth[name]).max()) for name in truth.files}


def _line(row: ForwardRow) -> str:
    height, width = row.case.size
    text = (
        f"{row.case.variant:<11}{f'{height}x{width}':>9}{row.case.views:>6} {row.network:<10}{min(row.seconds):>8.2f}"
        f"{statistics.median(row.seconds):>9.2f}{statistics.median(row.cpu_seconds):>8.2f}{row.peak_mb:>9.0f}"
    )
    if row.speed is not None and row.memory is not None:
        text += f"{row.speed:>7.2f}{row.memory:>8.2f}"
        text += "".join(f"{difference:>9.1e}" for difference in row.differences.values())
    return text + (f"  at most {row.most_views} views" if row.most_views is not None else "")
