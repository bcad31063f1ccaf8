"""Captures in chunks that each come out in a world of their own: one world, bounded memory, resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, nearest_rotation, rotation_angle_deg
from da3_pipeline.geometry.robust_alignment import robust_alignment
from da3_pipeline.infer.config import SequenceConfig
from da3_pipeline.infer.sequence.chunk_store import ChunkStore
from da3_pipeline.infer.sequence.chunks import ChunkTooLargeError, anchored_layout
from da3_pipeline.infer.sequence.run import PredictedSequence, SequencePlan, predict_sequence
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress

Views = Callable[..., RawViews]
Index = NDArray[np.int64]


class TruthInChunks:
    """What a perfect network would say, every chunk in a world of its own."""

    def __init__(self, truth: RawViews, most_views: int = 10_000) -> None:
        self.truth = truth
        self.most_views = most_views
        self.calls: list[Index] = []

    def __call__(self, indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        np.testing.assert_array_equal(pixels[:, 0, 0, 0], indices % 256)
        if len(indices) > self.most_views:
            raise ChunkTooLargeError("memory ran out")
        self.calls.append(indices)
        return self.truth.subset(indices).moved(random_sim3(np.random.default_rng(indices)))


def random_sim3(rng: np.random.Generator) -> Sim3:
    scale = float(np.exp(rng.normal(scale=0.7)))
    return Sim3(scale, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(scale=3.0, size=3))


def predict(
    folder: Path,
    reader: Any,
    predict_chunk: Any,
    size: int,
    overlap: int = 4,
    *,
    walked: bool = True,
    known: Any = None,
    tied: bool = False,
) -> PredictedSequence:
    store = ChunkStore(folder, "settings", [str(frame) for frame in range(len(reader))])
    plan = SequencePlan(size, overlap, SequenceConfig(anchored_up_to=0 if walked else 200), tied)
    return predict_sequence(reader, predict_chunk, store, plan, SilentProgress(), known)


def merged(result: PredictedSequence) -> RawViews:
    assert result.merged is not None
    return result.merged.views


def assert_same_world(views: RawViews, truth: RawViews, tolerance: float = 1e-5) -> None:
    """Equal but for one common similarity, which the first camera and the depth decide."""
    growth = float(np.median(truth.depth[0] / views.depth[0]))
    moved = views.moved(robust_alignment(views.cam_from_world[:1], truth.cam_from_world[:1], growth))
    np.testing.assert_allclose(moved.cam_from_world, truth.cam_from_world, atol=tolerance)
    np.testing.assert_allclose(moved.depth, truth.depth, rtol=1e-4)


@pytest.fixture(params=[False, True], ids=["anchored", "walked"])
def walked(request: pytest.FixtureRequest) -> bool:
    """Both layouts."""
    return bool(request.param)


@pytest.mark.parametrize(("count", "size"), [(20, 20), (21, 20), (19, 20), (20, 7), (50, 12), (9, 2), (7, 3), (1, 5)])
def test_chunks_in_arbitrary_worlds_become_one(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool, count: int, size: int
) -> None:
    truth = walk_views(count)
    network = TruthInChunks(truth)
    result = predict(tmp_path, numbered_reader(count), network, size, walked=walked)
    assert_same_world(merged(result), truth)
    np.testing.assert_allclose(merged(result).conf, truth.conf, rtol=1e-5)
    np.testing.assert_allclose(merged(result).intrinsics, truth.intrinsics)
    assert all(len(indices) <= size for indices in network.calls)
    assert result.chunks == len(network.calls)
    assert result.unreadable == {}


def test_a_long_walk_holds_two_chunks_of_pictures_and_decodes_each_once(
    walk_views: Views, numbered_reader: Any, tmp_path: Path
) -> None:
    truth, reader = walk_views(400), numbered_reader(400)
    result = predict(tmp_path, reader, TruthInChunks(truth), size=24, overlap=6)
    assert_same_world(merged(result), truth, tolerance=1e-4)
    assert reader.most_in_memory <= 2 * 24
    assert sorted(reader.read) == list(range(400))
    assert isinstance(merged(result).depth, np.memmap)


def test_chunks_that_share_a_world_are_put_together_where_they_are(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool
) -> None:
    truth = walk_views(30)
    result = predict(
        tmp_path, numbered_reader(30), lambda indices, _: truth.subset(indices), 9, tied=True, walked=walked
    )
    np.testing.assert_allclose(merged(result).cam_from_world, truth.cam_from_world, atol=1e-12)
    np.testing.assert_allclose(merged(result).depth, truth.depth, rtol=1e-6)
    assert (result.tried, result.loops) == (0, 0)


def test_some_known_poses_tie_every_chunk_and_are_kept(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool
) -> None:
    truth = walk_views(60)
    in_metres = random_sim3(np.random.default_rng(8))
    given = in_metres.apply_to_cameras(truth.cam_from_world)
    known = {frame: given[frame] for frame in (3, 17, 30, 58)}
    result = predict(tmp_path, numbered_reader(60), TruthInChunks(truth), 16, known=known, walked=walked)
    for frame, pose in known.items():
        np.testing.assert_array_equal(merged(result).cam_from_world[frame], pose)
    np.testing.assert_allclose(merged(result).cam_from_world, given, atol=1e-4)
    np.testing.assert_allclose(merged(result).depth, in_metres.scale * truth.depth, rtol=1e-4)


def test_one_misplaced_frame_in_an_overlap_does_not_bend_the_rest(
    true_views: Views, numbered_reader: Any, random_poses: Any, tmp_path: Path, walked: bool
) -> None:
    truth = true_views(40)
    rng, wild = np.random.default_rng(4), random_poses(40, seed=9, spread=50.0)

    def one_astray(indices: Index, _: Any) -> RawViews:
        views = truth.subset(indices)
        poses, depth = views.cam_from_world.copy(), views.depth.copy()
        stray = len(indices) // 2
        poses[stray], depth[stray] = wild[indices[stray]], 7 * depth[stray]
        return replace(views, cam_from_world=poses, depth=depth).moved(random_sim3(rng))

    result = predict(tmp_path, numbered_reader(40), one_astray, 16, walked=walked)
    found = merged(result)
    moved = found.moved(robust_alignment(found.cam_from_world, truth.cam_from_world))
    right = rotation_angle_deg(moved.cam_from_world[:, :, :3], truth.cam_from_world[:, :, :3]) < 0.1
    assert right.sum() >= 40 - 2 * result.chunks


def test_a_frame_that_fails_in_every_chunk_is_left_out(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool
) -> None:
    truth = walk_views(20)

    def one_fails(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        views = TruthInChunks(truth)(indices, pixels)
        return replace(views, depth=np.where((indices == 5)[:, None, None], np.nan, views.depth))

    result = predict(tmp_path, numbered_reader(20), one_fails, 8, walked=walked)
    assert result.merged is not None
    np.testing.assert_array_equal(result.merged.kept, [frame for frame in range(20) if frame != 5])
    assert_same_world(merged(result), truth.subset(result.merged.kept))


def test_a_frame_that_fails_in_one_chunk_comes_from_the_other(
    walk_views: Views, numbered_reader: Any, tmp_path: Path
) -> None:
    truth = walk_views(20)

    def fails_at_first(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        views = TruthInChunks(truth)(indices, pixels)
        shared = (indices == 10)[:, None, None] & (indices[0] == 0)
        return replace(views, depth=np.where(shared, np.nan, views.depth))

    result = predict(tmp_path, numbered_reader(20), fails_at_first, 12)
    assert_same_world(merged(result), truth)


@pytest.mark.parametrize("unreadable", [[0], [19], range(0, 9), range(6, 17), range(12, 20), [3, 4, 11]])
def test_unreadable_frames_are_named_and_the_rest_hangs_together(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool, unreadable: Sequence[int]
) -> None:
    truth = walk_views(20)
    result = predict(tmp_path, numbered_reader(20, unreadable), TruthInChunks(truth), 8, walked=walked)
    assert result.merged is not None
    np.testing.assert_array_equal(result.merged.kept, [frame for frame in range(20) if frame not in unreadable])
    assert set(result.unreadable) == set(unreadable)
    assert_same_world(merged(result), truth.subset(result.merged.kept))


def test_nothing_readable_is_an_empty_result(numbered_reader: Any, tmp_path: Path, walked: bool) -> None:
    result = predict(tmp_path, numbered_reader(9, range(9)), None, 4, walked=walked)
    assert result.merged is None
    assert len(result.unreadable) == 9


@pytest.mark.parametrize("interrupted_after", [1, 3, 5])
def test_an_interrupted_run_does_only_what_is_missing_and_comes_to_the_same(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, interrupted_after: int
) -> None:
    truth = walk_views(60)
    whole = predict(tmp_path / "whole", numbered_reader(60, [13]), TruthInChunks(truth), 14)
    first = TruthInChunks(truth)

    def until_killed(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        if len(first.calls) == interrupted_after:
            raise KeyboardInterrupt
        return first(indices, pixels)

    with pytest.raises(KeyboardInterrupt):
        predict(tmp_path / "cut", numbered_reader(60, [13]), until_killed, 14)
    second, reader = TruthInChunks(truth), numbered_reader(60, [13])
    resumed = predict(tmp_path / "cut", reader, second, 14)
    assert len(second.calls) == whole.chunks - interrupted_after
    assert min(reader.read) >= first.calls[-1][-1] - 4
    for name, array in merged(whole).arrays().items():
        np.testing.assert_array_equal(array, merged(resumed).arrays()[name])
    assert resumed.unreadable == whole.unreadable


def test_chunks_of_other_settings_or_other_photographs_are_not_taken(
    walk_views: Views, numbered_reader: Any, tmp_path: Path
) -> None:
    truth = walk_views(30)
    predict(tmp_path, numbered_reader(30), TruthInChunks(truth), 14)
    network, reader = TruthInChunks(truth), numbered_reader(30)
    fingerprints = [str(frame) for frame in range(30)]
    fingerprints[20] = "replaced"
    plan = SequencePlan(14, 4, SequenceConfig(anchored_up_to=0))
    predict_sequence(reader, network, ChunkStore(tmp_path, "settings", fingerprints), plan, SilentProgress())
    assert network.calls
    assert all(20 in indices for indices in network.calls)
    other = TruthInChunks(truth)
    predict_sequence(reader, other, ChunkStore(tmp_path, "others", fingerprints), plan, SilentProgress())
    assert len(other.calls) > len(network.calls)


def test_a_chunk_that_does_not_fit_is_halved_and_finished_ones_stay(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, walked: bool
) -> None:
    truth = walk_views(50)
    network = TruthInChunks(truth, most_views=9)
    result = predict(tmp_path, numbered_reader(50), network, 32, walked=walked)
    assert_same_world(merged(result), truth, tolerance=1e-4)
    assert max(len(indices) for indices in network.calls) <= 9
    network.most_views = 1
    with pytest.raises(ChunkTooLargeError):
        predict(tmp_path / "hopeless", numbered_reader(50), network, 32, walked=walked)


def test_memory_that_runs_out_midway_costs_no_finished_chunk(
    walk_views: Views, numbered_reader: Any, tmp_path: Path
) -> None:
    truth = walk_views(60)
    network = TruthInChunks(truth)

    def shrinking(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        network.most_views = 16 if len(network.calls) < 2 else 8
        return network(indices, pixels)

    result = predict(tmp_path, numbered_reader(60), shrinking, 16)
    assert_same_world(merged(result), truth, tolerance=1e-4)
    assert [len(indices) for indices in network.calls[:2]] == [15, 15] or len(network.calls[0]) > 8
    starts = [indices[0] for indices in network.calls]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize(
    ("count", "up_to", "anchored"), [(15, 20, True), (20, 20, True), (21, 20, False), (9, 0, False)]
)
def test_few_frames_hang_on_anchors_and_more_are_walked_through(
    walk_views: Views, numbered_reader: Any, tmp_path: Path, count: int, up_to: int, anchored: bool
) -> None:
    """Anchors: the first and the last frame are in every chunk."""
    network = TruthInChunks(walk_views(count))
    store = ChunkStore(tmp_path, "settings", [str(frame) for frame in range(count)])
    plan = SequencePlan(8, 4, SequenceConfig(anchored_up_to=up_to))
    predict_sequence(numbered_reader(count), network, store, plan, SilentProgress())
    assert len(network.calls) > 1
    assert all({0, count - 1} <= set(indices.tolist()) for indices in network.calls) is anchored


def test_what_is_seen_of_anchors_far_from_their_run_is_not_blended(
    walk_views: Views, numbered_reader: Any, tmp_path: Path
) -> None:
    truth = walk_views(30)
    runs = {tuple(chunk.views): chunk.run for chunk in anchored_layout(30, 12, 4)}

    def anchors_seen_deeper(indices: Index, _: Any) -> RawViews:
        views = truth.subset(indices)
        views.depth[~np.isin(indices, runs[tuple(indices)])] *= 1.05
        return views

    result = predict(tmp_path, numbered_reader(30), anchors_seen_deeper, 12, tied=True, walked=False)
    np.testing.assert_allclose(merged(result).depth, truth.depth, rtol=1e-6)
