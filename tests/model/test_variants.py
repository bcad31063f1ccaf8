"""Every registered network: parameters as published, output shapes, licences as documented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from da3_pipeline.errors import UsageError
from da3_pipeline.model import VARIANTS, build, licence_notice

KEYS = Path(__file__).parents[1] / "data" / "model"
SHARED_KEYS = Path(__file__).parents[2].parent / "shared" / "da3_reference" / "keys"
WITH_CAMERAS = [name for name, entry in VARIANTS.items() if not (entry.config.is_monocular or entry.config.metric)]
HEAVY_MODULES = ("timm", "torchvision", "huggingface_hub")


def _any_block(key: str) -> str:
    return re.sub(r"blocks\.\d+\.", "blocks.*.", key)


def _published(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published network's parameters."""
    of = {"da3mono-large": "da3metric-large", "da3-nano": "da3-small"}.get(name, name.removesuffix("-1.1"))
    if of == "da3nested-giant-large":
        parts = {"da3.": "da3-giant", "da3_metric.": "da3metric-large"}
        return {prefix + key: shape for prefix, part in parts.items() for key, shape in _published(part).items()}
    return {key: tuple(shape) for key, shape in json.loads((KEYS / f"keys_{of}.json").read_text()).items()}


def _parameters(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {key: tuple(tensor.shape) for key, tensor in build(name).state_dict().items()}


@pytest.mark.parametrize("name", [name for name, entry in VARIANTS.items() if entry.hub_repo])
def test_parameters_are_those_of_the_published_checkpoints(name: str) -> None:
    assert _parameters(name) == _published(name)


def test_the_built_in_network_has_the_structure_of_da3_small_at_another_width_and_depth() -> None:
    mine, published = ({_any_block(key) for key in keys} for keys in (_parameters("da3-nano"), _published("da3-small")))
    assert mine == published


@pytest.mark.parametrize(
    "name", ["da3-small", "da3-giant", "da3metric-large", "da3mono-large", "da3nested-giant-large"]
)
def test_the_shared_key_files_say_the_same(name: str) -> None:
    path = SHARED_KEYS / f"{name}.json"
    if not path.exists():
        pytest.skip("the shared key files are absent")
    tensors = json.loads(path.read_text())["tensors"]
    shared = {key.removeprefix("model."): tuple(entry["shape"]) for key, entry in tensors.items()}
    assert _parameters(name) == shared


@pytest.mark.parametrize(
    ("name", "views"), [("da3-nano", 1), *((name, 3) for name in WITH_CAMERAS if not name.endswith("-1.1"))]
)
def test_output_shapes(name: str, views: int) -> None:
    with torch.device("meta"):
        net = build(name)
        output = net(torch.empty(2, views, 3, 70, 42), feature_layers=(0, 5))
    assert output.depth.shape == output.depth_conf.shape == (2, views, 70, 42)
    assert output.ray.shape == (2, views, 40, 24, 6)
    assert output.ray_conf.shape == (2, views, 40, 24)
    assert output.pose_encoding.shape == (2, views, 9)
    assert output.cam_from_world.shape == (2, views, 3, 4)
    assert output.intrinsics.shape == (2, views, 3, 3)
    assert output.reference_view.shape == (2,)
    assert {key: value.shape for key, value in output.features.items()} == dict.fromkeys(
        (0, 5), (2, views, 5, 3, net.config.embed_dim)
    )


def test_nano_fits_into_the_package() -> None:
    assert 2 * sum(weight.numel() for weight in build("da3-nano").parameters()) < 25e6


@pytest.mark.parametrize("name", VARIANTS)
def test_the_licence_notice_names_the_terms(name: str) -> None:
    notice = licence_notice(name)
    assert VARIANTS[name].licence in notice
    assert ("NON-COMMERCIAL" in notice) == (not VARIANTS[name].commercial)
    assert VARIANTS[name].commercial == (VARIANTS[name].licence == "Apache-2.0")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_documentation_tells_the_same(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "MODELS.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
    entry = VARIANTS[name]
    assert f"| {entry.config.embed_dim} / {entry.config.depth} / {entry.config.heads} |" in row
    assert f"| {entry.licence} | {'yes' if entry.commercial else '**no**'} |" in row
    assert entry.hub_repo is None or f"https://huggingface.co/{entry.hub_repo})" in row


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'da3-tiny'.*da3-nano, da3-small"):
        build("da3-tiny")


def test_importing_the_models_is_cheap() -> None:
    code = f"import sys, da3_pipeline.model; sys.exit(', '.join(set({HEAVY_MODULES}) & set(sys.modules)) or 0)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
