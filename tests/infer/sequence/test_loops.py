"""Revisits are found, checked and closed; places that only look alike are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.geometry import Sim3, centres, compose, invert, nearest_rotation, sim3_exp
from da3_pipeline.geometry.pose_metrics import centre_rmse
from da3_pipeline.infer.config import SequenceConfig
from da3_pipeline.infer.sequence.chunk_store import ChunkStore
from da3_pipeline.infer.sequence.chunks import ChunkTooLargeError
from da3_pipeline.infer.sequence.loop_check import mutual_consistency
from da3_pipeline.infer.sequence.revisits import find_revisits
from da3_pipeline.infer.sequence.run import PredictedSequence, SequencePlan, predict_sequence
from da3_pipeline.infer.views import RawViews
from da3_pipeline.progress import SilentProgress

Index = NDArray[np.int64]
LAP = 150
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
    for close_loops in (False, True):
        result = predict(tmp_path, walk, Drifting(walk), close_loops)
        assert result.merged is not None
        places = centres(result.merged.views.cam_from_world)
        length = np.linalg.norm(np.diff(places, axis=0), axis=1).sum()
        apart[close_loops] = np.linalg.norm(places[LAP:] - places[: len(places) - LAP], axis=1).mean() / length
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
    assert 3 <= len(found) <= 8
    assert [one.similarity for one in found] == sorted((one.similarity for one in found), reverse=True)
    for one in found:
        assert abs(one.second - one.first - LAP) <= 6
    for a in found:
        assert all(a is b or max(abs(a.first - b.first), abs(a.second - b.second)) >= 12 for b in found)
    assert find_revisits(walk.views.descriptors, np.zeros(200, np.int64), limit=8, config=WALKED.revisits) == []
    assert find_revisits(walk.views.descriptors[:40], groups[:40], limit=8, config=WALKED.revisits) == []
    assert find_revisits(np.ones((200, 5), np.float32), groups, limit=8, config=WALKED.revisits) == []
