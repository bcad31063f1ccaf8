"""Every registered network: parameters as published, output shapes, sane starting values."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from da3_pipeline.errors import UsageError
from da3_pipeline.model import VARIANTS, ModelConfig, build, licence_notice

KEYS = Path(__file__).parents[1] / "data" / "model"
SHARED_KEYS = Path(__file__).parents[2].parent / "shared" / "da3_reference" / "keys"
WITH_CAMERAS = [name for name, entry in VARIANTS.items() if not (entry.config.is_monocular or entry.config.metric)]
NANO = VARIANTS["da3-nano"].config
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


@pytest.mark.parametrize("width", [64, 128, 256])
def test_any_width_of_whole_heads_can_be_built(width: int) -> None:
    net = build(dataclasses.replace(NANO, embed_dim=width))
    assert net.trunk.pos_embed.shape[-1] == width
    assert ModelConfig.from_dict(json.loads(json.dumps(net.config.to_dict()))) == net.config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("embed_dim", 100),
        ("alt_start", 12),
        ("alt_start", 1),
        ("out_layers", (5, 7, 9)),
        ("out_layers", (4, 7, 9, 11)),
        ("out_layers", (7, 5, 9, 11)),
        ("head_features", 20),
        ("head_channels", (24, 48, 96, 190)),
        ("ffn", "relu"),
        ("metric", NANO),
    ],
)
def test_impossible_configurations_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        dataclasses.replace(NANO, **{field: value})


def test_monocular_networks_have_neither_gaussians_nor_metres_of_their_own() -> None:
    monocular = VARIANTS["da3metric-large"].config
    with pytest.raises(UsageError, match="gaussian_head"):
        dataclasses.replace(monocular, gaussian_head=True)
    with pytest.raises(UsageError, match="metric"):
        dataclasses.replace(monocular, metric=monocular)
    with pytest.raises(UsageError, match="out_layers"):
        dataclasses.replace(monocular, out_layers=(4, 11, 17, 24))


def test_nested_configurations_survive_json() -> None:
    config = VARIANTS["da3nested-giant-large"].config
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_configuration_with_unknown_fields_is_refused() -> None:
    with pytest.raises(UsageError, match="flavour"):
        ModelConfig.from_dict({**NANO.to_dict(), "flavour": 1})


def test_fresh_weights_start_at_a_plain_guess() -> None:
    net = build("da3-nano", generator=torch.Generator().manual_seed(0))
    output = net(torch.randn(1, 2, 3, 56, 70, generator=torch.Generator().manual_seed(1)))
    assert 0.5 < output.depth.median() < 2
    assert 1.5 < output.depth_conf.median() < 3
    assert torch.allclose(output.ray[..., :3].mean((0, 1, 2, 3)), torch.tensor([0.0, 0.0, 1.0]), atol=0.3)
    fields_of_view = output.pose_encoding[..., 7:]
    assert ((fields_of_view > 0.6) & (fields_of_view < 1.4)).all()
    assert (output.pose_encoding[..., 6] > 0.5).all()


def test_fresh_gaussians_and_sky_start_at_a_plain_guess() -> None:
    images = torch.randn(1, 2, 3, 56, 70, generator=torch.Generator().manual_seed(1))
    net = build(dataclasses.replace(NANO, gaussian_head=True), generator=torch.Generator().manual_seed(0))
    raw = {}
    last = net.gs_head.scratch.output_conv2
    last.register_forward_hook(lambda module, given, result: raw.update(quaternion=result[:, 5:9].movedim(1, -1)))
    net(images, gaussians=True)
    assert torch.allclose(raw["quaternion"], torch.tensor([0.0, 0, 0, 1]), atol=0.6)
    monocular = dataclasses.replace(NANO, alt_start=NANO.depth)
    sky = build(monocular, generator=torch.Generator().manual_seed(0))(images).sky
    assert 0.05 < sky.median() < 0.25


@pytest.mark.parametrize("seed", range(2))
def test_every_camera_output_can_learn_from_the_start(seed: int) -> None:
    net = build("da3-nano", generator=torch.Generator().manual_seed(seed))
    images = torch.randn(1, 2, 3, 28, 42, generator=torch.Generator().manual_seed(seed))
    for index in range(9):
        net.zero_grad()
        net(images).pose_encoding[..., index].sum().backward()
        assert net.cam_dec.get_parameter("backbone.0.weight").grad.abs().max() > 0
        assert net.trunk.camera_token.grad.abs().max() > 0


def test_all_of_the_network_learns_but_the_levels_that_are_never_used() -> None:
    net = build("da3-nano", generator=torch.Generator().manual_seed(0))
    output = net(torch.randn(1, 2, 3, 28, 42), torch.eye(4).repeat(1, 2, 1, 1), 40 * torch.eye(3).repeat(1, 2, 1, 1))
    sum(x.square().sum() for x in (output.depth, output.depth_conf, output.ray, output.ray_conf)).backward()
    output = net(torch.randn(1, 2, 3, 28, 42))
    output.pose_encoding.square().sum().backward()
    without = {name.rpartition(".")[0] for name, weight in net.named_parameters() if weight.grad is None}
    unused = tuple(f"head.scratch.output_conv{stage}_aux.{level}" for stage in (1, 2) for level in range(3))
    assert without
    assert [name for name in without if not name.startswith(unused)] == []


def test_building_with_a_generator_repeats_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(3)
    first, second = (build("da3-nano", generator=torch.Generator().manual_seed(5)).state_dict() for _ in range(2))
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(3))
    assert all(torch.equal(first[name], second[name]) for name in first)


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
