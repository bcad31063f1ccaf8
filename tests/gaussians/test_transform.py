"""A moved cloud is the same thing seen from elsewhere: positions, covariances and colours in every direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import factorial, lpmv

from da3_pipeline.gaussians import concatenate, moved, moved_by_view, subset
from da3_pipeline.gaussians.harmonics import BASES, basis, rotation_matrices
from da3_pipeline.geometry import Sim3
from da3_pipeline.types import GaussianCloud

GOLDEN = Path(__file__).parents[1] / "data" / "model" / "unit_rotsh.npz"

seeds = st.integers(0, 2**32 - 1)


def random_sim3(rng: np.random.Generator) -> Sim3:
    return Sim3(float(np.exp(rng.normal())), Rotation.random(random_state=rng).as_matrix(), rng.normal(scale=2, size=3))


def unit(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    directions = rng.normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def covariances(cloud: GaussianCloud) -> NDArray[np.float64]:
    axes = Rotation.from_quat(np.roll(cloud.rotations.astype(float), -1, axis=1)).as_matrix()
    axes = axes * cloud.scales.astype(float)[:, None]
    return axes @ np.swapaxes(axes, 1, 2)


def colours(cloud: GaussianCloud, directions: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.stack(basis(*directions.T, cloud.harmonics.shape[2]), axis=-1)
    return np.einsum("gck,dk->gdc", cloud.harmonics.astype(float), values)


def test_basis_is_orthonormal_on_the_sphere() -> None:
    height, weight = np.polynomial.legendre.leggauss(8)
    angle = 2 * np.pi * np.arange(16) / 16
    z, phi = (grid.ravel() for grid in np.meshgrid(height, angle, indexing="ij"))
    radius = np.sqrt(1 - z**2)
    values = np.stack(basis(radius * np.cos(phi), radius * np.sin(phi), z, 16))
    area = np.repeat(weight, 16) * 2 * np.pi / 16
    np.testing.assert_allclose((values * area) @ values.T, np.eye(16), atol=1e-12)


def test_basis_is_the_textbooks_with_the_phase_of_condon_and_shortley() -> None:
    """From associated Legendre functions (scipy's have the phase), sines before cosines within a band."""
    directions = unit(np.random.default_rng(0), 50)
    x, y, z = directions.T
    azimuth = np.arctan2(y, x)
    expected = []
    for degree in range(4):
        for order in range(-degree, degree + 1):
            m = abs(order)
            norm = np.sqrt((2 * degree + 1) / (4 * np.pi) * factorial(degree - m) / factorial(degree + m))
            wave = np.sqrt(2) * (np.sin(m * azimuth) if order < 0 else np.cos(m * azimuth)) if m else 1.0
            expected.append(norm * wave * lpmv(m, degree, z))
    for count in BASES:
        np.testing.assert_allclose(basis(x, y, z, count), expected[:count], atol=1e-12)


@given(seeds, st.sampled_from(BASES))
def test_rotated_coefficients_are_the_rotated_function(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=rng).as_matrix()
    coefficients, directions = rng.normal(size=count), unit(rng, 20)
    turned = rotation_matrices(rotation, count) @ coefficients
    before = np.stack(basis(*directions.T, count), -1) @ coefficients
    after = np.stack(basis(*(directions @ rotation.T).T, count), -1) @ turned
    np.testing.assert_allclose(after, before, atol=1e-12)


@given(seeds)
def test_rotations_of_harmonics_compose_and_keep_lengths(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = Rotation.random(2, random_state=rng).as_matrix()
    np.testing.assert_allclose(
        rotation_matrices(a @ b, 16), rotation_matrices(a, 16) @ rotation_matrices(b, 16), atol=1e-12
    )
    both = rotation_matrices(np.stack([a, b]), 16)
    np.testing.assert_allclose(both @ np.swapaxes(both, 1, 2), np.tile(np.eye(16), (2, 1, 1)), atol=1e-12)


@given(seeds, st.sampled_from(BASES))
def test_a_moved_cloud_is_the_same_thing_elsewhere(seed: int, bands: int) -> None:
    rng = np.random.default_rng(seed)
    cloud, b_from_a = make(seed, bands), random_sim3(rng)
    result = moved(cloud, b_from_a)
    np.testing.assert_allclose(result.means, b_from_a.apply(cloud.means.astype(float)), rtol=1e-5, atol=1e-5)
    R = b_from_a.rotation
    np.testing.assert_allclose(
        covariances(result), b_from_a.scale**2 * R @ covariances(cloud) @ R.T, atol=1e-5 * b_from_a.scale**2
    )
    directions = unit(rng, 12)
    np.testing.assert_allclose(colours(result, directions @ R.T), colours(cloud, directions), atol=1e-5)
    np.testing.assert_array_equal(result.opacities, cloud.opacities)
    np.testing.assert_array_equal(result.view, cloud.view)


@given(seeds)
def test_moving_there_and_back_changes_nothing(seed: int) -> None:
    cloud, b_from_a = make(seed, 9), random_sim3(np.random.default_rng(seed))
    back = moved(moved(cloud, b_from_a), b_from_a.inverse())
    np.testing.assert_allclose(back.means, cloud.means, atol=1e-4)
    np.testing.assert_allclose(back.scales, cloud.scales, rtol=1e-5)
    np.testing.assert_allclose(back.harmonics, cloud.harmonics, atol=1e-5)
    sign = np.sign((back.rotations * cloud.rotations).sum(1, keepdims=True))
    np.testing.assert_allclose(sign * back.rotations, cloud.rotations, atol=1e-5)


def test_each_view_moves_on_its_own() -> None:
    rng = np.random.default_rng(3)
    cloud = make(3, 9, views=3)
    similarities = [random_sim3(rng) for _ in range(3)]
    result = moved_by_view(cloud, similarities)
    for index, similarity in enumerate(similarities):
        mine = cloud.view == index
        expected = moved(subset(cloud, mine), similarity)
        for name in ("means", "scales", "rotations", "harmonics", "view"):
            np.testing.assert_allclose(getattr(result, name)[mine], getattr(expected, name), atol=1e-5)
    with pytest.raises(IndexError):
        moved_by_view(cloud, similarities[:2])


def test_an_empty_cloud_moves_and_joins() -> None:
    empty = subset(make(0, 4), np.zeros(40, bool))
    assert len(moved(empty, Sim3.identity())) == 0 and len(moved_by_view(empty, [])) == 0
    joined = concatenate([empty, make(1, 9)])
    assert len(joined) == 40 and joined.harmonics.shape == (40, 3, 9)


def make(seed: int, bands: int, views: int = 2) -> GaussianCloud:
    rng = np.random.default_rng(seed)
    rotations = rng.normal(size=(40, 4))
    return GaussianCloud(
        rng.normal(size=(40, 3)).astype(np.float32),
        rng.uniform(0.01, 1, (40, 3)).astype(np.float32),
        (rotations / np.linalg.norm(rotations, axis=1, keepdims=True)).astype(np.float32),
        rng.normal(size=(40, 3, bands)).astype(np.float32),
        rng.uniform(0, 1, 40).astype(np.float32),
        rng.integers(0, views, 40).astype(np.int32),
    )


def test_the_published_head_turns_its_harmonics_in_the_same_basis() -> None:
    """The nine coefficients that the network's head rotates by Wigner matrices are in the basis of 3DGS."""
    golden: Any = np.load(GOLDEN)
    matrices = rotation_matrices(golden["R"].astype(float), 9)
    turned = np.einsum("bvij,bvpqcj->bvpqci", matrices, golden["sh"])
    np.testing.assert_allclose(turned, golden["out"], atol=2e-5)
