"""What a configuration may be, and that it survives as JSON."""

from __future__ import annotations

import dataclasses
import json

import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.model import VARIANTS, ModelConfig, build

NANO = VARIANTS["da3-nano"].config


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
