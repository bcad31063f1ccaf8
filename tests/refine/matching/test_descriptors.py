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
