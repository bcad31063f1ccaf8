"""Which frames go into which chunk: anchored layouts, even walks, and the weights where chunks overlap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from da3_pipeline.infer.sequence.blending import view_weights
from da3_pipeline.infer.sequence.chunk_store import ChunkStore
from da3_pipeline.infer.sequence.chunks import (
    ChunkPredictor,
    ChunkTooLargeError,
    anchored_layout,
    fresh_quota,
    predict_walk,
)
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress


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


def test_a_layout_by_anchors_in_full() -> None:
    """Twelve at a time: first, middle and last as anchors, runs of nine that go on three frames before the last end."""
    chunks = anchored_layout(30, 12, 4)
    assert [(chunk.run[0], chunk.run[-1]) for chunk in chunks] == [(0, 8), (6, 14), (12, 20), (18, 26), (24, 29)]
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.views, np.unique([*chunk.run, 0, 14, 29]))
    assert [(one.run[0], one.run[-1]) for one in anchored_layout(30, 16, 2)] == [(0, 13), (12, 25), (24, 29)]
    for chunk in anchored_layout(8, 3, 2):  # no room for anchors
        np.testing.assert_array_equal(chunk.views, chunk.run)
    assert [(chunk.run[0], chunk.run[-1]) for chunk in anchored_layout(8, 3, 2)] == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert [len(chunk.views) for chunk in anchored_layout(9, 4, 8)] == [3, 4, 4, 4]


def test_a_walk_in_full() -> None:
    assert fresh_quota(100, 0, 48, 8) == 39
    assert fresh_quota(61, 8, 48, 8) == 31
    assert fresh_quota(30, 8, 48, 8) == 30
    assert fresh_quota(41, 8, 48, 8) == 21
    assert fresh_quota(40, 8, 48, 8) == 40
    assert fresh_quota(5, 2, 2, 2) == 1


def test_weights_where_chunks_overlap_in_full() -> None:
    first, second, third = view_weights([np.arange(6), np.arange(4, 8), np.arange(5, 12)])
    np.testing.assert_allclose(first, [1, 1, 1, 1, 2 / 3, 1 / 3])
    np.testing.assert_allclose(second, np.array([1 / 3, 2 / 3, 1, 1]) * [1, 3 / 4, 2 / 4, 1 / 4])
    np.testing.assert_allclose(third, [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1])


class Predicted:
    """A network that says where it was asked, and what the reader held then."""

    def __init__(self, reader: Any, most_views: int = 1000) -> None:
        self.reader = reader
        self.most_views = most_views
        self.calls: list[list[int]] = []
        self.held: list[set[int]] = []

    def __call__(self, indices: NDArray[np.int64], pixels: NDArray[np.uint8]) -> RawViews:
        if len(indices) > self.most_views:
            raise ChunkTooLargeError("memory ran out")
        self.calls.append(indices.tolist())
        self.held.append(set(self.reader.in_memory))
        poses = np.tile(np.eye(3, 4), (len(indices), 1, 1))
        return RawViews(*np.ones((2, len(indices), 4, 3), np.float32), poses, np.tile(np.eye(3), (len(indices), 1, 1)))


def test_pictures_are_read_ahead_for_the_next_chunk_and_let_go_of_behind(tmp_path: Path, numbered_reader: Any) -> None:
    reader = numbered_reader(60)
    network = Predicted(reader)
    predict = ChunkPredictor(reader, network, ChunkStore(tmp_path, "s", [str(frame) for frame in range(60)]))
    predict_walk(predict, 16, 4, SilentProgress(), "")
    for call, held, later in zip(network.calls, network.held, [*network.calls[1:], []], strict=True):
        assert set(call) | set(later) <= held
        assert len(held) <= len(call) + 12
        assert min(held) == call[0]


def test_memory_that_runs_out_halves_what_comes_after(tmp_path: Path, numbered_reader: Any) -> None:
    """Sixteen do not fit, nor do eight; four do, and share two."""
    reader = numbered_reader(40)
    network = Predicted(reader, most_views=7)
    predict = ChunkPredictor(reader, network, ChunkStore(tmp_path, "s", [str(frame) for frame in range(40)]))
    found = predict_walk(predict, 16, 4, SilentProgress(), "")
    assert [one.indices.tolist() for one in found.chunks] == network.calls
    assert network.calls == [list(range(k, k + 4)) for k in range(0, 37, 2)]
    with pytest.raises(ChunkTooLargeError):
        network.most_views = 1
        other = ChunkStore(tmp_path / "other", "s", [str(frame) for frame in range(40)])
        predict_walk(ChunkPredictor(reader, network, other), 3, 2, SilentProgress(), "")


@pytest.mark.parametrize(
    ("second", "accepted"),
    [
        (range(8, 18), True),
        (range(9, 18), True),  # shares fewer of the last ones
        (range(7, 18), False),  # one that was not carried
        (range(10, 18), False),  # shares none
        ([8, 9, *range(11, 18)], False),  # leaves one out
        ([8, 10, 11, 12], False),  # not the last ones
    ],
)
def test_a_stored_chunk_is_taken_where_it_continues_the_walk(
    tmp_path: Path, numbered_reader: Any, second: Sequence[int], accepted: bool
) -> None:
    reader = numbered_reader(18)
    network = Predicted(reader)
    store = ChunkStore(tmp_path, "s", [str(frame) for frame in range(18)])
    for order, frames in enumerate((range(10), second)):
        store.keep(f"chunk-{order:05d}", np.array(frames), network(np.array(frames), np.zeros(0, np.uint8)))
    network.calls.clear()
    found = predict_walk(ChunkPredictor(reader, network, store), 10, 2, SilentProgress(), "")
    assert (found.chunks[1].indices.tolist() == list(second)) is accepted
    assert [call for call in network.calls if call[0] <= 10] == ([] if accepted else [list(range(8, 18))])
    assert found.chunks[-1].indices[-1] == 17
