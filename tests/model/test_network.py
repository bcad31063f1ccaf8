"""How the network behaves, whatever its weights: order, batches, conditioning, precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from da3_pipeline.errors import InferenceError, UsageError
from da3_pipeline.model import DepthAnything3, NetworkOutput, RayPoseOptions
from da3_pipeline.model.ray_pose import cameras_from_rays

PER_VIEW = ("depth", "depth_conf", "ray", "ray_conf", "pose_encoding", "cam_from_world", "intrinsics")


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _cameras(views: int) -> tuple[Tensor, Tensor]:
    poses = torch.eye(4).repeat(1, views, 1, 1)
    poses[0, :, 0, 3] = torch.arange(views)
    return poses, torch.tensor([[50.0, 0, 21], [0, 50, 14], [0, 0, 1]]).repeat(1, views, 1, 1)


def _run(net: DepthAnything3, *args: Tensor, **options: object) -> NetworkOutput:
    with torch.inference_mode():
        return net(*args, **options)


def _assert_equal(left: NetworkOutput, right: NetworkOutput, names: tuple[str, ...] = PER_VIEW) -> None:
    for name in names:
        torch.testing.assert_close(getattr(left, name), getattr(right, name), rtol=1e-4, atol=1e-5, msg=name)


def _take(output: NetworkOutput, index: object) -> NetworkOutput:
    return dataclasses.replace(output, **{name: getattr(output, name)[index] for name in PER_VIEW})


@pytest.mark.parametrize("views", [1, 2, 3])
def test_a_batch_equals_single_runs(tiny: DepthAnything3, views: int) -> None:
    images = _images(3, views, 3, 28, 42)
    together = _run(tiny, images)
    for index in range(3):
        _assert_equal(_take(together, slice(index, index + 1)), _run(tiny, images[index : index + 1]))


def test_two_runs_are_equal(tiny: DepthAnything3) -> None:
    images = _images(1, 4, 3, 28, 42)
    first, second = _run(tiny, images), _run(tiny, images)
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in PER_VIEW)


@pytest.mark.parametrize("strategy", ["saddle_balanced", "saddle_sim_range"])
def test_outputs_follow_the_order_of_the_views(tiny: DepthAnything3, strategy: str) -> None:
    images, order = _images(1, 5, 3, 28, 42), [3, 1, 4, 0, 2]
    straight = _run(tiny, images, reference_view=strategy)
    shuffled = _run(tiny, images[:, order], reference_view=strategy)
    _assert_equal(_take(straight, (slice(None), order)), shuffled)
    assert order[int(shuffled.reference_view)] == int(straight.reference_view)


@pytest.mark.parametrize(("strategy", "views", "chosen"), [("first", 5, 0), ("middle", 5, 2), ("middle", 2, 0)])
def test_fixed_reference_views(tiny: DepthAnything3, strategy: str, views: int, chosen: int) -> None:
    assert int(_run(tiny, _images(1, views, 3, 28, 28), reference_view=strategy).reference_view) == chosen


def test_the_reference_view_matters(tiny: DepthAnything3) -> None:
    images = _images(1, 4, 3, 28, 42)
    first, middle = (_run(tiny, images, reference_view=strategy) for strategy in ("first", "middle"))
    assert (first.pose_encoding - middle.pose_encoding).abs().max() > 1e-4


def test_an_unknown_strategy_is_refused(tiny: DepthAnything3) -> None:
    with pytest.raises(UsageError, match="'best'"):
        _run(tiny, _images(1, 3, 3, 28, 28), reference_view="best")


def test_views_inform_each_other(tiny: DepthAnything3) -> None:
    images = _images(1, 2, 3, 28, 42)
    pair, alone = _run(tiny, images), _run(tiny, images[:, :1])
    assert (pair.depth[:, 0] - alone.depth[:, 0]).abs().max() > 1e-4


def test_more_views_than_the_head_takes_at_once(tiny: DepthAnything3) -> None:
    images = _images(1, 11, 3, 28, 28)
    whole = _run(tiny, images)
    assert whole.depth.shape == (1, 11, 28, 28)
    with torch.inference_mode():
        seen = tiny.trunk(images)
        for view in range(11):
            alone = tiny.head([tap[0, view : view + 1] for tap in seen.patches], (2, 2), (28, 28))
            torch.testing.assert_close(whole.depth[0, view], alone.depth[0], rtol=1e-4, atol=1e-5)


def test_known_cameras_change_the_prediction_and_need_no_reference(tiny: DepthAnything3) -> None:
    images = _images(1, 3, 3, 28, 42)
    poses, intrinsics = _cameras(3)
    told, blind = _run(tiny, images, poses, intrinsics), _run(tiny, images)
    assert (told.depth - blind.depth).abs().max() > 1e-4
    assert told.reference_view.tolist() == [0]
    _assert_equal(told, _run(tiny, images, poses[..., :3, :], intrinsics, reference_view="middle"))


def test_features_follow_the_views_and_can_be_had_reference_first_as_published(tiny: DepthAnything3) -> None:
    images, order = _images(2, 4, 3, 28, 42), [2, 0, 1, 3]
    straight = _run(tiny, images, feature_layers=(0, 5))
    assert (straight.reference_view > 0).any(), "the case must need reordering"
    shuffled = _run(tiny, images[:, order], feature_layers=(0, 5))
    for layer in (0, 5):
        torch.testing.assert_close(straight.features[layer][:, order], shuffled.features[layer], rtol=1e-4, atol=1e-5)
    published = straight.features_as_published()
    assert torch.equal(straight.features[0], published[0])
    for feature, reordered, reference in zip(straight.features[5], published[5], straight.reference_view, strict=True):
        others = [view for view in range(4) if view != reference]
        assert torch.equal(reordered, feature[[int(reference), *others]])


def test_features_stay_in_order_without_a_reference(tiny: DepthAnything3) -> None:
    output = _run(tiny, _images(1, 3, 3, 28, 42), *_cameras(3), feature_layers=(5,))
    assert torch.equal(output.features[5], output.features_as_published()[5])


def test_ray_pose_replaces_the_decoder(tiny: DepthAnything3) -> None:
    options = RayPoseOptions("exact", generator=torch.Generator().manual_seed(4))
    output = _run(tiny, _images(1, 2, 3, 28, 42), ray_pose=options)
    again = dataclasses.replace(options, generator=torch.Generator().manual_seed(4))
    poses, intrinsics = cameras_from_rays(output.ray, output.ray_conf, (28, 42), again)
    assert torch.equal(output.cam_from_world, poses)
    assert torch.equal(output.intrinsics, intrinsics)
    decoded = _run(tiny, _images(1, 2, 3, 28, 42))
    assert torch.equal(output.pose_encoding, decoded.pose_encoding)
    assert not torch.equal(output.cam_from_world, decoded.cam_from_world)


def test_ray_pose_draws_from_the_global_generator_as_published(tiny: DepthAnything3) -> None:
    torch.manual_seed(7)
    published = _run(tiny, _images(1, 2, 3, 28, 42), ray_pose=True)
    seeded = RayPoseOptions(generator=torch.Generator().manual_seed(7))
    mine = _run(tiny, _images(1, 2, 3, 28, 42), ray_pose=seeded)
    assert torch.equal(published.cam_from_world, mine.cam_from_world)


def test_autocast_reaches_the_trunk_only(tiny: DepthAnything3) -> None:
    images, cameras = _images(1, 2, 3, 28, 42), _cameras(2)
    dtypes = {}
    modules = {"trunk": tiny.trunk.attention(3).proj, "head": tiny.head.projects[0], "decoder": tiny.cam_dec.fc_t}
    modules["encoder"] = tiny.cam_enc.pose_branch.fc1
    for name, module in modules.items():
        module.register_forward_hook(lambda _, given, result, name=name: dtypes.update({name: result.dtype}))
    exact = _run(tiny, images, *cameras)
    with torch.autocast("cpu", torch.bfloat16):
        rough = _run(tiny, images, *cameras)
    assert dtypes.pop("trunk") == torch.bfloat16
    assert set(dtypes.values()) == {torch.float32}
    assert all(getattr(rough, name).dtype == torch.float32 for name in PER_VIEW)
    torch.testing.assert_close(exact.depth, rough.depth, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    "shape", [(1, 2, 3, 28, 43), (1, 2, 3, 30, 42), (1, 2, 1, 28, 42), (2, 3, 28, 42), (1, 0, 3, 28, 42)]
)
def test_images_of_another_shape_are_refused(tiny: DepthAnything3, shape: tuple[int, ...]) -> None:
    with pytest.raises(InferenceError, match="multiples of 14"):
        tiny(torch.zeros(shape))


def test_cameras_that_do_not_fit_the_images_are_refused(tiny: DepthAnything3) -> None:
    images, (poses, intrinsics) = _images(1, 3, 3, 28, 42), _cameras(2)
    with pytest.raises(InferenceError, match="both"):
        tiny(images, *_cameras(3)[:1])
    with pytest.raises(InferenceError, match="cam_from_world of shape"):
        tiny(images, poses, intrinsics)
    with pytest.raises(InferenceError, match="intrinsics of shape"):
        tiny(images, _cameras(3)[0], intrinsics)
