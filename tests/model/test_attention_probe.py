"""Queries and keys recorded inside the network are those that its attention is made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from da3_pipeline.errors import UsageError
from da3_pipeline.model import DepthAnything3, record_attention


def _images(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_recorded_attention_is_that_of_the_head(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    with torch.inference_mode():
        plain = tiny(images)
    attention_input = {}
    module = tiny.trunk.attention(3)
    hook = module.register_forward_hook(lambda _, given, result: attention_input.update(x=given[0], y=result))
    with record_attention(tiny, (3, 7)) as recorded:
        output = tiny(images)
    hook.remove()
    assert set(recorded) == {3, 7}
    query, key = recorded[3]
    assert query.shape == key.shape == (1, 3 * (1 + 2 * 3), 64)
    value = module.qkv(attention_input["x"])[..., -64:]
    mixed = (query @ key.mT / 8).softmax(-1) @ value
    torch.testing.assert_close(module.proj(mixed), attention_input["y"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain.depth, output.depth, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain.pose_encoding, output.pose_encoding, rtol=1e-4, atol=1e-5)
    query.sum().backward()
    assert tiny.trunk.patch_embed.proj.weight.grad is not None


def test_attention_is_recorded_only_inside_the_block(tiny: DepthAnything3) -> None:
    with pytest.raises(RuntimeError, match="stop"), record_attention(tiny, (3,)) as recorded:
        raise RuntimeError("stop")
    tiny(_images(1, 2, 3, 28, 28))
    assert not recorded


@pytest.mark.parametrize(("layers", "head"), [((2,), 0), ((3,), 1), ((99,), 0)])
def test_attention_that_does_not_exist_cannot_be_recorded(
    tiny: DepthAnything3, layers: tuple[int, ...], head: int
) -> None:
    with pytest.raises(UsageError, match="to record"), record_attention(tiny, layers, head):
        pass


def test_attention_can_be_recorded_without_gradients(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    with record_attention(tiny, (3,)) as wanted:
        tiny(images)
    with torch.no_grad(), record_attention(tiny, (3,)) as recorded:
        tiny(images)
    torch.testing.assert_close(recorded[3].query, wanted[3].query.detach())
