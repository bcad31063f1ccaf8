"""What is done a few views or rows at a time where no gradient is wanted equals what is done at once where one is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from da3_pipeline.model import DepthAnything3, ModelConfig, build
from da3_pipeline.model import trunk as trunk_module
from da3_pipeline.model.lean import strips as strips_module
from da3_pipeline.model.lean.linear import Linear
from da3_pipeline.model.lean.strips import Rows, finish_in_strips, resize

SWIGLU = ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (4, 4, 8, 8), "swiglu")


def _images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("views_at_once", [1, 2, 3, 7])
@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
def test_a_few_views_at_a_time_make_no_difference(
    tiny: DepthAnything3, ffn: str, views_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = tiny if ffn == "mlp" else build(SWIGLU, generator=torch.Generator().manual_seed(1)).eval()
    images = _images(2, 5, 3, 28, 42)
    whole = net(images, feature_layers=(1, 5))
    assert whole.depth.requires_grad
    monkeypatch.setitem(trunk_module._TOKENS_AT_ONCE, "cpu", 7 * views_at_once)
    with torch.inference_mode():
        lean = net(images, feature_layers=(1, 5))
    for name in ("depth", "depth_conf", "ray", "ray_conf", "pose_encoding", "reference_view"):
        torch.testing.assert_close(getattr(lean, name), getattr(whole, name).detach(), rtol=1e-5, atol=1e-6)
    for layer, feature in whole.features.items():
        torch.testing.assert_close(lean.features[layer], feature.detach(), rtol=1e-5, atol=1e-5)


def test_the_images_are_left_alone(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    before = images.clone()
    with torch.inference_mode():
        first = tiny(images)
        assert torch.equal(images, before)
        assert torch.equal(first.depth, tiny(images).depth)


def test_rays_can_be_left_out(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    with torch.inference_mode():
        full, without = tiny(images), tiny(images, rays=False)
        from_rays = tiny(images, rays=False, ray_pose=True)
    assert without.ray is None and without.ray_conf is None
    assert torch.equal(full.depth, without.depth)
    assert torch.equal(full.depth_conf, without.depth_conf)
    assert torch.equal(full.cam_from_world, without.cam_from_world)
    assert from_rays.ray is not None, "cameras from rays need them"


def test_a_tap_is_reduced_a_few_views_at_a_time(tiny: DepthAnything3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trunk_module._TOKENS_AT_ONCE, "cpu", 14)
    images = _images(1, 5, 3, 28, 42)
    seen: list[tuple[int, int]] = []

    def reduce(level: int, patches: Tensor) -> tuple[Tensor, ...]:
        seen.append((level, len(patches)))
        return (patches.mean(1), patches[:, 0, :3])

    with torch.inference_mode():
        kept = tiny.trunk(images).patches
        output = tiny.trunk(images, reduce=reduce)
    assert not output.patches
    assert seen == [(level, count) for level in range(4) for count in (2, 2, 1)]
    for patches, (mean, start) in zip(kept, output.reduced, strict=True):
        torch.testing.assert_close(mean, patches.mean(2), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(start, patches[:, :, 0, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layers_are_linear_layers(bias: bool) -> None:
    torch.manual_seed(0)
    mine, plain = Linear(24, 40, bias), nn.Linear(24, 40, bias)
    plain.load_state_dict(mine.state_dict())
    x = _images(3, 5, 24)
    with torch.no_grad():
        torch.testing.assert_close(mine(x), plain(x))
        torch.testing.assert_close(mine.part(x, 8, 20), plain(x)[..., 8:20])
        with torch.autocast("cpu", torch.bfloat16):
            assert mine(x).dtype == torch.bfloat16
    assert mine(x).requires_grad
    assert mine.double()(x.double()).dtype == torch.float64


@pytest.mark.parametrize(("size", "rows"), [((40, 30), 8), ((41, 30), 9), ((9, 5), 8), ((8, 5), 8)])
def test_strips_are_rows_of_the_whole(size: tuple[int, int], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = _images(2, 3, 11, 7)
    convolve = nn.Conv2d(3, 2, 3, padding=1)
    asked: list[Rows] = []

    def finish(x: Tensor, part: Rows) -> Tensor:
        asked.append(part)
        return convolve(x)

    whole = convolve(resize(x, size)).detach()
    monkeypatch.setitem(strips_module._STRIP_BYTES, "cpu", rows * 2 * 32 * size[1] * 4)
    with torch.no_grad():
        torch.testing.assert_close(finish_in_strips(x, size, finish), whole, rtol=1e-5, atol=1e-5)
    assert len(asked) == -(-size[0] // rows)
    assert finish_in_strips(x, size, finish).requires_grad
    assert asked[-1] == Rows(0, size[0], size[0]), "one strip where a gradient is wanted"


@pytest.mark.slow
def test_a_compiled_network_says_the_same(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    with torch.inference_mode():
        plain = tiny(images)
        tiny.compile(dynamic=False, backend="aot_eager")
        compiled = tiny(images)
    for name in ("depth", "depth_conf", "ray", "cam_from_world"):
        torch.testing.assert_close(getattr(compiled, name), getattr(plain, name), rtol=1e-5, atol=1e-5)


def test_the_trunk_compiles_into_one_piece(tiny: DepthAnything3) -> None:
    images = _images(1, 2, 3, 28, 42)
    with torch.no_grad():
        explained = torch._dynamo.explain(tiny.trunk)(images)
    assert explained.graph_break_count == 0, explained.break_reasons
