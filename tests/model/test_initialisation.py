"""Fresh weights: a plain guess at first, from which every part can learn."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from da3_pipeline.model import VARIANTS, build

NANO = VARIANTS["da3-nano"].config


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
