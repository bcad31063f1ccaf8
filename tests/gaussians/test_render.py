"""The torch reference against closed forms, against a pixel-by-pixel loop, and in its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from da3_pipeline.errors import MissingExtraError, UsageError
from da3_pipeline.gaussians import (
    Picture,
    Splats,
    concatenate,
    moved,
    pinhole_view,
    rasterise,
    render,
    splats_of,
    subset,
)
from da3_pipeline.gaussians.harmonics import BAND_ZERO
from da3_pipeline.geometry import Camera, Sim3
from da3_pipeline.types import GaussianCloud

Float = NDArray[np.float64]
CloudFactory = Callable[..., GaussianCloud]

CAMERA = Camera("PINHOLE", 53, 37, (48.0, 51.0, 25.0, 19.5))
POSE = np.eye(3, 4)
SEVERAL_POSES = np.concatenate(
    [Rotation.from_euler("xyz", [[4, -7, 12], [-3, 5, -20]], degrees=True).as_matrix(), [[[0.1], [0.2], [0.3]]] * 2], 2
)


def one(
    mean: tuple[float, float, float],
    scales: tuple[float, float, float] = (0.2, 0.2, 0.2),
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0),
    opacity: float = 0.8,
    colour: tuple[float, float, float] = (0.9, 0.5, 0.2),
) -> GaussianCloud:
    """A single Gaussian of one colour; `rotation` is a rotation vector."""
    quaternion = np.roll(Rotation.from_rotvec(rotation).as_quat(), 1)
    return GaussianCloud(
        np.float32([mean]),
        np.float32([scales]),
        np.float32([quaternion]),
        ((np.float32([colour]) - 0.5) / BAND_ZERO)[:, :, None].astype(np.float32),
        np.float32([opacity]),
        np.zeros(1, np.int32),
    )


def analytic_alpha(cloud: GaussianCloud, camera: Camera, pose: Float) -> Float:
    """(H, W) alpha of the first Gaussian by the EWA formula, in float64, straight from the definition."""
    mean = pose[:, :3] @ cloud.means[0].astype(float) + pose[:, 3]
    axes = Rotation.from_quat(np.roll(cloud.rotations[0].astype(float), -1)).as_matrix() * cloud.scales[0].astype(float)
    sigma = pose[:, :3] @ axes @ axes.T @ pose[:, :3].T
    fx, fy, cx, cy = camera.params
    x, y, z = mean
    # gsplat takes the Jacobian no further outside the image than 15 % of its size.
    u = np.clip(x / z, -(cx + 0.15 * camera.width) / fx, (1.15 * camera.width - cx) / fx)
    v = np.clip(y / z, -(cy + 0.15 * camera.height) / fy, (1.15 * camera.height - cy) / fy)
    jacobian = np.array([[fx, 0, -fx * u], [0, fy, -fy * v]]) / z
    inverse = np.linalg.inv(jacobian @ sigma @ jacobian.T + 0.3 * np.eye(2))
    centre = np.array([fx * x / z + cx, fy * y / z + cy])
    rows, columns = np.indices((camera.height, camera.width))
    delta = np.stack([columns + 0.5, rows + 0.5], -1) - centre
    alpha = cloud.opacities[0] * np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", delta, inverse, delta))
    return np.where(alpha < 1 / 255, 0, np.minimum(alpha, 0.999))


def brute_force(cloud: GaussianCloud, camera: Camera, pose: Float, background: Float) -> Picture:
    """Front-to-back over all Gaussians at every pixel, no tiles, no lists; colours of band 0 only."""
    depth = cloud.means.astype(float) @ pose[2, :3] + pose[2, 3]
    shape = (camera.height, camera.width)
    passing, done = np.ones(shape), np.zeros(shape, bool)
    image, depths = np.zeros((*shape, 3)), np.zeros(shape)
    for index in np.argsort(depth, kind="stable"):
        if depth[index] <= 0.01:
            continue
        alpha = analytic_alpha(subset(cloud, np.array([index])), camera, pose)
        done |= (passing * (1 - alpha) <= 1e-4) & (alpha > 0)
        weight = np.where(done, 0, alpha * passing)
        colour = np.maximum(cloud.harmonics[index, :, 0].astype(float) * BAND_ZERO + 0.5, 0)
        image, depths = image + weight[..., None] * colour, depths + weight * depth[index]
        passing = passing - weight
    alpha = 1 - passing
    return Picture(image + passing[..., None] * background, depths / np.maximum(alpha, 1e-10), alpha)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "cloud",
    [
        one((0.0, 0.0, 4.0)),
        one((0.03, -0.02, 3.0), scales=(0.5, 0.05, 0.1)),
        one((0.4, 0.3, 2.0), scales=(0.3, 0.04, 0.1), rotation=(0.3, -0.8, 1.1)),
        one((-0.9, 0.6, 2.2), scales=(0.02, 0.3, 0.2), rotation=(1.4, 0.2, -0.5), opacity=0.35),
        one((0.5, 0.2, 3.0), scales=(1e-4, 1e-4, 1e-4)),
        one((0.2, 0.1, 3.0), scales=(0.3, 0.0, 0.3), rotation=(0.5, 0.5, 0.0)),
        one((0.0, 0.0, 5.0), scales=(3.0, 2.0, 4.0), opacity=1.0),
        one((1.9, 0.0, 3.5), scales=(0.3, 0.3, 0.3)),
        one((0.3, 0.2, 3.0), scales=(8.0, 1e-4, 1e-4), rotation=(0.0, 0.1, 0.6)),
    ],
    ids=["round", "stretched", "turned", "off axis", "point", "disc", "fills the image", "half outside", "needle"],
)
@pytest.mark.parametrize("pose", [POSE, *SEVERAL_POSES], ids=["front", "turned", "turned too"])
def test_one_gaussian_is_its_closed_form(cloud: GaussianCloud, pose: Float) -> None:
    picture = render(cloud, CAMERA, pose, background=(0.1, 0.2, 0.3), backend="torch")
    alpha = analytic_alpha(cloud, CAMERA, pose)
    assert alpha.max() > 0.05
    np.testing.assert_allclose(picture.alpha, alpha, atol=1e-5)
    expected = alpha[..., None] * [0.9, 0.5, 0.2] + (1 - alpha[..., None]) * [0.1, 0.2, 0.3]
    np.testing.assert_allclose(picture.image, expected, atol=1e-5)
    z = float(pose[2, :3] @ cloud.means[0] + pose[2, 3])
    np.testing.assert_allclose(picture.depth, np.where(alpha > 0, z, 0), rtol=1e-5)


def test_tiles_and_lists_change_nothing(cloud_of: CloudFactory) -> None:
    """300 Gaussians, most of them opaque, against compositing every pixel over all of them in float64."""
    cloud = cloud_of(300, bands=1, scale=0.15)
    cloud = replace(cloud, opacities=np.sqrt(cloud.opacities))
    for pose in (POSE, *SEVERAL_POSES):
        expected = brute_force(cloud, CAMERA, pose, np.array([0.3, 0.6, 0.1]))
        assert (expected.alpha > 0.999).mean() > 0.05  # some pixels end at the least transmittance
        view = pinhole_view(CAMERA, pose, dtype=torch.float64)
        exact = rasterise(splats_of(cloud, dtype=torch.float64), view, background=(0.3, 0.6, 0.1))
        for name in ("image", "alpha", "depth"):
            np.testing.assert_allclose(getattr(exact, name).numpy(), getattr(expected, name), atol=1e-9)
        # In float32 an alpha close to 1/255 may fall to the other side, which is worth up to 0.004 at that pixel.
        picture = render(cloud, CAMERA, pose, background=(0.3, 0.6, 0.1), backend="torch")
        error = np.abs(picture.image - expected.image).max(axis=2)
        assert np.quantile(error, 0.9) < 1e-5 and error.max() < 4e-3


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_cloud_does_not_matter(cloud_of: CloudFactory, seed: int) -> None:
    cloud = cloud_of(60, seed)
    shuffled = subset(cloud, np.random.default_rng(seed).permutation(60))
    first, second = (render(each, CAMERA, POSE, backend="torch") for each in (cloud, shuffled))
    np.testing.assert_allclose(first.image, second.image, atol=1e-5)
    np.testing.assert_allclose(first.depth, second.depth, atol=1e-4)


def test_the_near_one_hides_the_far_one() -> None:
    near = one((0.0, 0.0, 2.0), opacity=1.0, scales=(0.5,) * 3, colour=(1, 0, 0))
    far = one((0.0, 0.0, 4.0), opacity=1.0, scales=(1.0,) * 3, colour=(0, 1, 0))
    for cloud in (concatenate([near, far]), concatenate([far, near])):
        picture = render(cloud, CAMERA, POSE, backend="torch")
        np.testing.assert_allclose(picture.image[19, 25], [0.999, 0.001, 0], atol=1e-3)
        assert picture.depth[19, 25] == pytest.approx(2.0, abs=0.01)
    mirrored = np.array([[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 6]])  # seen from behind
    picture = render(concatenate([near, far]), CAMERA, mirrored, backend="torch")
    np.testing.assert_allclose(picture.image[19, 25], [0.001, 0.999, 0], atol=2e-3)


def test_nothing_to_see(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(20)
    behind = replace(cloud, means=cloud.means * np.float32([1, 1, -1]))
    beside = replace(cloud, means=cloud.means + np.float32([500, 0, 0]))
    clear = replace(cloud, opacities=np.full(20, 0.003, np.float32))
    for nothing in (subset(cloud, np.zeros(20, bool)), behind, beside, clear):
        picture = render(nothing, CAMERA, POSE, background=(0.1, 0.2, 0.3), backend="torch")
        np.testing.assert_allclose(picture.image, np.broadcast_to([0.1, 0.2, 0.3], (37, 53, 3)), atol=1e-7)
        assert not picture.alpha.any() and not picture.depth.any()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-6, 1e3, 1e8, 1e20, np.inf, -np.inf, np.nan])
def test_any_scale_is_drawn_or_left_out_but_never_spoils_the_picture(cloud_of: CloudFactory, scale: float) -> None:
    cloud = cloud_of(30)
    scales = cloud.scales.copy()
    scales[::3] *= np.float32(scale)
    picture = render(replace(cloud, scales=scales), CAMERA, POSE, backend="torch")
    assert all(np.isfinite(part).all() for part in (picture.image, picture.depth, picture.alpha))
    assert picture.alpha.max() <= 1 + 1e-5
    if 0 <= scale < 1e-5:  # too small to see is not nothing: the low-pass makes a dot of it
        alone = render(subset(replace(cloud, scales=scales), np.array([0])), CAMERA, POSE, backend="torch")
        assert alone.alpha.max() > 0


@pytest.mark.parametrize("name", ["means", "rotations", "harmonics", "opacities"])
def test_numbers_that_are_not_finite_are_left_out(cloud_of: CloudFactory, name: str) -> None:
    cloud = cloud_of(30)
    broken = getattr(cloud, name).copy()
    broken[::3], broken[::6] = np.nan, np.inf
    rest = subset(cloud, np.arange(30) % 3 != 0)
    picture = render(replace(cloud, **{name: broken}), CAMERA, POSE, backend="torch")
    np.testing.assert_allclose(picture.image, render(rest, CAMERA, POSE, backend="torch").image, atol=1e-6)


def test_moving_cloud_and_camera_together_keeps_the_picture(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(150, bands=16)
    b_from_a = Sim3(1.7, Rotation.from_euler("xyz", [40, -70, 110], degrees=True).as_matrix(), np.array([3.0, -1, 2]))
    before = render(cloud, CAMERA, POSE, backend="torch")
    after = render(moved(cloud, b_from_a), CAMERA, b_from_a.apply_to_cameras(POSE), backend="torch")
    np.testing.assert_allclose(after.image, before.image, atol=1e-4)
    np.testing.assert_allclose(after.depth, 1.7 * before.depth, atol=2e-3)


def test_colour_depends_on_the_direction_of_sight() -> None:
    """A Gaussian whose red is 0.5 - 0.4886 * c * x, looked at along +x and along -x."""
    harmonics = np.zeros((1, 3, 4), np.float32)
    harmonics[0, 0, 3] = 0.6
    cloud = replace(one((0, 0, 0), opacity=1.0), harmonics=harmonics)
    along_x = np.array([[0, 0, -1.0, 0], [0, 1, 0, 0], [1, 0, 0, 3]])
    against_x = np.array([[0, 0, 1.0, 0], [0, 1, 0, 0], [-1, 0, 0, 3]])
    red = [render(cloud, CAMERA, pose, backend="torch") for pose in (along_x, against_x)]
    values = [picture.image[19, 25, 0] / picture.alpha[19, 25] for picture in red]
    np.testing.assert_allclose(values, [0.5 - 0.4886025 * 0.6, 0.5 + 0.4886025 * 0.6], atol=1e-5)


def test_distortion_is_left_out_and_a_panorama_refused(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(50)
    distorted = Camera("OPENCV", 53, 37, (48.0, 51.0, 25.0, 19.5, -0.2, 0.1, 0.01, 0.0))
    np.testing.assert_array_equal(
        render(cloud, distorted, POSE, backend="torch").image, render(cloud, CAMERA, POSE, backend="torch").image
    )
    with pytest.raises(UsageError, match="EQUIRECTANGULAR"):
        render(cloud, Camera("EQUIRECTANGULAR", 64, 32, (64.0, 32.0)), POSE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_gsplat_without_a_gpu_is_refused(cloud_of: CloudFactory) -> None:
    with pytest.raises(MissingExtraError, match="gsplat"):
        render(cloud_of(5), CAMERA, POSE, backend="gsplat")


def test_gradients_are_those_of_finite_differences(cloud_of: CloudFactory) -> None:
    cloud = cloud_of(6, bands=4, scale=0.4)
    cloud = replace(cloud, opacities=(0.3 + 0.4 * cloud.opacities).astype(np.float32))
    camera = Camera("PINHOLE", 12, 10, (12.0, 12.0, 6.0, 5.0))
    view = pinhole_view(camera, POSE, dtype=torch.float64)
    tensors = [t.clone().requires_grad_(True) for t in vars(splats_of(cloud, dtype=torch.float64)).values()]
    pose = view.cam_from_world.clone().requires_grad_(True)
    weights = torch.randn(10, 12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss(*inputs: Any) -> Any:
        result = rasterise(Splats(*inputs[:-1]), replace(view, cam_from_world=inputs[-1]), background=(0.2, 0.4, 0.6))
        parts = torch.cat([result.image, result.depth[..., None] * result.alpha[..., None], result.alpha[..., None]], 2)
        return (parts * weights).sum()

    # Alpha is cut at 1/255, so that a step may carry a pixel over the edge: small steps, and a few of them to spare.
    assert torch.autograd.gradcheck(loss, (*tensors, pose), eps=1e-7, atol=1e-4, rtol=1e-3)


def test_what_cannot_be_drawn_spoils_no_gradient(cloud_of: CloudFactory) -> None:
    splats = splats_of(cloud_of(24, bands=4))
    tensors = [tensor.clone() for tensor in vars(splats).values()]
    for row, (part, value) in enumerate(
        ((0, torch.nan), (1, torch.inf), (1, 1e30), (2, torch.nan), (3, torch.inf), (4, 0.0))
    ):
        tensors[part][row] = value
    tensors[2][6], tensors[1][7] = 0.0, 0.0
    leaves = [tensor.requires_grad_(True) for tensor in tensors]
    view = pinhole_view(CAMERA, POSE)
    pose = view.cam_from_world.clone().requires_grad_(True)
    result = rasterise(Splats(*leaves), replace(view, cam_from_world=pose))
    (result.image.sum() + result.depth.sum() + result.alpha.sum()).backward()
    for leaf in (*leaves, pose):
        assert leaf.grad is not None and torch.isfinite(leaf.grad).all()
        assert leaf.grad.abs().sum() > 0
    assert all(leaf.grad is not None and not leaf.grad[:6].any() for leaf in leaves)


def test_a_few_steps_of_descent_restore_a_picture(cloud_of: CloudFactory) -> None:
    """What a trainer needs: the loss against a rendered target falls by more than half in 40 steps."""
    splats = splats_of(cloud_of(40, bands=4, scale=0.25))
    view = pinhole_view(Camera.pinhole(32, 24, 28.0), POSE)
    target = rasterise(splats, view).image
    generator = torch.Generator().manual_seed(1)
    start = splats.harmonics + 0.5 * torch.randn(splats.harmonics.shape, generator=generator)
    harmonics = start.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([harmonics], lr=0.05)
    losses = []
    for _ in range(40):
        loss = (rasterise(replace(splats, harmonics=harmonics), view).image - target).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
