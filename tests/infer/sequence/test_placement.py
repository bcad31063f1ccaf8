"""Chunks cut into segments, tied by what they share, bent as little as loops ask for, and put into one world."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, compose, invert_sim3, nearest_rotation, sim3_exp, sim3_log, sim3_matrix
from da3_pipeline.infer.config import PlacementConfig, SequenceConfig, Spread
from da3_pipeline.infer.sequence.chunk_alignment import information_at
from da3_pipeline.infer.sequence.chunk_store import ChunkStore, StoredChunk
from da3_pipeline.infer.sequence.placement import Segments, cut_into_segments, overlap_edges, place
from da3_pipeline.infer.sequence.pose_graph import Edge
from da3_pipeline.infer.views import RawViews

Array = NDArray[np.float64]
Store = Callable[[Sequence[int], RawViews], StoredChunk]
CONFIG = SequenceConfig()
HEIGHT, WIDTH = 8, 6  # portrait


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = ChunkStore(tmp_path, "settings", [str(frame) for frame in range(500)])
    return lambda indices, views: kept.keep(f"chunk-{indices[0]}-{len(indices)}", np.array(indices), views)


def walk(count: int, seed: int = 0) -> RawViews:
    """Along a curve, with two cameras in turn; the depth of frame k is about 2 + k / 10."""
    rng = np.random.default_rng(seed)
    tangents = np.zeros((count, 7))
    tangents[:, 0], tangents[:, 4] = 0.3, 0.03 * np.sin(np.arange(count) / 5)
    poses = [np.eye(4)]
    for step in sim3_exp(tangents)[1:]:
        poses.append(step @ poses[-1])
    base = 2 + np.arange(count)[:, None, None] / 10
    depth = (base * np.exp(rng.normal(0, 0.2, (count, HEIGHT, WIDTH)))).astype(np.float32)
    cameras = np.array([[[7.0, 0, 3.1], [0, 7.5, 4.2], [0, 0, 1]], [[9.0, 0, 2.7], [0, 8.5, 3.6], [0, 0, 1]]])
    matrices = cameras[np.arange(count) % 2]
    return RawViews(depth, np.ones_like(depth), np.stack(poses)[:, :3], matrices)


def world(seed: int) -> Sim3:
    rng = np.random.default_rng(seed)
    return Sim3(float(np.exp(rng.normal(scale=0.5))), nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3))


def without(views: RawViews, lost: Sequence[int]) -> RawViews:
    poses = views.cam_from_world.copy()
    poses[list(lost)] = np.nan
    return RawViews(**{**views.arrays(), "cam_from_world": poses})


def test_chunks_are_cut_into_segments_of_about_a_dozen_views(store: Store) -> None:
    chunks = [store(range(10 * k, 10 * k + n), walk(n)) for k, n in enumerate((5, 18, 30, 31))]
    segments = cut_into_segments(chunks, True, PlacementConfig(segment_views=12))
    np.testing.assert_array_equal(segments.first, [0, 1, 3, 5])
    assert segments.count == 8
    np.testing.assert_allclose(segments.middles[0], [2])
    np.testing.assert_allclose(segments.middles[1], [4, 13])
    np.testing.assert_allclose(segments.middles[3], [14 / 3, 15, 76 / 3])
    assert [segments.node(1, where) for where in (0, 8.4, 8.6, 17)] == [1, 1, 2, 2]
    assert [segments.node(3, where) for where in (9, 10, 20, 21)] == [5, 6, 6, 7]
    whole = cut_into_segments(chunks, False, PlacementConfig(segment_views=12))
    np.testing.assert_array_equal(whole.first, [0, 1, 2, 3])
    assert whole.count == 4
    assert whole.node(3, 30) == 3


def test_views_change_over_steadily_from_one_segments_middle_to_the_next(store: Store) -> None:
    segments = cut_into_segments([store(range(3), walk(3)), store(range(30), walk(30))], True, PlacementConfig())
    np.testing.assert_allclose(segments.middles[1], [7, 22])
    rng = np.random.default_rng(1)
    nodes = sim3_exp(rng.normal(0, 0.4, (3, 7)))
    few, many = segments.by_view(nodes)
    np.testing.assert_allclose(few, np.tile(nodes[0], (3, 1, 1)))
    np.testing.assert_allclose(many[:8], np.tile(nodes[1], (8, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(many[22:], np.tile(nodes[2], (8, 1, 1)), atol=1e-12)
    step = sim3_log(invert_sim3(nodes[1]) @ nodes[2])
    for view in range(7, 23):
        np.testing.assert_allclose(many[view], nodes[1] @ sim3_exp((view - 7) / 15 * step), atol=1e-12)


def test_segments_of_a_chunk_are_tied_as_firmly_as_a_camera_between_them_is_known(store: Store) -> None:
    views = walk(36)
    chunk = store(range(36), without(views, [11, 12]))
    bend = Spread(rotation_deg=2.0, centre=0.05, log_scale=0.1)
    segments = cut_into_segments([store(range(100, 104), walk(4)), chunk], True, PlacementConfig())
    first, second = segments.edges(bend, 3.0)
    assert [(edge.first, edge.second, edge.closes_loop) for edge in (first, second)] == [(1, 2, False), (2, 3, False)]
    np.testing.assert_array_equal(first.first_from_second, np.eye(4))
    for edge, view in ((first, 13), (second, 24)):  # halfway between 5.5, 17.5 and 29.5, or next to it
        depth = float(np.median(views.depth[view]))
        expected = information_at(views.cam_from_world[view], depth, bend) / 9
        np.testing.assert_allclose(edge.information, expected, rtol=1e-9)
    for k, unknown in enumerate([np.nan, np.inf, -1.0, 0.0]):  # more than half of each map
        near = walk(24)
        near.depth[:], near.depth[:, :6], near.depth[:, 0, 0] = 0.4, unknown, 9.0
        first_frame = 300 + 30 * k
        (close,) = cut_into_segments(
            [store(range(first_frame, first_frame + 24), near)], True, PlacementConfig()
        ).edges(bend, 1.0)
        expected = information_at(near.cam_from_world[12], 0.4, bend)
        np.testing.assert_allclose(close.information, expected, rtol=1e-6, atol=1e-6)
    blind = cut_into_segments([store(range(200, 224), without(walk(24), range(24)))], True, PlacementConfig())
    (only,) = blind.edges(bend, 1.0)
    np.testing.assert_allclose(only.information, information_at(np.eye(3, 4), 1.0, bend))


def overlapping(store: Store, truth: RawViews, ranges: Sequence[Sequence[int]]) -> tuple[Segments, Array]:
    """Chunks over ranges of frames, each in a world of its own, and (C, 4, 4) those worlds."""
    worlds = [world(seed) for seed in range(len(ranges))]
    chunks = [store(list(one), truth.subset(list(one)).moved(into)) for one, into in zip(ranges, worlds, strict=True)]
    return cut_into_segments(chunks, True, CONFIG.placement), np.stack([sim3_matrix(one) for one in worlds])


def test_chunks_are_tied_by_every_frame_they_share(store: Store) -> None:
    segments, worlds = overlapping(store, walk(60), [range(30), range(24, 50), [*range(3), *range(44, 60)]])
    edges = overlap_edges(segments, CONFIG)
    assert [(edge.first, edge.second) for edge in edges] == [(1, 2), (0, 4), (3, 4)]
    for edge, (one, other) in zip(edges, ((0, 1), (0, 2), (1, 2)), strict=True):
        np.testing.assert_allclose(edge.first_from_second, worlds[one] @ invert_sim3(worlds[other]), atol=1e-4)
        assert not edge.closes_loop
        assert np.linalg.eigvalsh(edge.information)[0] > 0


def test_of_many_chunks_neighbours_are_compared_and_all_with_the_first(store: Store) -> None:
    """All five share frames 0 and 1."""
    segments, _ = overlapping(store, walk(70), [[0, 1, *range(10 * k, 10 * k + 12)] for k in range(1, 6)])
    few = overlap_edges(segments, CONFIG)
    assert len(few) == 10
    limited = CONFIG.model_copy(update={"placement": PlacementConfig(all_pairs_up_to=4)})
    assert [(edge.first, edge.second) for edge in overlap_edges(segments, limited)] == [
        (0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4),
    ]  # fmt: skip
    assert (
        len(overlap_edges(segments, CONFIG.model_copy(update={"placement": PlacementConfig(all_pairs_up_to=5)}))) == 10
    )


def test_of_a_long_overlap_some_frames_are_read(store: Store) -> None:
    """Of the frames 16 to 21, which are usable in both, 16, 18 and 21 are read: the others are astray."""
    truth, again = walk(30), walk(30)
    again.cam_from_world[15] = np.nan
    for frame, turn_deg in ((17, 3.0), (19, -3.0), (20, 3.0)):
        turn = sim3_exp(np.array([0, 0, 0, 0, np.radians(turn_deg), 0, 0]))[:3]
        again.cam_from_world[frame] = compose(turn, again.cam_from_world[frame])
    chunks = [
        store(range(22), without(truth.subset(range(22)), [14])),
        store(range(14, 30), again.subset(range(14, 30))),
    ]
    segments = cut_into_segments(chunks, True, CONFIG.placement)
    edges = {}
    for most in (3, 6):
        limits = PlacementConfig(most_shared=most)
        (edges[most],) = overlap_edges(segments, CONFIG.model_copy(update={"placement": limits}))
    np.testing.assert_allclose(edges[3].first_from_second, np.eye(4), atol=1e-6)
    surer = [float(np.linalg.slogdet(edges[most].information)[1]) for most in (3, 6)]
    assert surer[0] > surer[1] + 1


def test_a_gap_is_named(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    segments, _ = overlapping(store, walk(60), [range(20), range(30, 50), [0, *range(50, 60)]])
    with caplog.at_level(logging.WARNING):
        edges = overlap_edges(segments, CONFIG)
    assert len(edges) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "nothing ties frame 30 to the frames before it",
        "nothing ties frame 0 to the frames before it",
    ]


def placed_cameras(segments: Segments, placed: Sequence[Array]) -> dict[int, Array]:
    """(3, 4) by frame, of the last chunk that has it."""
    found = {}
    for chunk, transforms in zip(segments.chunks, placed, strict=True):
        for frame, pose, transform in zip(chunk.indices, chunk.small["cam_from_world"], transforms, strict=True):
            scale = float(np.cbrt(np.linalg.det(transform[:3, :3])))
            world_from_view = Sim3(scale, transform[:3, :3] / scale, transform[:3, 3])
            found[int(frame)] = world_from_view.apply_to_cameras(pose[None])[0]
    return found


def test_the_first_chunk_is_the_world_unless_poses_are_known(store: Store) -> None:
    truth = walk(60)
    segments, worlds = overlapping(store, truth, [range(30), range(24, 50), range(44, 60)])
    edges = overlap_edges(segments, CONFIG)
    free = place(segments, edges, {}, CONFIG)
    np.testing.assert_allclose(free.placed[0][0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(free.placed[2][-1], worlds[0] @ invert_sim3(worlds[2]), atol=1e-3)
    given = world(77).apply_to_cameras(truth.cam_from_world)
    known = {frame: given[frame] for frame in (2, 11, 20, 40)}
    tied = placed_cameras(segments, place(segments, edges, known, CONFIG).placed)
    np.testing.assert_allclose(np.stack([tied[frame] for frame in range(60)]), given, atol=2e-3)
    lost = {200: np.eye(3, 4)}  # of no frame: nothing is tied
    np.testing.assert_allclose(place(segments, edges, lost, CONFIG).placed[0][0], np.eye(4), atol=1e-12)


def bent(store: Store, turn_deg: float, sigma_deg: float) -> tuple[Segments, list[Edge]]:
    """One chunk of five segments that turns too far by so much from segment to segment, and loops that say so."""
    segments = cut_into_segments([store(range(60), walk(60))], True, PlacementConfig())
    step = sim3_exp(np.array([0, 0, 0, 0, np.radians(turn_deg), 0, 0]))
    information = information_at(
        np.eye(3, 4), 3.0, Spread(rotation_deg=sigma_deg, centre=0.05 * sigma_deg, log_scale=0.05)
    )
    pairs = ((0, 3), (1, 4), (0, 4))
    return segments, [
        Edge(first, second, np.linalg.matrix_power(step, second - first), information, closes_loop=True)
        for first, second in pairs
    ]


@pytest.mark.parametrize(("turn_deg", "least"), [(1.0, 1), (4.0, 2), (10.0, 4)])
def test_a_chunk_bends_as_little_as_leaves_the_loops_standing(store: Store, turn_deg: float, least: int) -> None:
    """Tied too stiffly the loops are switched off; `least` is the first of 1, 2 and 4 times that lets them stand."""
    segments, loops = bent(store, turn_deg, 1.0)

    def placed(bends: tuple[float, ...], several: int = 3) -> tuple[int, float]:
        limits = PlacementConfig(bends=bends, several_loops=several)
        found = place(segments, loops, {}, CONFIG.model_copy(update={"placement": limits}))
        return found.loops, float(np.degrees(np.linalg.norm(sim3_log(found.placed[0][-1])[3:6])))

    stiff = placed(())
    assert stiff == placed((2.0, 4.0), several=4)
    assert stiff[0] == (3 if least == 1 else 0)
    assert placed((2.0,))[0] == (3 if least <= 2 else 0)
    loose = placed((2.0, 4.0))
    assert loose[0] == 3
    assert loose[1] == pytest.approx(4 * turn_deg, rel=0.25)
    assert placed((0.5, 0.25)) == stiff  # nothing helps: it stays as it is


def test_most_of_the_loops_must_stand(store: Store) -> None:
    """Two of three stand in a stiff chunk, three in one that bends."""
    segments, loops = bent(store, 4.0, 0.3)
    for least, standing in ((0.6, 2), (0.7, 3)):
        limits = PlacementConfig(least_standing=least)
        assert place(segments, loops, {}, CONFIG.model_copy(update={"placement": limits})).loops == standing
    several = CONFIG.model_copy(update={"placement": PlacementConfig(kept_weight=0.01, least_standing=0.6)})
    assert place(segments, loops, {}, several).loops == 3  # the third is left a weight of 0.04


def test_an_overlap_ties_the_segments_in_its_middle(store: Store) -> None:
    """Frames 24 to 29 are views 24 to 29 of the first chunk and 0 to 5 of the second, in segments of two."""
    whole, _ = overlapping(store, walk(50), [range(30), range(24, 50)])
    segments = cut_into_segments(whole.chunks, True, PlacementConfig(segment_views=2))
    (edge,) = overlap_edges(segments, CONFIG)
    assert (edge.first, edge.second) == (13, 15 + 1)


def test_given_poses_tie_every_segment_that_has_some_and_failed_views_do_not_count(store: Store) -> None:
    """Of two segments the second has one known frame that failed and one that did not, and they disagree."""
    truth, into = walk(24), world(5)
    segments = cut_into_segments([store(range(24), without(truth, [20]))], True, CONFIG.placement)
    given = into.apply_to_cameras(truth.cam_from_world)
    known = {2: given[2], 5: given[5], 18: given[18], 20: world(6).apply_to_cameras(given[20:21])[0], 99: given[0]}
    cameras = placed_cameras(segments, place(segments, [], known, CONFIG).placed)
    for frame in (2, 5, 18):
        np.testing.assert_allclose(cameras[frame], given[frame], atol=0.02)
