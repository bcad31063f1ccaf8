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
NANO = VARIANTS["da3-nano"].config
HEAVY_MODULES = ("timm", "torchvision", "huggingface_hub")


def _any_block(key: str) -> str:
    return re.sub(r"blocks\.\d+\.", "blocks.*.", key)


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_are_those_of_the_published_checkpoints(name: str) -> None:
    path = KEYS / f"keys_{name.removesuffix('-1.1')}.json"
    if not path.exists():
        assert VARIANTS[name].hub_repo is None, "a published variant without its key file"
        path = KEYS / "keys_da3-small.json"
    published = {key: tuple(shape) for key, shape in json.loads(path.read_text()).items()}
    with torch.device("meta"):
        mine = {key: tuple(tensor.shape) for key, tensor in build(name).state_dict().items()}
    if VARIANTS[name].hub_repo is None:
        # The built-in network has the structure of da3-small at another width and depth.
        assert {_any_block(key) for key in mine} == {_any_block(key) for key in published}
    else:
        assert mine == {key: shape for key, shape in published.items() if not key.startswith("gs_head.")}


@pytest.mark.parametrize(
    ("name", "views"), [("da3-nano", 1), *((name, 3) for name in VARIANTS if not name.endswith("-1.1"))]
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
        ("out_layers", (5, 7, 9)),
        ("out_layers", (4, 7, 9, 11)),
        ("out_layers", (7, 5, 9, 11)),
        ("head_features", 20),
        ("head_channels", (24, 48, 96, 190)),
        ("ffn", "relu"),
    ],
)
def test_impossible_configurations_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        dataclasses.replace(NANO, **{field: value})


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
