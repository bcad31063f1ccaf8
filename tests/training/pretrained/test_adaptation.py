"""A network that starts from a trunk without cross-view attention: what it keeps, and what it begins with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from da3_pipeline.errors import WeightsError
from da3_pipeline.model import DepthAnything3, ModelConfig, any_view, build, record_attention
from da3_pipeline.training.correspondence import attention_hit_rate, correspondences
from da3_pipeline.training.pretrained.adaptation import adapt, freeze, load_trunk, tokens_before
from da3_pipeline.training.samples import Batch, normalise_images

CONFIG = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (8, 8, 8, 8))


def _trunk(seed: int) -> dict[str, torch.Tensor]:
    """Random weights, large enough for attention to be no mean, without what DINOv2 lacks."""
    generator = torch.Generator().manual_seed(seed)
    state = any_view(build(CONFIG, generator=generator)).trunk.state_dict()
    fresh = ("q_norm", "k_norm", "camera_token")
    grown = {name: value * 3 if value.ndim == 2 else value for name, value in state.items()}
    return {name: value for name, value in grown.items() if not any(part in name for part in fresh)}


@pytest.fixture
def pairs(rendered: Batch) -> torch.Tensor:
    return normalise_images(rendered.images[:, :2])


@pytest.fixture
def adapted(pairs: torch.Tensor) -> DepthAnything3:
    net = any_view(build(CONFIG, generator=torch.Generator().manual_seed(1)))
    load_trunk(net, _trunk(0))
    adapt(net, pairs, torch.Generator().manual_seed(0))
    return net


def test_the_trunk_is_taken_over_and_a_misfit_is_said() -> None:
    net = any_view(build(CONFIG))
    state = _trunk(0)
    load_trunk(net, {**state, "mask_token": torch.zeros(1, 64), "blocks.10.norm1.weight": torch.zeros(64)})
    for name, value in state.items():
        assert torch.equal(net.trunk.get_parameter(name), value), name
    with pytest.raises(WeightsError, match="another shape"):
        load_trunk(net, {**state, "norm.weight": torch.zeros(32)})
    with pytest.raises(WeightsError, match=r"blocks\.9"):
        load_trunk(net, {name: value for name, value in state.items() if not name.startswith("blocks.9.")})


def test_normalised_attention_keeps_the_spread_of_its_logits(adapted: DepthAnything3, pairs: torch.Tensor) -> None:
    """In the first block with normalised queries and keys, whose input is plain DINOv2's."""
    layer = CONFIG.alt_start
    x = tokens_before(adapted, pairs[:, :1], layer).flatten(0, 1)
    block = adapted.trunk.blocks[layer]
    with torch.no_grad():
        qkv = block.attn.qkv(block.norm1(x)).unflatten(-1, (3, 1, 64)).permute(2, 0, 3, 1, 4)
        plain = qkv[0] @ qkv[1].mT
        normed = block.attn.q_norm(qkv[0]) @ block.attn.k_norm(qkv[1]).mT
    spreads = [float((logits - logits.mean(-1, keepdim=True)).std()) for logits in (plain, normed)]
    assert spreads[1] == pytest.approx(spreads[0], rel=0.25)


def test_cameras_start_apart_and_the_decoder_reads_unit_tokens(adapted: DepthAnything3, pairs: torch.Tensor) -> None:
    tokens = adapted.trunk.camera_token[0].detach()
    assert float((tokens[0] - tokens[1]).norm()) > 0.02
    with torch.no_grad():
        camera = adapted.trunk(pairs, None, "first").camera[-1]
        fresh = any_view(build(CONFIG, generator=torch.Generator().manual_seed(1)))
        size = camera.square().mean().sqrt()
        ratio = fresh.cam_dec.backbone[0].weight / adapted.cam_dec.backbone[0].weight
    np.testing.assert_allclose(ratio.numpy(), float(size), rtol=1e-3)


def test_head_0_finds_the_true_patch_before_any_training(adapted: DepthAnything3, rendered: Batch) -> None:
    """Far more often than chance, which is one patch in twenty, and than a fresh head."""
    pair = rendered.select(torch.arange(6), torch.tensor([[0, 1]]).expand(6, -1))
    truth = correspondences(pair.depth, pair.cam_from_world, pair.K)

    def hits(net: DepthAnything3) -> float:
        with record_attention(net, (3,)) as attention, torch.no_grad():
            net.trunk(normalise_images(pair.images), None, "first")
        return float(attention_hit_rate(*attention[3], truth, (4, 5)))

    fresh = any_view(build(CONFIG, generator=torch.Generator().manual_seed(1)))
    assert hits(adapted) > 0.2
    assert hits(adapted) > 1.5 * hits(fresh)


def test_frozen_blocks_get_no_gradient(adapted: DepthAnything3, pairs: torch.Tensor) -> None:
    freeze(adapted, 2)
    adapted.trunk(pairs, None, "first").camera[-1].square().mean().backward()
    reached = {name for name, p in adapted.trunk.named_parameters() if p.grad is not None}
    assert "blocks.2.attn.qkv.weight" in reached and "camera_token" in reached
    assert not any(name.startswith(("blocks.0.", "blocks.1.", "patch_embed", "pos_embed", "cls")) for name in reached)
