"""Descriptor matching against a plain reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from da3_pipeline.refine.matching import descriptors
from da3_pipeline.refine.matching.descriptors import match_descriptors, matching_device
from da3_pipeline.refine.matching.features import DESCRIPTOR_NORM, Features
from da3_pipeline.refine.matching.guided import Near

CPU = torch.device("cpu")


def described(count: int, seed: int) -> Features:
    vectors = np.random.default_rng(seed).exponential(size=(count, 128))
    return of(np.rint(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) * DESCRIPTOR_NORM).astype(np.uint8))


def of(descriptors: NDArray[np.uint8]) -> Features:
    return Features(np.zeros((len(descriptors), 2), np.float32), np.ones(len(descriptors), np.float32), descriptors)


def blurred(features: Features, spread: int, seed: int) -> Features:
    noise = np.random.default_rng(seed).integers(-spread, spread + 1, features.descriptors.shape)
    return of(np.clip(features.descriptors.astype(int) + noise, 0, 255).astype(np.uint8))


def reference(a: Features, b: Features, ratio: float) -> list[tuple[int, int]]:
    """Nearest neighbour one row at a time."""
    similarity = a.descriptors.astype(int) @ b.descriptors.astype(int).T
    found = []
    for i, row in enumerate(similarity):
        second, best = np.sort(row)[-2:]
        j = int(row.argmax())
        near, far = (max(2 * (DESCRIPTOR_NORM**2 - value), 0) for value in (best, second))
        if near < ratio**2 * far and similarity[:, j].argmax() == i:
            found.append((i, j))
    return found


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(2, 60), st.integers(0, 1000), st.sampled_from([0.7, 0.88, 1.0]))
def test_agrees_with_the_plain_reference(count_a: int, count_b: int, seed: int, ratio: float) -> None:
    a = described(count_a, seed)
    b = blurred(of(np.concatenate([a.descriptors, described(count_b, seed + 1).descriptors])[:count_b]), 20, seed)
    found = match_descriptors(a, b, ratio, CPU)
    assert [tuple(match) for match in found.tolist()] == reference(a, b, ratio)


def test_a_permutation_is_found_again() -> None:
    a = described(300, 0)
    order = np.random.default_rng(1).permutation(300)
    found = match_descriptors(a, of(blurred(a, 4, 2).descriptors[order]), 0.88, CPU)
    assert len(found) == 300
    np.testing.assert_array_equal(order[found[:, 1]], found[:, 0])


def test_repeated_descriptors_are_ambiguous() -> None:
    a = described(20, 3)
    twice = of(np.concatenate([a.descriptors, a.descriptors]))
    assert len(match_descriptors(a, twice, 0.95, CPU)) == 0


def test_equal_rows_share_no_column() -> None:
    a = described(20, 4)
    found = match_descriptors(of(np.concatenate([a.descriptors, a.descriptors])), a, 0.88, CPU)
    assert len(np.unique(found[:, 1])) == len(found) == 20


@pytest.mark.parametrize(("count_a", "count_b"), [(0, 0), (0, 5), (5, 0), (5, 1)])
def test_too_few_to_compare(count_a: int, count_b: int) -> None:
    found = match_descriptors(described(count_a, 5), described(count_b, 6), 0.9, CPU)
    assert found.shape == (0, 2)


def test_chunks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    a = described(200, 7)
    b = blurred(a, 30, 8)
    whole = match_descriptors(a, b, 0.9, CPU)
    monkeypatch.setattr(descriptors, "_CHUNK_ROWS", 33)
    np.testing.assert_array_equal(match_descriptors(a, b, 0.9, CPU), whole)
    assert len(whole) > 100


@pytest.mark.gpu
def test_the_gpu_gives_the_same_matches() -> None:
    a = described(3000, 9)
    b = blurred(a, 40, 10)
    on_gpu = match_descriptors(a, b, 0.88, matching_device("cuda"))
    np.testing.assert_array_equal(on_gpu, match_descriptors(a, b, 0.88, CPU))


def test_of_equal_partners_the_one_that_is_near_is_taken() -> None:
    """Every descriptor twice, a hundred pixels apart: without knowing where to look there is no telling."""
    a = described(20, 11)
    twice = of(np.concatenate([a.descriptors, a.descriptors]))
    places = np.column_stack([20.0 * np.arange(20), np.zeros(20)])
    copies = places + np.array([0.0, 100.0])
    b = Features(np.concatenate([places, copies]).astype(np.float32), twice.scale_px, twice.descriptors)
    assert len(match_descriptors(a, b, 0.9, CPU)) == 0
    expected = copies + np.array([3.0, 4.0])
    expected[7] = np.nan
    for radius_px, found in ((5.1, [k for k in range(20) if k != 7]), (4.9, [])):
        matches = match_descriptors(a, b, 0.9, CPU, Near(expected, radius_px))
        assert matches.tolist() == [[k, 20 + k] for k in found]


class OnGpu(torch.Tensor):
    """Says that it is on one."""

    is_cuda = True  # type: ignore[assignment]


def test_what_a_gpu_is_asked_for_is_the_same() -> None:
    similarity = torch.from_numpy(np.random.default_rng(13).permutation(48).reshape(6, 8).astype(np.float32))
    there = descriptors._best_two(similarity.clone().as_subclass(OnGpu))
    here = descriptors._best_two(similarity.clone())
    for gpu, cpu in zip(there, here, strict=True):
        np.testing.assert_array_equal(np.asarray(gpu), cpu)
    np.testing.assert_array_equal(here[3], similarity.numpy().max(axis=0))
