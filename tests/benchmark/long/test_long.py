"""The judge of long captures against cases with a known answer, and the simulated network's promises."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from da3_pipeline.benchmark.long.runs import LongOptions, measure_long
from da3_pipeline.benchmark.long.surface_error import Fused, doubled_share, far_share
from da3_pipeline.benchmark.truth.simulated_network import SimulatedNetwork
from da3_pipeline.benchmark.truth.tour_capture import TourCapture, render_capture
from da3_pipeline.geometry import Camera, centres
from da3_pipeline.geometry.metrics.poses import centre_rmse
from da3_pipeline.infer.config import AlignmentConfig
from da3_pipeline.infer.sequence.chunk_alignment import align_chunks
from da3_pipeline.progress import SilentProgress

COUNT = 330
WIDTH, HEIGHT = 40, 30


@pytest.fixture(scope="module")
def corridor(tmp_path_factory: pytest.TempPathFactory) -> TourCapture:
    """Two walks along a wall at x = 3 with the same steps, which the camera faces; depth is exact."""
    folder = tmp_path_factory.mktemp("corridor")
    (folder / "depth").mkdir()
    facing = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    half = COUNT // 2
    places = np.array([[0, 0.1 * (frame % half), 1.0] for frame in range(COUNT)])
    poses = np.stack([np.column_stack([facing, -facing @ place]) for place in places])
    for frame in range(COUNT):
        np.save(folder / "depth" / f"{frame:05d}.npy", np.full((HEIGHT, WIDTH), 3.0, np.float16))
    images = tuple(folder / f"{frame}.png" for frame in range(COUNT))
    return TourCapture(folder, images, poses, Camera.pinhole(WIDTH, HEIGHT, 30.0))


def fused(truth: TourCapture, poses: NDArray[np.float64], growth: float = 1.0) -> Fused:
    def depth(row: int) -> NDArray[np.float32]:
        return np.full((15, 20), 3.0 * growth, np.float32)

    matrix = np.array([[15.0, 0, 10], [0, 15, 7.5], [0, 0, 1]])
    return Fused(np.arange(len(poses)), poses, np.tile(matrix, (len(poses), 1, 1)), depth)


def test_the_truth_lies_on_the_surface_once(corridor: TourCapture) -> None:
    true = fused(corridor, corridor.cam_from_world)
    assert far_share(true, corridor, 0.3) < 0.02
    assert doubled_share(true, corridor, 0.3) == 0


def test_a_second_visit_that_is_off_doubles_the_wall_and_half_of_it_is_far(corridor: TourCapture) -> None:
    poses = corridor.cam_from_world.copy()
    poses[COUNT // 2 :, :, 3] += poses[0, :, :3] @ np.array([0.5, 0, 0])
    shifted = fused(corridor, poses)
    assert far_share(shifted, corridor, 0.3) == pytest.approx(0.5, abs=0.05)
    assert doubled_share(shifted, corridor, 0.3) == 1
    assert doubled_share(shifted, corridor, 0.6) == 0


def test_wrong_depth_is_far_but_not_doubled(corridor: TourCapture) -> None:
    deep = fused(corridor, corridor.cam_from_world, growth=1.2)
    assert far_share(deep, corridor, 0.3) > 0.9
    assert doubled_share(deep, corridor, 0.3) < 0.05
    once = replace(corridor, images=corridor.images[:50], cam_from_world=corridor.cam_from_world[:50])
    assert np.isnan(doubled_share(fused(once, once.cam_from_world), once, 0.3))


def test_the_simulated_network_drifts_a_little_in_worlds_of_its_own(corridor: TourCapture) -> None:
    network = SimulatedNetwork(corridor, seed=0)
    pixels = np.zeros((48, HEIGHT, WIDTH, 3), np.uint8)
    first, second = network(np.arange(48), pixels), network(np.arange(40, 88), pixels)
    again = network(np.arange(48), pixels)
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.cam_from_world, again.cam_from_world)
    path_m = 4.7
    assert 1e-4 * path_m < centre_rmse(corridor.cam_from_world[:48], first.cam_from_world) < 0.05 * path_m
    between = align_chunks(second.subset(range(8)), first.subset(range(40, 48)), AlignmentConfig())
    assert between is not None
    assert abs(np.log(between.target_from_source.scale)) > 0.02
    assert between.spread.rotation_deg < 2


def test_the_simulated_network_takes_two_places_for_one(corridor: TourCapture) -> None:
    network = SimulatedNetwork(corridor, seed=0)
    pixels = np.zeros((10, HEIGHT, WIDTH, 3), np.uint8)
    apart = np.concatenate([np.arange(5), np.arange(120, 125)])
    same = np.concatenate([np.arange(5), np.arange(165, 170)])
    for indices in (apart, same):
        places = centres(network(indices, pixels).cam_from_world)
        step = np.linalg.norm(np.diff(places[:5], axis=0), axis=1).mean()
        assert np.linalg.norm(places[2] - places[7]) < step
    assert np.linalg.norm(centres(corridor.cam_from_world)[[2]] - centres(corridor.cam_from_world)[[122]]) > 10


def test_a_capture_is_rendered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = render_capture(tmp_path, 0, 2, SilentProgress())
    assert len(first) == 2
    stamps = [image.stat().st_mtime_ns for image in first.images]
    first.images[1].unlink()
    again = render_capture(tmp_path, 0, 3, SilentProgress())
    assert again.images[0].stat().st_mtime_ns == stamps[0]
    assert all(image.exists() for image in again.images)
    assert again.depth(2).shape == (168, 224)
    np.testing.assert_array_equal(again.cam_from_world[:2], first.cam_from_world)


def test_the_process_under_test_is_not_told_the_truth(tmp_path: Path) -> None:
    """A request for a network names pictures only; a bad one fails with a message, not with a table."""
    request = {"images": [str(tmp_path / "none.png")], "size": [40, 30], "model": "da3-nano", "device": "cpu"}
    request |= {"simulated": False, "views_per_pass": 4, "loops": True, "workspace": str(tmp_path / "w")}
    command = [sys.executable, "-m", "da3_pipeline.benchmark.long.process"]
    child = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True)
    assert child.returncode != 0
    assert "cannot be read" in child.stderr


@pytest.mark.slow
def test_the_table_tells_cost_and_accuracy(tmp_path: Path) -> None:
    table = measure_long([30], LongOptions(tmp_path, simulated=True), SilentProgress())
    head, _, _, cost, _, _, _, errors = table.splitlines()
    assert head.startswith("simulated network, tour 0, 48 views")
    assert cost.split()[:3] == ["30", "1", "0/0"]
    assert float(errors.split()[2]) < 0.5
