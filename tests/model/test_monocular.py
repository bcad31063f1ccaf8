"""The monocular networks: sky, its depth, metres."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from da3_pipeline.model import Network, is_sky, metres_from_canonical
from da3_pipeline.model.sky import exact_quantile, fill_sky


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50), share=st.floats(0, 1))
def test_quantiles_are_those_of_torch(values: list[float], share: float) -> None:
    given = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(exact_quantile(given, share), torch.quantile(given, share))


def test_quantiles_of_more_values_than_torch_takes() -> None:
    count = 17_000_000
    values = torch.arange(count, dtype=torch.int32).flip(0).float()
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(values, 0.99)
    assert exact_quantile(values, 0.99) == pytest.approx(0.99 * (count - 1), rel=1e-6)


def test_quantiles_of_many_values_do_not_depend_on_chance() -> None:
    values = _images(200_000)
    torch.manual_seed(0)
    first = exact_quantile(values, 0.99)
    torch.manual_seed(1)
    assert torch.equal(first, exact_quantile(values[torch.randperm(len(values))], 0.99))


def test_sky_is_put_as_deep_as_the_deepest_hundredth_of_the_rest_of_its_set() -> None:
    depth = torch.arange(2 * 2 * 10 * 10, dtype=torch.float32).reshape(2, 2, 10, 10)
    sky = torch.zeros_like(depth)
    sky[0, 0, :5] = 0.3
    sky[1, 1, 0, 0] = 1.0
    filled = fill_sky(depth, sky)
    rest = depth[0][sky[0] == 0]
    assert torch.allclose(filled[0, 0, :5], torch.quantile(rest, 0.99))
    assert torch.equal(filled[0][sky[0] == 0], rest)
    assert torch.equal(filled[1], depth[1]), "ten pixels of sky or fewer are left as they are"


@pytest.mark.parametrize("clear", [0, 10])
def test_where_all_but_nothing_is_sky_depth_is_left_as_it_is(clear: int) -> None:
    depth, sky = torch.rand(1, 1, 10, 10), torch.ones(1, 1, 10, 10)
    sky.view(-1)[:clear] = 0
    assert torch.equal(fill_sky(depth, sky), depth)


def test_the_threshold_itself_is_sky() -> None:
    assert is_sky(torch.tensor([0.0, 0.29999, 0.3, 5.0])).tolist() == [False, False, True, True]


def test_images_matter_to_each_other_through_the_sky_alone(small: Callable[[str], Network]) -> None:
    net, images = small("monocular"), _images(1, 3, 3, 28, 42)
    with torch.inference_mode():
        together = net(images)
        alone = [net(images[:, view : view + 1]) for view in range(3)]
    sky = is_sky(together.sky)
    assert 0.05 < sky.float().mean() < 0.95, "the case must have both"
    for view, single in enumerate(alone):
        torch.testing.assert_close(together.sky[:, view], single.sky[:, 0], rtol=1e-4, atol=1e-5)
        clear = ~sky[0, view]
        torch.testing.assert_close(together.depth[0, view][clear], single.depth[0, 0][clear], rtol=1e-4, atol=1e-5)
    assert len(together.depth[sky].unique()) == 1


def test_a_picture_of_nothing_but_sky_has_finite_depth(small: Callable[[str], Network]) -> None:
    net = small("monocular")
    decode = net.head.decode

    def with_sky(*given: object) -> tuple[Tensor, Tensor]:
        depth, sky = decode(*given)
        return depth, torch.ones_like(sky)

    with torch.inference_mode(), patch.object(net.head, "decode", with_sky):
        output = net(_images(1, 2, 3, 28, 42))
    assert is_sky(output.sky).all()
    assert output.depth.isfinite().all()


def test_metres_grow_with_the_focal_length() -> None:
    intrinsics = torch.eye(3).repeat(1, 2, 1, 1)
    intrinsics[0, 0, 0, 0], intrinsics[0, 0, 1, 1] = 500, 700
    intrinsics[0, 1, 0, 0], intrinsics[0, 1, 1, 1] = 300, 300
    metres = metres_from_canonical(torch.full((1, 2, 4, 5), 3.0), intrinsics)
    torch.testing.assert_close(metres[0, 0], torch.full((4, 5), 6.0))
    torch.testing.assert_close(metres[0, 1], torch.full((4, 5), 3.0))
