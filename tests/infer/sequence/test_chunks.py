"""Which frames go into which chunk: anchored layouts, even walks, and the weights where chunks overlap."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.infer.sequence.blending import view_weights
from da3_pipeline.infer.sequence.chunks import anchored_layout, fresh_quota


@given(count=st.integers(1, 400), size=st.integers(2, 100), overlap=st.integers(2, 20))
def test_every_frame_is_in_a_run_and_every_chunk_is_tied_to_the_earlier_ones(
    count: int, size: int, overlap: int
) -> None:
    chunks = anchored_layout(count, size, overlap)
    np.testing.assert_array_equal(np.unique(np.concatenate([chunk.run for chunk in chunks])), np.arange(count))
    seen: set[int] = set()
    for chunk in chunks:
        views = set(chunk.views.tolist())
        assert len(views) == len(chunk.views) <= size
        assert views >= set(chunk.run.tolist())
        assert not seen or views & seen
        seen |= views


def test_frames_that_fit_are_one_chunk() -> None:
    (chunk,) = anchored_layout(10, 10, 4)
    np.testing.assert_array_equal(chunk.views, np.arange(10))


def test_captures_by_anchors_share_anchors_and_overlap() -> None:
    chunks = anchored_layout(300, 60, 8)
    anchors = set.intersection(*(set(chunk.views.tolist()) for chunk in chunks))
    assert {0, 299} <= anchors
    assert len(anchors) >= 8
    for before, after in itertools.pairwise(chunks):
        assert len(set(before.views.tolist()) & set(after.views.tolist()) - anchors) >= 6


@given(count=st.integers(1, 3000), size=st.integers(2, 120), overlap=st.integers(2, 60))
def test_a_walk_takes_every_frame_in_chunks_of_even_length(count: int, size: int, overlap: int) -> None:
    shared = min(overlap, max(1, size // 2))
    lengths, remaining, carried = [], count, 0
    while remaining:
        fresh = fresh_quota(remaining, carried, size, shared)
        assert 1 <= fresh <= remaining
        assert fresh + carried <= size
        lengths.append(fresh + carried)
        remaining -= fresh
        carried = min(shared, lengths[-1])
    assert max(lengths) - min(lengths) <= max(1, len(lengths))  # no stump is left over
    assert len(lengths) == 1 or len(lengths) <= 1 + -(-(count - size) // (size - shared))


@given(count=st.integers(2, 400), size=st.integers(4, 60), overlap=st.integers(2, 20))
def test_weights_of_a_frame_add_up_to_one_and_fall_to_the_ends_of_a_chunk(count: int, size: int, overlap: int) -> None:
    shared = min(overlap, size // 2)
    starts = range(0, max(1, count - shared), size - shared)
    runs = [np.arange(start, min(start + size, count)) for start in starts]
    total = np.zeros(count)
    for run, weight in zip(runs, view_weights(runs), strict=True):
        assert (weight > 0).all()
        assert (weight <= 1).all()
        total[run] += weight
    np.testing.assert_allclose(total, 1)
    if len(runs) > 2 and shared > 1:
        weight = view_weights(runs)[1]
        assert weight[0] < weight[1]
        assert weight[-1] < weight[-2]
