"""What holds for every kind of network: repeatable, a batch equals single runs, bad input is refused clearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from da3_pipeline.errors import InferenceError, UsageError, WeightsError
from da3_pipeline.model import (
    VARIANTS,
    ModelConfig,
    MonocularOutput,
    Network,
    NetworkOutput,
    any_view,
    build,
    load,
    save_checkpoint,
)

KINDS = ("any-view", "gaussian", "monocular", "nested")
Small = Callable[[str], Network]


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _cameras(batch: int, views: int) -> tuple[Tensor, Tensor]:
    poses = torch.eye(4).repeat(batch, views, 1, 1)
    poses[..., 0, 3] = torch.arange(views)
    poses[..., 1, 3] = torch.tensor([1.0, -1.0]).repeat(views)[:views]
    return poses, torch.tensor([[50.0, 0, 21], [0, 50, 14], [0, 0, 1]]).repeat(batch, views, 1, 1)


def _run(net: Network, *args: Tensor, **options: object) -> NetworkOutput | MonocularOutput:
    if net.config.gaussian_head:
        options.setdefault("gaussians", True)
    with torch.inference_mode():
        return net(*args, **options)


def _tensors(output: NetworkOutput | MonocularOutput) -> dict[str, Tensor]:
    """Every tensor of an output by its name, each (B, ...)."""
    named = dict(vars(output))
    gaussians = named.pop("gaussians", None)
    named |= {f"gaussians.{name}": value for name, value in vars(gaussians).items()} if gaussians else {}
    named |= {f"features.{layer}": value for layer, value in named.pop("features").items()}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _assert_close(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], rtol=1e-4, atol=1e-5, equal_nan=True, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("views", [1, 2, 9])
def test_a_batch_equals_single_runs(small: Small, kind: str, views: int) -> None:
    images = _images(2, views, 3, 28, 42)
    together = _tensors(_run(small(kind), images, feature_layers=(0, 3)))
    for index in range(2):
        alone = _tensors(_run(small(kind), images[index : index + 1], feature_layers=(0, 3)))
        _assert_close({name: value[index : index + 1] for name, value in together.items()}, alone)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "monocular"])
def test_a_batch_equals_single_runs_with_cameras(small: Small, kind: str) -> None:
    images, (poses, intrinsics) = _images(2, 3, 3, 28, 42), _cameras(2, 3)
    poses[1, :, :3, 3] *= 2
    together = _tensors(_run(small(kind), images, poses, intrinsics))
    for index in range(2):
        one = slice(index, index + 1)
        alone = _tensors(_run(small(kind), images[one], poses[one], intrinsics[one]))
        _assert_close({name: value[one] for name, value in together.items()}, alone)


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_are_equal_whatever_the_global_seed(small: Small, kind: str) -> None:
    images = _images(1, 3, 3, 28, 42)
    torch.manual_seed(0)
    first = _tensors(_run(small(kind), images))
    torch.manual_seed(1)
    second = _tensors(_run(small(kind), images))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_network_loads_again(small: Small, kind: str, tmp_path: Path) -> None:
    net = small(kind)
    save_checkpoint(net, tmp_path / "net.safetensors")
    again = load(tmp_path / "net.safetensors")
    assert type(again) is type(net)
    assert again.config == net.config
    theirs = again.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_trunks_alone_take_another_precision(small: Small, kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    save_checkpoint(small(kind), tmp_path / "net.safetensors")
    state = load(tmp_path / "net.safetensors", dtype=dtype).state_dict()
    for name, value in state.items():
        assert value.dtype == (dtype if "backbone.pretrained." in name else torch.float32), name


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_images_that_are_not_finite_are_refused(small: Small, kind: str, bad: float) -> None:
    images = _images(2, 3, 3, 28, 42)
    images[1, 2, 0, 5, 5] = bad
    with pytest.raises(InferenceError, match="images: view 2 of item 1 has values that are not finite"):
        _run(small(kind), images)


@pytest.mark.parametrize(
    "shape", [(1, 0, 3, 28, 42), (0, 2, 3, 28, 42), (1, 2, 3, 29, 42), (1, 2, 3, 28, 40), (3, 28, 42)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_images_of_another_shape_are_refused(small: Small, kind: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InferenceError, match="multiples of 14"):
        _run(small(kind), torch.zeros(shape))


@pytest.mark.parametrize("kind", ["any-view", "nested"])
def test_cameras_that_do_not_fit_are_refused(small: Small, kind: str) -> None:
    net, images, (poses, intrinsics) = small(kind), _images(1, 3, 3, 28, 42), _cameras(1, 3)
    for given in ({"cam_from_world": poses}, {"intrinsics": intrinsics}):
        with pytest.raises(InferenceError, match="takes both cam_from_world and intrinsics"):
            _run(net, images, **given)
    with pytest.raises(InferenceError, match="cam_from_world of shape"):
        _run(net, images, poses[:, :2], intrinsics)
    with pytest.raises(InferenceError, match="cam_from_world of shape"):
        _run(net, images, poses[..., :3, :3], intrinsics)
    with pytest.raises(InferenceError, match="intrinsics of shape"):
        _run(net, images, poses, intrinsics[0])
    poses[0, 1, 0, 3] = torch.nan
    with pytest.raises(InferenceError, match="cam_from_world: view 1 of item 0"):
        _run(net, images, poses, intrinsics)


@pytest.mark.parametrize("layout", ["single", "collinear", "coincident"])
@pytest.mark.parametrize("kind", ["any-view", "gaussian", "nested"])
def test_degenerate_input_poses_give_a_finite_result(small: Small, kind: str, layout: str) -> None:
    views = 1 if layout == "single" else 3
    poses, intrinsics = _cameras(1, views)
    poses[..., 1, 3] = 0
    if layout == "coincident":
        poses[..., 0, 3] = 0
    output = _run(small(kind), _images(1, views, 3, 28, 42), poses, intrinsics)
    assert all(value.isfinite().all() for value in _tensors(output).values())


@pytest.mark.parametrize(
    "asked",
    [
        {"cam_from_world": torch.eye(4).repeat(1, 1, 1, 1)},
        {"intrinsics": torch.eye(3).repeat(1, 1, 1, 1)},
        {"ray_pose": True},
        {"gaussians": True},
    ],
)
def test_a_monocular_network_says_what_it_cannot_do(small: Small, asked: dict[str, object]) -> None:
    with pytest.raises(InferenceError, match=f"depth and sky only: it has no use for {next(iter(asked))}"):
        _run(small("monocular"), _images(1, 1, 3, 28, 28), **asked)


def test_gaussians_of_a_network_without_a_head_for_them_name_those_that_have_one(small: Small) -> None:
    with pytest.raises(UsageError, match=r"no head for Gaussians.*da3-giant, .*da3nested-giant-large-1\.1"):
        small("any-view")(_images(1, 1, 3, 28, 28), gaussians=True)


def test_only_plain_any_view_networks_can_be_trained(small: Small) -> None:
    assert any_view(small("any-view")) is small("any-view")
    for kind in ("monocular", "nested"):
        with pytest.raises(UsageError, match=f"not a {kind} one"):
            any_view(small(kind))


@pytest.mark.parametrize(
    ("name", "seems"),
    [
        ("da3-giant", "da3-giant or da3-giant-1.1"),
        ("da3metric-large", "da3mono-large or da3metric-large"),
        ("da3nested-giant-large", "da3nested-giant-large or da3nested-giant-large-1.1"),
    ],
)
def test_published_files_are_recognised_by_a_few_parameters(name: str, seems: str, tmp_path: Path) -> None:
    """A file with the right structure that lacks one parameter: its kind is told, and what is missing."""
    from da3_pipeline.model.checkpoints.format import Checkpoint

    with torch.device("meta"):
        net = build(name)
    shapes = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    file = Checkpoint(tmp_path / "x", shapes, {key: f"model.{key}" for key in shapes}, None)
    assert file.guess_config() == VARIANTS[name].config
    assert file.kind() == seems
    with pytest.raises(WeightsError, match=f"extra is missing.*{seems}"):
        file.check({**shapes, "extra": (1,)})


def test_a_published_nested_file_fills_the_shared_norm_of_its_any_view_half(small: Small, tmp_path: Path) -> None:
    from safetensors import safe_open

    save_checkpoint(small("nested"), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", "pt") as file:
        stored = [key for key in file.keys() if "output_conv2_aux" in key and key.split(".")[-2] == "2"]  # noqa: SIM118
    assert sorted(stored) == [f"model.da3.head.scratch.output_conv2_aux.0.2.{part}" for part in ("bias", "weight")]


def test_the_family_covers_every_registered_kind(small: Small) -> None:
    def kind(config: ModelConfig) -> tuple[bool, bool, bool]:
        return config.is_monocular, config.gaussian_head, config.metric is not None

    assert {kind(entry.config) for entry in VARIANTS.values()} == {kind(small(name).config) for name in KINDS}
