"""Golden files of the published network, and a table of how far we are from them; the smallest network of each kind."""

from __future__ import annotations

import importlib.util
import json
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
_GIANT = replace(GAUSSIAN, ffn="swiglu")
SIZES = {
    "tiny-any-view": TINY,
    "tiny-giant": _GIANT,
    "tiny-monocular": MONOCULAR,
    "tiny-nested": replace(_GIANT, metric=MONOCULAR),
}
"""The networks of the tiny golden files, as tests/data/model/tiny_goldens.py builds them of the published code."""

_spec = importlib.util.spec_from_file_location("recipe", DATA / "recipe.py")
assert _spec is not None and _spec.loader is not None
recipe = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recipe)


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
def golden(record_property: Callable[[str, object], None]) -> Callable[..., Golden]:
    """Open a golden file by its stem. full: not the thinned one of the repository, but that of the shared material."""

    def opened(stem: str, *, full: bool = False) -> Golden:
        path = (SHARED if full else DATA) / f"{stem}.npz"
        if full and not path.exists():
            pytest.skip(f"{path.name} is in the shared material, which is absent")
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
    """A registered network, or one of `SIZES`, with the weights that the published one had for the golden files."""

    @lru_cache(maxsize=1)
    def built(name: str) -> Network:
        with torch.device("meta"):
            net = build(SIZES.get(name, name))
        net.to_empty(device="cpu")
        recipe.fill(net)
        return net.eval()

    return built


@pytest.fixture(scope="session")
def deterministic_images() -> Callable[..., Tensor]:
    """`recipe.images`."""
    return recipe.images


@pytest.fixture(scope="session")
def deterministic_cameras() -> Callable[..., tuple[Tensor, Tensor]]:
    """`recipe.cameras`."""
    return recipe.cameras


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
