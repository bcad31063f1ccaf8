"""Revisits are found, checked and closed; places that only look alike are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import (
    Sim3,
    centres,
    compose,
    invert,
    invert_sim3,
    nearest_rotation,
    sim3_exp,
    sim3_matrix,
)
from da3_pipeline.geometry.metrics.poses import centre_rmse
from da3_pipeline.geometry.robust_alignment import robust_alignment
from da3_pipeline.infer.config import PlacementConfig, RevisitConfig, SequenceConfig, Spread
from da3_pipeline.infer.sequence.chunk_alignment import information_at
from da3_pipeline.infer.sequence.chunk_store import ChunkStore, StoredChunk
from da3_pipeline.infer.sequence.chunks import ChunkPredictor, ChunkTooLargeError, predict_walk
from da3_pipeline.infer.sequence.loop_check import mutual_consistency
from da3_pipeline.infer.sequence.loops import close_loops
from da3_pipeline.infer.sequence.placement import Segments, cut_into_segments
from da3_pipeline.infer.sequence.revisits import Revisit, find_revisits
from da3_pipeline.infer.sequence.run import PredictedSequence, SequencePlan, predict_sequence
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress

Index = NDArray[np.int64]
LAP = 151  # odd: what one camera saw is seen again by the other
WALKED = SequenceConfig(anchored_up_to=0)


@pytest.fixture(scope="module")
def walk(tower: Any) -> Any:
    """A round and a third."""
    return tower(200, LAP)


class Drifting:
    """Knows the tower; every chunk turns a little too much from view to view, and lies in a world of its own."""

    def __init__(self, walk: Any, excess_deg: float = 0.12, deceived: bool = False) -> None:
        self.walk = walk
        self.excess_deg = excess_deg
        self.deceived = deceived
        self.calls: list[Index] = []

    def __call__(self, indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        self.calls.append(indices)
        rng = np.random.default_rng(indices)
        views = self.walk.views.subset(indices)
        poses = views.cam_from_world
        jump = np.flatnonzero(np.diff(indices) > 1)
        if len(jump) and self.deceived:  # whatever it is shown twice, it takes for one place
            cut, half = int(jump[0]) + 1, len(poses) - int(jump[0]) - 1
            poses = np.concatenate([poses[:cut], poses[:cut][np.linspace(0, cut - 1, half).round().astype(int)]])
        error = sim3_exp(np.array([0, 0, 0, 0, np.radians(self.excess_deg), 0, 0]))[:3]
        bent = [poses[0]]
        for step in compose(poses[1:], invert(poses[:-1])):
            bent.append(compose(error, compose(step, bent[-1])))
        world = Sim3(
            float(np.exp(rng.normal(scale=0.5))), nearest_rotation(rng.normal(size=(3, 3))), rng.normal(size=3)
        )
        return replace(views, cam_from_world=np.stack(bent)).moved(world)


class TowerReader:
    """Gives the tower's pictures as a FrameReader would."""

    def __init__(self, walk: Any) -> None:
        self._pixels = walk.pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def prefetch(self, frames: object) -> None: ...

    def release(self, before: int | None = None) -> None: ...

    def get(self, frame: int) -> NDArray[np.uint8]:
        return np.asarray(self._pixels[frame])

    def stack(self, frames: Index) -> NDArray[np.uint8]:
        return np.asarray(self._pixels[frames])


def predict(folder: Path, walk: Any, network: Any, close_loops: bool) -> PredictedSequence:
    store = ChunkStore(folder, "settings", [str(frame) for frame in range(len(walk.pixels))])
    plan = SequencePlan(24, 6, WALKED, close_loops=close_loops)
    return predict_sequence(TowerReader(walk), network, store, plan, SilentProgress())  # type: ignore[arg-type]


def error(result: PredictedSequence, walk: Any) -> float:
    assert result.merged is not None
    return centre_rmse(walk.poses, result.merged.views.cam_from_world)


def test_a_closed_loop_takes_the_drift_out_of_the_trajectory(walk: Any, tmp_path: Path) -> None:
    network = Drifting(walk)
    with_loops = predict(tmp_path, walk, network, close_loops=True)
    predicted = len(network.calls)
    without = predict(tmp_path, walk, network, close_loops=False)
    assert len(network.calls) == predicted  # nothing is computed again
    assert without.loops == without.tried == 0
    assert with_loops.loops >= 2
    assert with_loops.tried <= with_loops.chunks
    assert error(without, walk) > 0.2
    assert error(with_loops, walk) < 0.3 * error(without, walk)


def test_the_two_visits_agree_on_the_wall(walk: Any, tmp_path: Path) -> None:
    """What frame k and frame k + lap see is one wall: their cameras come out in one place."""
    apart = {}
    for closed in (False, True):
        result = predict(tmp_path, walk, Drifting(walk), closed)
        assert result.merged is not None
        places = centres(result.merged.views.cam_from_world)
        length = np.linalg.norm(np.diff(places, axis=0), axis=1).sum()
        apart[closed] = np.linalg.norm(places[LAP:] - places[: len(places) - LAP], axis=1).mean() / length
    assert apart[True] < 0.2 * apart[False]


def test_a_network_that_takes_every_pair_for_one_place_is_not_believed(walk: Any, tmp_path: Path) -> None:
    """All pictures described alike, all windows put in one place: the pictures themselves speak against it."""
    blind = replace(walk.views, descriptors=np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32))
    deceived = Drifting(walk, excess_deg=0.0, deceived=True)
    deceived.walk = type("Blind", (), {"views": blind, "pixels": walk.pixels})()
    result = predict(tmp_path, walk, deceived, close_loops=True)
    assert result.tried >= 3
    assert error(result, walk) < 0.02


def test_without_descriptors_or_memory_the_walk_is_left_open(walk: Any, tmp_path: Path) -> None:
    silent = Drifting(walk)
    silent.walk = type("Silent", (), {"views": replace(walk.views, descriptors=None), "pixels": walk.pixels})()
    assert predict(tmp_path / "silent", walk, silent, close_loops=True).tried == 0
    network = Drifting(walk)

    def no_room_for_loops(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        if (np.diff(indices) > 1).any():
            raise ChunkTooLargeError("memory ran out")
        return network(indices, pixels)

    result = predict(tmp_path / "full", walk, no_room_for_loops, close_loops=True)
    assert result.tried > 0
    assert result.loops == 0


def test_stretches_of_one_place_agree_and_others_do_not(walk: Any) -> None:
    def check(first: Index, second: Index, seen_as: Index) -> Any:
        here, there = walk.views.subset(first), walk.views.subset(second)
        there = replace(there, cam_from_world=walk.poses[seen_as])
        return mutual_consistency(here, there, walk.pixels[first], walk.pixels[second], WALKED.loops)

    first = np.arange(10, 18)
    right = check(first, first + LAP, first + LAP)
    assert right.seen > 0.8
    assert right.agreeing > 0.9
    assert right.correlation > 0.9
    assert check(first, first + 75, first).correlation < 0.3  # another place put into this one
    assert check(first, first + 75, first + 75).agreeing == 0  # no common surface
    sky = replace(walk.views.subset(first), sky=np.ones((8, 56, 84), bool))
    nothing = mutual_consistency(sky, sky, walk.pixels[first], walk.pixels[first], WALKED.loops)
    assert nothing.seen == 0


def test_revisits_are_pairs_of_one_place_far_apart_in_time(walk: Any) -> None:
    groups = np.arange(200) // 24
    found = find_revisits(walk.views.descriptors, groups, limit=8, config=WALKED.revisits)
    assert len(found) == 8
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    assert [one.similarity > 0.9 for one in found] == 3 * [True] + 5 * [False]
    for one in found[:3]:
        assert abs(one.second - one.first - LAP) <= 9
    for a in found:
        assert all(a is b or max(abs(a.first - b.first), abs(a.second - b.second)) >= 12 for b in found)
    assert find_revisits(walk.views.descriptors, np.zeros(200, np.int64), limit=8, config=WALKED.revisits) == []
    assert find_revisits(walk.views.descriptors[:40], groups[:40], limit=8, config=WALKED.revisits) == []
    assert find_revisits(np.ones((200, 5), np.float32), groups, limit=8, config=WALKED.revisits) == []


def brute_force(descriptors: NDArray[np.float32], group: Index, limit: int, config: RevisitConfig) -> list[Revisit]:
    """All pairs, one after the other."""
    centred = descriptors.astype(np.float64) - descriptors.astype(np.float64).mean(0)
    _, singular, vt = np.linalg.svd(centred / np.sqrt(len(centred)), full_matrices=False)
    white = centred @ vt.T / np.sqrt(singular**2 + config.shrinkage * singular[0] ** 2)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    reach = config.neighbours
    mean = np.stack([white[max(0, k - reach) : k + reach + 1].sum(0) for k in range(len(white))])
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    pairs = [
        (float(mean[a] @ mean[b]), a, b)
        for b in range(len(mean))
        for a in range(b - config.least_gap + 1)
        if group[b] - group[a] > 1 and mean[a] @ mean[b] >= config.least_similarity
    ]
    chosen: list[Revisit] = []
    for similarity, a, b in sorted(pairs, reverse=True):
        if len(chosen) < limit and all(max(abs(a - one.first), abs(b - one.second)) >= config.apart for one in chosen):
            chosen.append(Revisit(a, b, similarity))
    return chosen


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shrinkage": 0.5, "neighbours": 1, "least_gap": 20, "apart": 5, "least_similarity": 0.2},
        {"neighbours": 0, "block_rows": 30, "pairs_per_block": 100_000, "least_similarity": 0.3, "apart": 3},
    ],
)
def test_revisits_are_those_that_comparing_all_pairs_finds(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(7)
    places = rng.normal(size=(60, 6)).cumsum(0)
    descriptors = places[np.minimum(np.arange(150) % 64, 59)] + 0.4 * rng.normal(size=(150, 6))
    group = np.arange(150) // 25
    config = RevisitConfig(**options)
    found = find_revisits(descriptors.astype(np.float32), group, 9, config)
    expected = brute_force(descriptors.astype(np.float32), group, 9, config)
    assert len(expected) >= 4
    assert [(one.first, one.second) for one in found] == [(one.first, one.second) for one in expected]
    assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected])


def test_each_block_keeps_its_most_similar_pairs() -> None:
    rng = np.random.default_rng(8)
    descriptors = rng.normal(size=(120, 4)).astype(np.float32)
    loose = RevisitConfig(neighbours=0, least_similarity=-1.0, apart=1, block_rows=40)
    everything = find_revisits(descriptors, np.arange(120), 10**6, loose)
    one_each = find_revisits(descriptors, np.arange(120), 10**6, loose.model_copy(update={"pairs_per_block": 1}))
    best = [
        max((one for one in everything if one.second // 40 == block), key=lambda one: one.similarity)
        for block in (1, 2)
    ]
    assert sorted(one_each, key=lambda one: one.second) == best


@pytest.mark.parametrize(("later", "found"), [(0, []), (1, []), (2, [(3, 25)])])
def test_chunks_next_to_each_other_show_one_place_anyhow(later: int, found: list[tuple[int, int]]) -> None:
    descriptors = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    descriptors[25] = descriptors[3]
    config = RevisitConfig(neighbours=0, least_gap=2, apart=1, least_similarity=0.9)
    revisits = find_revisits(descriptors, later * (np.arange(30) >= 10), 9, config)
    assert [(one.first, one.second) for one in revisits] == found


WALL = 168
"""Width of pictures of a wall at depth 4, one view each."""


def facing_wall(
    shift_px: float, focal_px: float, principal_x: float, seed: int = 0, **nuisance: float
) -> tuple[Any, Any]:
    """A camera before a painted wall, so far to the side; (views, pixels). The paint's waves are about 20 px long."""
    rng = np.random.default_rng(seed)
    height, depth = 60, 4.0
    matrix = np.array([[focal_px, 0, principal_x], [0, focal_px, 30], [0, 0, 1]])
    side = shift_px * depth / 100
    y, x = np.mgrid[:height, :WALL] + 0.5
    across, down = (x - principal_x) / focal_px * depth + side, (y - 30) / focal_px * depth
    paint = np.zeros(x.shape)
    for angle, phase in rng.uniform(0, 2 * np.pi, (30, 2)):
        paint += np.sin(7.85 * (np.cos(angle) * across + np.sin(angle) * down) + phase)
    shade = 120 + 8 * paint
    shade += nuisance.get("fine", 0.0) * np.random.default_rng(seed + round(shift_px)).normal(size=x.shape)
    shade += nuisance.get("coarse", 0.0) * (x / WALL - 0.5)
    pixels = np.repeat(shade[None, ..., None].clip(0, 255).astype(np.uint8), 3, axis=3)
    pose = np.column_stack([np.eye(3), [-side, 0, 0]])
    depths = np.full((1, height, WALL), depth, np.float32)
    return RawViews(depths, np.ones_like(depths), pose[None], matrix[None]), pixels


def test_what_two_cameras_share_of_a_wall_is_seen_in_both() -> None:
    """The second stands 42 px of the first's to the side and has a longer lens."""
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(42, 140, 90)
    found = mutual_consistency(first, second, left, right, WALKED.loops)
    back = mutual_consistency(second, first, right, left, WALKED.loops)
    assert found == back
    columns = np.arange(1, 168, 3) + 0.5
    rows = np.arange(1, 60, 3) + 0.5
    into = (columns - 84) * 1.4 - 42 * 1.4 + 90
    there = (rows - 30) * 1.4 + 30
    inside = ((into >= 0) & (into < 168)).mean() * ((there >= 0) & (there < 60)).mean()
    back_into = (columns - 90) / 1.4 + 42 + 84
    assert found.seen in (pytest.approx(inside), pytest.approx(((back_into >= 0) & (back_into < 168)).mean()))
    assert found.agreeing == 1
    assert found.correlation > 0.95
    assert found.evidence == pytest.approx(found.correlation)


def test_surfaces_agree_where_their_depths_do() -> None:
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(0, 100, 84)
    depth = second.depth.copy()
    depth[:, :, :56], depth[:, :, 56:112] = 4.0 * np.exp(0.09), 4.0 * np.exp(0.11)
    deeper = replace(second, depth=depth)
    for nearer in (deeper, replace(deeper, depth=16 / depth)):
        found = mutual_consistency(first, nearer, left, right, WALKED.loops)
        assert found.seen == 1
        assert found.agreeing == pytest.approx(2 / 3, abs=0.03)
        assert found.evidence == pytest.approx(found.agreeing * found.correlation)
    unknown = np.full_like(depth, 4.0)
    unknown[:, :, :84], unknown[:, :, 84:100] = np.nan, -1.0
    found = mutual_consistency(first, replace(second, depth=unknown), left, right, WALKED.loops)
    assert found.agreeing in (1.0, pytest.approx(68 / 168, abs=0.02))  # into it and out of it


def test_pictures_correlate_in_the_detail_that_a_prior_can_place() -> None:
    """Neither grain nor shading of one picture alone matters; a negative speaks against it."""
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(1, 100, 84, fine=12.0, coarse=120.0)
    assert mutual_consistency(first, second, left, right, WALKED.loops).correlation > 0.85
    whole = WALKED.loops.model_copy(update={"finest": 0.001, "coarsest": 10.0})
    assert mutual_consistency(first, second, left, right, whole).correlation < 0.75
    negative = mutual_consistency(first, second, left, 255 - right, WALKED.loops)
    assert negative.correlation < -0.85
    assert negative.evidence == 0
    flat = mutual_consistency(first, second, left, np.full_like(right, 90), WALKED.loops)
    assert (flat.seen, flat.agreeing, flat.correlation) == (pytest.approx(1, abs=0.02), 1, -1)
    (third, other) = facing_wall(0, 100, 84, seed=5)
    assert abs(mutual_consistency(first, third, left, other, WALKED.loops).correlation) < 0.3


def test_a_wall_behind_the_camera_is_not_seen() -> None:
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(0, 100, 84)
    turned = second.cam_from_world.copy()
    turned[:, [0, 2]] *= -1
    found = mutual_consistency(first, replace(second, cam_from_world=turned), left, right, WALKED.loops)
    assert (found.seen, found.agreeing, found.correlation) == (0, 0, -1)
    few = WALKED.loops.model_copy(update={"fewest_points": 56 * 20 + 1})
    assert mutual_consistency(first, second, left, right, few).seen == 0
    enough = few.model_copy(update={"fewest_points": 56 * 20})
    assert mutual_consistency(first, second, left, right, enough).agreeing == 1


def stacked(*parts: tuple[Any, Any]) -> tuple[RawViews, NDArray[np.uint8]]:
    arrays = {name: np.concatenate([views.arrays()[name] for views, _ in parts]) for name in parts[0][0].arrays()}
    return RawViews(**arrays), np.concatenate([pixels for _, pixels in parts])


def test_the_middle_one_of_the_best_counterparts_of_three_views_speaks() -> None:
    """First, middle and last of five are asked; each finds its counterpart; one pair in three may disagree."""
    shifts = (0, 30, 60, 90, 120)
    one = stacked(*(facing_wall(shift, 100, 84) for shift in shifts))
    other = stacked(*(facing_wall(shift, 100, 84) for shift in reversed(shifts)))
    one[0].depth[[1, 3]] = np.nan
    assert mutual_consistency(one[0], other[0], one[1], other[1], WALKED.loops).correlation > 0.95
    other[1][0] = 255 - other[1][0]
    assert mutual_consistency(one[0], other[0], one[1], other[1], WALKED.loops).correlation > 0.95
    other[1][[2, 4]] = 255 - other[1][[2, 4]]
    assert mutual_consistency(one[0], other[0], one[1], other[1], WALKED.loops).correlation < -0.9


@pytest.fixture(scope="module")
def known(walk: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Segments, ChunkPredictor]:
    """The tower in chunks that are right but for their worlds."""
    store = ChunkStore(tmp_path_factory.mktemp("known"), "settings", [str(frame) for frame in range(200)])
    predict = ChunkPredictor(TowerReader(walk), Drifting(walk, excess_deg=0.0), store)  # type: ignore[arg-type]
    predicted = predict_walk(predict, 24, 6, SilentProgress(), "")
    return cut_into_segments(predicted.chunks, True, WALKED.placement), predict


def world_of(one: StoredChunk, walk: Any) -> NDArray[np.float64]:
    """(4, 4) of a chunk's world from the true one."""
    growth = float(np.median(one.maps["depth"][0] / walk.views.depth[one.indices[0]]))
    return sim3_matrix(robust_alignment(walk.poses[one.indices[:1]], one.small["cam_from_world"][:1], growth))


def test_loops_say_how_the_segments_lie(known: tuple[Segments, ChunkPredictor], walk: Any) -> None:
    segments, predict = known
    search = close_loops(segments, predict, WALKED, SilentProgress())
    assert len(search.edges) >= 3
    order = np.searchsorted(segments.first, np.arange(segments.count), "right") - 1
    for edge in search.edges:
        first, second = (world_of(segments.chunks[order[node]], walk) for node in (edge.first, edge.second))
        np.testing.assert_allclose(edge.first_from_second, first @ invert_sim3(second), atol=2e-3)
        assert edge.closes_loop


def test_a_loop_is_as_sure_as_its_three_links(known: tuple[Segments, ChunkPredictor], walk: Any) -> None:
    """A joint chunk that is trusted to little is all that counts; the more it is trusted, the surer is the loop."""
    segments, predict = known
    spreads = {
        "vague": Spread(rotation_deg=50.0, centre=3.0, log_scale=2.0),
        "usual": WALKED.loops.joint,
        "sure": Spread(rotation_deg=1e-3, centre=1e-4, log_scale=1e-4),
    }
    found = {}
    for name, joint in spreads.items():
        loops = WALKED.loops.model_copy(update={"joint": joint})
        found[name] = close_loops(segments, predict, WALKED.model_copy(update={"loops": loops}), SilentProgress()).edges
    edge = found["vague"][0]
    order = int(np.searchsorted(segments.first, edge.first, "right")) - 1
    chunk = segments.chunks[order]
    names = sorted(path.name for path in predict.store.folder.glob("loop-*"))
    joints = [joint for name in names if (joint := predict.store.find(name)) is not None]
    candidates = []
    for joint in joints:
        row = int(np.count_nonzero(joint.indices < 100)) // 2
        frame = int(joint.indices[row])
        where = np.flatnonzero(chunk.indices == frame)
        if len(where):
            depth = np.median(np.stack([chunk.maps["depth"][int(k)] for k in where]))
            pose = chunk.small["cam_from_world"][where[0]]
            candidates.append(information_at(pose, float(depth), spreads["vague"]))
    gaps = [np.abs(np.linalg.eigvalsh(edge.information) / np.linalg.eigvalsh(one) - 1).max() for one in candidates]
    assert min(gaps) < 0.1
    for vague, usual, sure in zip(found["vague"], found["usual"], found["sure"], strict=True):
        assert np.linalg.eigvalsh(usual.information - vague.information)[0] > -1e-6
        assert np.linalg.eigvalsh(sure.information - usual.information)[0] > -1e-6


@pytest.mark.parametrize(
    ("limits", "held"),
    [
        ({"least_evidence": 0.99}, False),
        ({"least_seen": 0.5}, True),
        ({"fewest_views": 10}, False),
        ({"fewest_views": 9}, True),
        ({"half_window": 1, "fewest_views": 4}, False),
        ({"half_window": 1, "fewest_views": 3}, True),
        ({"most_spread": Spread(rotation_deg=0.1, centre=0.1, log_scale=0.1)}, False),
        ({"most_spread": Spread(rotation_deg=1.0, centre=0.001, log_scale=0.1)}, False),
        ({"most_spread": Spread(rotation_deg=1.0, centre=0.1, log_scale=0.001)}, False),
        ({"most_spread": Spread(rotation_deg=1.0, centre=0.1, log_scale=0.1)}, True),
    ],
)
def test_a_loop_must_keep_every_limit(
    known: tuple[Segments, ChunkPredictor], limits: dict[str, Any], held: bool
) -> None:
    segments, predict = known
    config = WALKED.model_copy(update={"loops": WALKED.loops.model_copy(update=limits)})
    search = close_loops(segments, predict, config, SilentProgress())
    assert search.tried >= 3
    assert bool(search.edges) is held


def test_a_loop_must_be_seen_enough(known: tuple[Segments, ChunkPredictor]) -> None:
    segments, predict = known
    found = [
        len(close_loops(segments, predict, WALKED.model_copy(update={"loops": loops}), SilentProgress()).edges)
        for loops in (WALKED.loops, WALKED.loops.model_copy(update={"least_seen": 0.95}))
    ]
    assert found[0] > found[1] >= 1


def test_a_frame_that_fails_when_two_stretches_are_seen_together_does_no_harm(
    known: tuple[Segments, ChunkPredictor], walk: Any, tmp_path: Path
) -> None:
    """The very one whose place would have been taken for that of its stretch."""
    segments, predict = known
    network = Drifting(walk, excess_deg=0.0)

    def fails_in_the_middle(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        views = network(indices, pixels)
        poses = views.cam_from_world.copy()
        poses[[4, 13]] = np.nan
        return replace(views, cam_from_world=poses)

    store = ChunkStore(tmp_path, "settings", [str(frame) for frame in range(200)])
    search = close_loops(segments, ChunkPredictor(predict.reader, fails_in_the_middle, store), WALKED, SilentProgress())
    assert len(search.edges) >= 3
    assert all(np.isfinite(edge.information).all() for edge in search.edges)


@pytest.fixture
def tied_twice(numbered_reader: Any, walk_views: Any, tmp_path: Path) -> Any:
    """(segments, predictor, network): chunks of frames 0-8, 4-12 and 12-20, of which only 6 and 16 look alike."""
    truth = walk_views(21)
    descriptors = np.random.default_rng(0).normal(size=(21, 40)).astype(np.float32)
    descriptors[16] = descriptors[6]
    truth = replace(truth, descriptors=descriptors)
    calls: list[list[int]] = []

    def network(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        calls.append(indices.tolist())
        return truth.subset(indices)

    reader = numbered_reader(21)
    predict = ChunkPredictor(reader, network, ChunkStore(tmp_path, "settings", [str(frame) for frame in range(21)]))
    chunks = [predict(f"chunk-{k}", np.arange(start, start + 9)) for k, start in enumerate((0, 4, 12))]
    reader.release()
    calls.clear()
    return cut_into_segments(chunks, True, WALKED.placement), predict, calls


ALIKE = RevisitConfig(neighbours=0, least_gap=2, apart=1, least_similarity=0.9)


def test_a_frame_is_looked_at_where_it_is_most_central_and_the_first_of_equals_decides(tied_twice: Any) -> None:
    """Frame 6 is two from the end of the first chunk and from the beginning of the second: a neighbour of the third."""
    segments, predict, calls = tied_twice
    search = close_loops(segments, predict, WALKED.model_copy(update={"revisits": ALIKE}), SilentProgress())
    assert search.tried == 1
    assert calls == [[*range(2, 9), *range(12, 21)]]


@pytest.mark.parametrize(
    "limit",
    [{"least_seen": 1.0}, {"least_agreeing": 1.0, "most_spread": Spread(rotation_deg=0, centre=0, log_scale=0)}],
)
def test_pictures_of_a_revisit_are_let_go_of_whatever_comes_of_it(tied_twice: Any, limit: dict[str, Any]) -> None:
    segments, predict, _ = tied_twice
    loops = WALKED.loops.model_copy(update=limit)
    config = WALKED.model_copy(update={"revisits": ALIKE, "loops": loops})
    assert close_loops(segments, predict, config, SilentProgress()).tried == 1
    assert predict.reader.read and predict.reader.in_memory == set()


def test_wrong_depths_of_a_joint_chunk_do_not_count(tied_twice: Any, walk_views: Any, tmp_path: Path) -> None:
    """More than half of each map is unknown or behind the camera: what is left tells how far things are."""
    segments, predict, _ = tied_twice

    def half_blind(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        views = walk_views(21).subset(indices)
        views.depth[:, :, ::3], views.depth[:, ::2] = np.nan, -1.0
        return views

    loops = WALKED.loops.model_copy(update={"least_evidence": 0.0, "least_seen": 0.0, "fewest_points": 2})
    config = WALKED.model_copy(update={"revisits": ALIKE, "loops": loops})
    store = ChunkStore(tmp_path / "blind", "settings", [str(frame) for frame in range(21)])
    (whole,) = close_loops(segments, predict, config, SilentProgress()).edges
    (blind,) = close_loops(segments, ChunkPredictor(predict.reader, half_blind, store), config, SilentProgress()).edges
    np.testing.assert_allclose(np.linalg.eigvalsh(blind.information), np.linalg.eigvalsh(whole.information), rtol=0.2)


OPEN = {"least_evidence": 0.0, "least_seen": 0.0, "fewest_points": 2}
"""Limits that let the cameras alone decide."""


@pytest.mark.parametrize(("start", "asked"), [(8, []), (9, [[*range(2, 9), *range(9, 17)]])])
def test_stretches_that_share_a_frame_are_no_revisit(
    start: int, asked: list[list[int]], numbered_reader: Any, walk_views: Any, tmp_path: Path
) -> None:
    """Chunks 0-8, 4-12 and from frame 8 or 9 on; frames 6 and 11 or 12 look alike, four of each to either side."""
    later = start + 3
    descriptors = np.random.default_rng(0).normal(size=(21, 40)).astype(np.float32)
    descriptors[later] = descriptors[6]
    truth, calls = replace(walk_views(21), descriptors=descriptors), []

    def network(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        calls.append(indices.tolist())
        return truth.subset(indices)

    store = ChunkStore(tmp_path, "settings", [str(frame) for frame in range(21)])
    predict = ChunkPredictor(numbered_reader(21), network, store)
    chunks = [predict(f"chunk-{k}", np.arange(first, first + 9)) for k, first in enumerate((0, 4, start))]
    calls.clear()
    config = WALKED.model_copy(update={"revisits": ALIKE, "loops": WALKED.loops.model_copy(update={"half_window": 4})})
    assert close_loops(cut_into_segments(chunks, True, WALKED.placement), predict, config, SilentProgress()).tried == 1
    assert calls == asked


@pytest.mark.parametrize("wrong", [[0, 7], [7, 16], [0, 16], [0, 0]], ids=["first", "second", "both", "none"])
@pytest.mark.parametrize("how", ["astray", "failed"])
def test_both_stretches_must_fit_the_chunks_they_were_seen_in(
    tied_twice: Any, walk_views: Any, tmp_path: Path, wrong: list[int], how: str
) -> None:
    segments, predict, _ = tied_twice

    def partly(indices: Index, pixels: NDArray[np.uint8]) -> RawViews:
        views = walk_views(21).subset(indices)
        poses, rows = views.cam_from_world.copy(), slice(*wrong)
        count = len(poses[rows])
        if how == "failed":
            poses[rows] = np.nan
        else:
            rng = np.random.default_rng(1)
            poses[rows, :, :3] = nearest_rotation(rng.normal(size=(count, 3, 3)))
            poses[rows, :, 3] = rng.normal(scale=9.0, size=(count, 3))
        return replace(views, cam_from_world=poses)

    config = WALKED.model_copy(update={"revisits": ALIKE, "loops": WALKED.loops.model_copy(update=OPEN)})
    store = ChunkStore(tmp_path / "partly", "settings", [str(frame) for frame in range(21)])
    search = close_loops(segments, ChunkPredictor(predict.reader, partly, store), config, SilentProgress())
    assert search.tried == 1
    assert len(search.edges) == (wrong == [0, 0])


def test_a_loop_ties_the_segments_in_the_middle_and_is_trusted_as_a_camera_there(
    tied_twice: Any, walk_views: Any
) -> None:
    """Frames 2 to 8 and 12 to 20, in segments of three views: the second of the first chunk, of the third chunk too."""
    whole, predict, _ = tied_twice
    segments = cut_into_segments(whole.chunks, True, PlacementConfig(segment_views=3))
    vague = Spread(rotation_deg=50.0, centre=3.0, log_scale=2.0)
    loops = WALKED.loops.model_copy(update=OPEN | {"joint": vague})
    config = WALKED.model_copy(update={"revisits": ALIKE, "loops": loops})
    (edge,) = close_loops(segments, predict, config, SilentProgress()).edges
    assert (edge.first, edge.second) == (1, 7)
    truth = walk_views(21)
    depth = float(np.median(truth.depth[2:9]))
    expected = information_at(truth.cam_from_world[5], depth, vague)
    np.testing.assert_allclose(edge.information, expected, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(edge.first_from_second, np.eye(4), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_neither_stripes_nor_shading_matter_in_any_direction(axis: int) -> None:
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(1, 100, 84)
    along = np.random.default_rng(3).normal(0, 12, right.shape[1 + axis])
    shading = 100 * (np.linspace(0, 1, right.shape[1 + axis]) - 0.5)
    for nuisance in (along, shading):
        other = right + np.expand_dims(nuisance, (0, *(k for k in (1, 2, 3) if k != 1 + axis)))
        found = mutual_consistency(first, second, left, other.clip(0, 255).astype(np.uint8), WALKED.loops)
        assert found.correlation > 0.85


@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_the_unit_of_length_does_not_matter(scale: float) -> None:
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(42, 140, 90)
    grown = Sim3(scale, np.eye(3), np.zeros(3))
    here = mutual_consistency(first, second, left, right, WALKED.loops)
    there = mutual_consistency(first.moved(grown), second.moved(grown), left, right, WALKED.loops)
    assert (here.seen, here.agreeing) == pytest.approx((there.seen, there.agreeing), abs=0.01)
    assert here.correlation == pytest.approx(there.correlation, abs=0.01)


def test_points_are_taken_from_the_middle_of_a_grid() -> None:
    """Of every fourth pixel the third, in either direction; the second camera stands 42 px to the side."""
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(42, 100, 84)
    loops = WALKED.loops.model_copy(update={"grid_px": 4})
    columns = np.arange(2, 168, 4) + 0.5
    shares = [((columns - shift >= 0) & (columns - shift < 168)).mean() for shift in (42, -42)]
    assert mutual_consistency(first, second, left, right, loops).seen in [pytest.approx(share) for share in shares]
    few = loops.model_copy(update={"fewest_points": 10_000})
    assert mutual_consistency(first, second, left, right, few).correlation == -1


def test_surfaces_that_meet_in_a_few_points_only_say_nothing() -> None:
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(0, 100, 84)
    depth = np.full_like(second.depth, 9.0)
    depth[:, :, :6] = 4.0  # two columns of 56, of 20 points each
    found = mutual_consistency(first, replace(second, depth=depth), left, right, WALKED.loops)
    assert (found.seen, found.agreeing, found.correlation) == (1.0, pytest.approx(2 / 56), -1.0)


def test_detail_is_told_by_the_width_of_the_picture() -> None:
    """Much grain, which a blur of two pixels takes away and one of the height's share would not."""
    (first, left), (second, right) = facing_wall(0, 100, 84), facing_wall(1, 100, 84, fine=45.0)
    found = mutual_consistency(first, second, left, right, WALKED.loops)
    assert found.correlation > 0.9
