"""The published network's deterministic weights and inputs, and a table of how far we are from its outputs."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from da3_pipeline.model import DepthAnything3, ModelConfig, Network, build

DATA = Path(__file__).parents[1] / "data" / "model"
SHARED = Path(__file__).parents[2].parent / "shared" / "da3_reference" / "golden"
TINY = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (4, 4, 8, 8))
MONOCULAR = ModelConfig(64, 6, 6, (1, 2, 4, 5), 8, (4, 4, 8, 8))
GAUSSIAN = replace(TINY, gaussian_head=True)
FAMILY = {
    "any-view": TINY,
    "gaussian": GAUSSIAN,
    "monocular": MONOCULAR,
    "nested": replace(GAUSSIAN, metric=MONOCULAR),
}


@dataclass(frozen=True)
class Golden:
    """One file: its arrays, how they were made, and a way to note how near we come."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    note: Callable[[str, object], None]

    def errors(self, mine: dict[str, Tensor]) -> dict[str, float]:
        """Largest difference of each array, relative to its largest magnitude."""
        result = {}
        for key, truth in self.arrays.items():
            name, _, stride = key.partition("@")
            value = mine[name].detach().numpy()
            value = value.ravel()[:: int(stride)] if stride else value
            assert value.shape == truth.shape, key
            result[key] = float(np.abs(value - truth).max() / max(np.abs(truth).max(), 1e-12))
        worst = max(result, key=lambda key: result[key])
        self.note("golden", f"{result[worst]:.1e}  {worst}")
        return result

    def tensors(self) -> dict[str, Tensor]:
        """The arrays, to be given to a function of ours."""
        return {name: torch.from_numpy(array) for name, array in self.arrays.items()}

    def compare(self, tolerance: float, **mine: Tensor) -> None:
        """Fail unless these are near the arrays of the same names."""
        errors = replace(self, arrays={name: self.arrays[name] for name in mine}).errors(mine)
        assert max(errors.values()) < tolerance, errors


@pytest.fixture
def golden(record_property: Callable[[str, object], None]) -> Callable[[str], Golden]:
    """Open a golden file by its stem, from the repository or from the shared material beside it."""

    def opened(stem: str) -> Golden:
        path = next((folder / f"{stem}.npz" for folder in (DATA, SHARED) if (folder / f"{stem}.npz").exists()), None)
        if path is None:
            pytest.skip(f"{stem}.npz is in the shared material, which is absent")
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files if name != "meta"}
            meta = json.loads(str(file["meta"])) if "meta" in file.files else {}
        return Golden(arrays, meta, record_property)

    return opened


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the largest relative error of every golden file that was compared."""
    rows = [
        (report.nodeid.rpartition("::")[2], value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for name, value in getattr(report, "user_properties", ())
        if name == "golden" and report.when == "call"
    ]
    if rows:
        terminalreporter.section("largest relative error against the published network")
        for row in sorted(rows):
            terminalreporter.write_line("{:<66} {}".format(*row))


@pytest.fixture(scope="session")
def deterministic_net() -> Callable[[str], Network]:
    """A variant with weights that depend on nothing but the parameters' names and shapes."""

    @lru_cache(maxsize=1)
    def built(name: str) -> Network:
        with torch.device("meta"):
            net = build(name)
        state = net.state_dict()
        net.load_state_dict({key: _deterministic(key, tuple(state[key].shape)) for key in sorted(state)}, assign=True)
        return net.eval()

    return built


def _deterministic(key: str, shape: tuple[int, ...]) -> Tensor:
    """The weights that the published network had when the golden files were made."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(key.encode())))
    last = key.rpartition(".")[2]
    to_camera = ("cam_dec.fc_t.weight", "cam_dec.fc_qvec.weight", "cam_dec.fc_fov.0.weight")
    if last == "gamma":
        return 0.5 + 0.05 * noise
    if last in ("cls_token", "camera_token"):
        return 0.5 * noise
    if last == "pos_embed":
        return 0.2 * noise
    if key.endswith("cam_dec.fc_fov.0.bias"):
        return 1.0 + 0.02 * noise
    if key.endswith("cam_dec.fc_qvec.bias"):
        return torch.tensor([0.0, 0.0, 0.0, 1.0]) + 0.02 * noise
    if last == "bias":
        return 0.02 * noise
    if len(shape) == 1:
        return 1.0 + 0.1 * noise
    gain = 0.3 if key.endswith(to_camera) else 0.5 if ".resConfUnit" in key else 1.0
    return gain * noise / math.sqrt(math.prod(shape[1:]))


@pytest.fixture(scope="session")
def deterministic_images() -> Callable[[int, int, int, int], Tensor]:
    """Smooth images (1, n, 3, h, w), different in each view, of about unit variance."""

    def made(count: int, height: int, width: int, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        base = torch.randn((1, 3, 12, 16), generator=rng)
        per_view = torch.randn((count, 3, 24, 32), generator=rng)
        fine = torch.randn((count, 3, height, width), generator=rng)

        def enlarged(x: Tensor) -> Tensor:
            return torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)

        return (enlarged(base) + 0.6 * enlarged(per_view) + 0.1 * fine)[None]

    return made


@pytest.fixture(scope="session")
def deterministic_cameras() -> Callable[[int, int, int, int], tuple[Tensor, Tensor]]:
    """Poses (1, n, 4, 4), the first the identity, and intrinsics (1, n, 3, 3)."""

    def made(count: int, height: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
        rng = torch.Generator().manual_seed(seed)
        poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
        for index in range(count):
            axis_angle = 0.25 * torch.randn(3, generator=rng, dtype=torch.float64)
            translation = torch.randn(3, generator=rng, dtype=torch.float64)
            if index:
                skew = torch.linalg.cross(torch.eye(3, dtype=torch.float64), axis_angle[None])
                poses[index, :3, :3] = torch.linalg.matrix_exp(skew)
                poses[index, :3, 3] = translation
        focal = 0.9 * width
        intrinsics = torch.tensor([[focal, 0, width / 2 + 3.0], [0, focal * 1.02, height / 2 - 2.0], [0, 0, 1.0]])
        return poses.float()[None], intrinsics.repeat(1, count, 1, 1)

    return made


@pytest.fixture
def tiny() -> DepthAnything3:
    """The smallest network of the family, with fresh weights."""
    return build(TINY, generator=torch.Generator().manual_seed(1)).eval()


@pytest.fixture(scope="session")
def small() -> Callable[[str], Network]:
    """Build the smallest network of a kind; its sky and confidence vary over an image."""

    @cache
    def built(kind: str) -> Network:
        net = build(FAMILY[kind], generator=torch.Generator().manual_seed(1)).eval()
        noise = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for name, weight in net.named_parameters():
                if "output_conv2.2.weight" in name:
                    weight.normal_(0, 0.5, generator=noise)
        return net

    return built
