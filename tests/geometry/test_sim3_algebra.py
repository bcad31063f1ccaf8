"""Exponential and logarithm of similarities against the matrix exponential, and as each other's inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from da3_pipeline.geometry import (
    Sim3,
    inverse_right_jacobian,
    invert_sim3,
    nearest_rotation,
    sim3_adjoint,
    sim3_exp,
    sim3_log,
    sim3_matrix,
    sim3_of,
)

finite = st.floats(-1.7, 1.7, allow_nan=False)  # three of them: an angle below pi
tangents = st.lists(finite, min_size=7, max_size=7).map(np.array)
small = st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 1e-4, 1.0])


def generator(tangent: np.ndarray) -> np.ndarray:
    (x, y, z), (a, b, c), scale = tangent[:3], tangent[3:6], tangent[6]
    return np.array([[scale, -c, b, x], [c, scale, -a, y], [-b, a, scale, z], [0, 0, 0, 0.0]])


@settings(deadline=None, max_examples=200)
@given(tangents, small, small)
def test_exponential_is_that_of_the_generator_whatever_is_small(tangent, turn, growth) -> None:
    tangent = tangent * np.array([1, 1, 1, turn, turn, turn, growth])
    np.testing.assert_allclose(sim3_exp(tangent), expm(generator(tangent)), atol=1e-11)


@settings(deadline=None, max_examples=200)
@given(tangents, small, small)
def test_logarithm_undoes_the_exponential(tangent, turn, growth) -> None:
    tangent = tangent * np.array([1, 1, 1, turn, turn, turn, growth])
    np.testing.assert_allclose(sim3_log(sim3_exp(tangent)), tangent, atol=1e-9)


def test_half_turns_have_a_logarithm() -> None:
    for axis in np.eye(3):
        tangent = np.concatenate([[1.0, -2.0, 3.0], np.pi * axis, [0.3]])
        matrix = sim3_exp(tangent)
        np.testing.assert_allclose(sim3_exp(sim3_log(matrix)), matrix, atol=1e-9)


def test_stacks_are_treated_one_by_one() -> None:
    stack = np.random.default_rng(0).normal(size=(4, 5, 7))
    together = sim3_exp(stack)
    assert together.shape == (4, 5, 4, 4)
    np.testing.assert_allclose(together[2, 3], sim3_exp(stack[2, 3]), atol=1e-13)
    np.testing.assert_allclose(sim3_log(together)[2, 3], sim3_log(together[2, 3]), atol=1e-13)


def test_matrices_are_the_dataclass() -> None:
    rng = np.random.default_rng(1)
    transform = Sim3(2.5, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))
    points = rng.normal(size=(6, 3))
    matrix = sim3_matrix(transform)
    np.testing.assert_allclose(points @ matrix[:3, :3].T + matrix[:3, 3], transform.apply(points), atol=1e-12)
    back = sim3_of(matrix)
    assert back.scale == pytest.approx(2.5)
    np.testing.assert_allclose(back.apply(points), transform.apply(points), atol=1e-12)
    np.testing.assert_allclose(invert_sim3(np.stack([matrix]))[0] @ matrix, np.eye(4), atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(tangents, tangents)
def test_adjoint_carries_a_tangent_to_the_other_side(place, tangent) -> None:
    matrix = sim3_exp(place)
    np.testing.assert_allclose(
        matrix @ sim3_exp(tangent), sim3_exp(sim3_adjoint(matrix) @ tangent) @ matrix, atol=1e-8 * np.exp(6)
    )


@settings(deadline=None, max_examples=50)
@given(tangents)
def test_right_jacobian_is_the_derivative_of_the_logarithm(tangent) -> None:
    tangent = 0.5 * tangent
    steps = 1e-6 * np.eye(7)
    matrix = sim3_exp(tangent)
    numeric = (sim3_log(matrix @ sim3_exp(steps)) - sim3_log(matrix @ sim3_exp(-steps))).T / 2e-6
    np.testing.assert_allclose(inverse_right_jacobian(tangent), numeric, atol=1e-5)
