"""The nested networks: one scale in metres, sky far away, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from da3_pipeline.model import GaussianOptions, NestedNetwork, Network, NetworkOutput, is_sky, metres_from_canonical
from da3_pipeline.model.nested import metric_scale


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def nested(small: Callable[[str], Network]) -> NestedNetwork:
    net = small("nested")
    assert isinstance(net, NestedNetwork)
    return net


def _run(net: Network, *args: Tensor, **options: object) -> NetworkOutput:
    with torch.inference_mode():
        return net(*args, **options)


def _with_sky(net: NestedNetwork, sky: Tensor) -> AbstractContextManager[object]:
    """The metric network sees this (B, S, H, W) sky instead of its own, of few views."""
    decode = net.da3_metric.head.decode
    return patch.object(net.da3_metric.head, "decode", lambda *given: (decode(*given)[0], sky.flatten(0, 1)))


def test_the_scale_takes_depth_to_metres() -> None:
    depth = 1 + torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(0))
    conf = 1 + torch.rand(2, 20, 30, generator=torch.Generator().manual_seed(1))
    sky = torch.zeros_like(depth)
    sky[0, :5] = 1
    metres = torch.where((sky > 0) | (conf < 1.3), 1e3, 3 * depth)
    assert metric_scale(metres, depth, conf, sky).item() == pytest.approx(3, rel=1e-6)


def test_least_squares_over_the_surer_half_decide() -> None:
    depth, metres = torch.tensor([1.0, 2.0]).repeat(10), torch.tensor([2.0, 6.0]).repeat(10)
    conf = torch.tensor([1.0, 1.0, 2.0, 2.0]).repeat(5)
    scale = metric_scale(*(x[None, None] for x in (metres, depth, conf, torch.zeros(20))))
    assert scale.item() == pytest.approx((2 * 1 + 6 * 2) / (1 + 4))


@pytest.mark.parametrize("case", ["all sky", "ten pixels", "no depth", "no metres"])
def test_without_common_pixels_there_is_no_scale(case: str) -> None:
    depth, metres, conf, sky = torch.ones(4, 1, 8, 8)
    sky = torch.ones(1, 8, 8) if "sky" in case or "ten" in case else torch.zeros(1, 8, 8)
    sky.view(-1)[: 10 if case == "ten pixels" else 0] = 0
    depth = depth * (0 if case == "no depth" else 1)
    metres = metres * (0 if case == "no metres" else 1)
    assert metric_scale(metres, depth, conf, sky).isnan()


def test_depth_and_centres_grow_and_the_rest_stays(nested: NestedNetwork) -> None:
    images = _images(2, 3, 3, 28, 42)
    output, inner = _run(nested, images), _run(nested.da3, images)
    scale = output.scale_factor[:, None, None, None]
    clear = ~is_sky(output.sky)
    assert 0.05 < clear.float().mean() < 0.95, "the case must have both"
    torch.testing.assert_close(output.depth[clear], (inner.depth * scale)[clear])
    torch.testing.assert_close(output.cam_from_world[..., 3:], inner.cam_from_world[..., 3:] * scale)
    for name in ("ray", "ray_conf", "pose_encoding", "intrinsics"):
        assert torch.equal(getattr(output, name), getattr(inner, name))
    assert torch.equal(output.cam_from_world[..., :3], inner.cam_from_world[..., :3])


def test_the_scale_comes_from_the_metric_half_and_the_predicted_focal_length(nested: NestedNetwork) -> None:
    images = _images(1, 2, 3, 28, 42)
    output, inner, metric = _run(nested, images), _run(nested.da3, images), _run(nested.da3_metric, images)
    metres = metres_from_canonical(metric.depth, inner.intrinsics)
    expected = metric_scale(metres[0], inner.depth[0], inner.depth_conf[0], metric.sky[0])
    torch.testing.assert_close(output.scale_factor[0], expected)


def test_sky_is_far_and_least_certain(nested: NestedNetwork) -> None:
    images = _images(1, 2, 3, 28, 42)
    output = _run(nested, images)
    sky = is_sky(output.sky)
    assert (output.depth_conf[sky] == 1).all()
    assert output.depth[sky].unique().item() == pytest.approx(output.depth[~sky].quantile(0.99).item(), rel=1e-5)


def test_sky_is_at_most_200_m_away(nested: NestedNetwork) -> None:
    hook = nested.da3_metric.register_forward_hook(
        lambda module, given, result: type(result)(result.depth * 1e4, result.sky)
    )
    try:
        output = _run(nested, _images(1, 2, 3, 28, 42))
    finally:
        hook.remove()
    assert (output.depth[is_sky(output.sky)] == 200).all()
    assert output.depth.max() > 200


@pytest.mark.parametrize("clear", [0, 10])
def test_nothing_but_sky_leaves_lengths_alone_and_other_items_too(nested: NestedNetwork, clear: int) -> None:
    images = _images(2, 2, 3, 28, 42)
    sky = torch.zeros(2, 2, 28, 42)
    sky[0] = 1
    sky[0].view(-1)[:clear] = 0
    with _with_sky(nested, sky):
        output = _run(nested, images, gaussians=GaussianOptions(in_metres=True))
    inner = _run(nested.da3, images, gaussians=True)
    assert output.scale_factor[0].isnan()
    assert output.scale_factor[1].isfinite()
    assert torch.equal(output.depth[0], inner.depth[0])
    assert torch.equal(output.cam_from_world[0], inner.cam_from_world[0])
    assert torch.equal(output.gaussians.means[0], inner.gaussians.means[0])
    assert (output.depth_conf[0][is_sky(sky[0])] == 1).all()
    torch.testing.assert_close(output.depth[1], inner.depth[1] * output.scale_factor[1])


def test_gaussians_stay_in_their_own_units_as_published_unless_asked_for_in_metres(nested: NestedNetwork) -> None:
    images = _images(1, 2, 3, 28, 42)
    published = _run(nested, images, gaussians=True)
    metric = _run(nested, images, gaussians=GaussianOptions(in_metres=True))
    inner = _run(nested.da3, images, gaussians=True)
    scale = published.scale_factor
    assert abs(scale - 1) > 0.01
    assert torch.equal(published.gaussians.means, inner.gaussians.means)
    torch.testing.assert_close(metric.gaussians.means, inner.gaussians.means * scale)
    torch.testing.assert_close(metric.gaussians.scales, inner.gaussians.scales * scale)
    assert torch.equal(metric.gaussians.harmonics, inner.gaussians.harmonics)
    # In metres they lie where depth and cameras say, in the published units they do not.
    centre = -(metric.cam_from_world[0, 0, :, :3].mT @ metric.cam_from_world[0, 0, :, 3])
    reach = (metric.gaussians.means[0, : 28 * 42] - centre).norm(dim=-1)
    offset = (inner.gaussians.means[0, : 28 * 42] - centre / scale).norm(dim=-1)
    torch.testing.assert_close(reach, scale * offset)
