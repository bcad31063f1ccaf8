"""The four cells: what counts as right, on poses that are wrong in one way each."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.arrays import Float
from da3_pipeline.benchmark.truth.verdicts import (
    CELLS,
    JudgedVerdict,
    judge_data_set,
    judge_verdict,
    verdicts_json,
    verdicts_table,
    what_is_wrong,
)
from da3_pipeline.geometry import Sim3, nearest_rotation


def arc(count: int) -> Float:
    """Cameras on a quarter of a circle around the origin, which they look at."""
    angles = np.linspace(0, np.pi / 2, count)
    turns = Rotation.from_euler("y", angles[:, None]).as_matrix()
    return np.concatenate([turns, np.tile([[0.0], [0.0], [4.0]], (count, 1, 1))], 2)


def turned(poses: Float, image: int, degrees: float) -> Float:
    """One camera turned where it stands."""
    changed = poses.copy()
    turn = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    changed[image] = turn @ poses[image]
    return changed


def mirrored(poses: Float) -> Float:
    """Every camera on the other side of the origin: directions of motion are opposite, their lines the same."""
    return np.concatenate([poses[:, :, :3], -poses[:, :, 3:]], 2)


def without(poses: Float, *images: int) -> Float:
    left = poses.copy()
    left[list(images)] = np.nan
    return left


def test_the_truth_in_any_world_and_scale_is_right() -> None:
    world = Sim3(7.0, nearest_rotation(np.random.default_rng(0).normal(size=(3, 3))), np.array([3.0, -2, 9]))
    assert what_is_wrong(arc(12), world.apply_to_cameras(arc(12))) == ""
    assert what_is_wrong(arc(2), arc(2)) == ""


@pytest.mark.parametrize(
    ("estimate", "reason"),
    [
        (turned(arc(40), 20, 6.0), "image 20 off by 6.0 degrees"),
        (turned(turned(arc(12), 3, 20.0), 9, -20.0), "AUC@5 68"),
        (mirrored(arc(12)), "off by 180.0 degrees"),
        (without(arc(12), 4, 7), "10 of 12 images posed"),
        (without(arc(3), 0), "2 of 3 images posed"),
        (without(arc(12), *range(12)), "0 of 12 images posed"),
        (without(turned(arc(40), 20, 6.0), 0), "image 20 off by"),
    ],
)
def test_what_is_wrong_is_named(estimate: Float, reason: str) -> None:
    assert reason in what_is_wrong(arc(len(estimate)), estimate)


def test_small_errors_and_one_missing_of_twelve_are_right() -> None:
    assert what_is_wrong(arc(40), turned(arc(40), 20, 4.0)) == ""
    assert what_is_wrong(arc(12), without(arc(12), 4)) == ""


def test_from_one_place_nothing_is_right() -> None:
    spinning = np.concatenate([arc(8)[:, :, :3], np.zeros((8, 3, 1))], 2)
    assert what_is_wrong(spinning, spinning) == "the camera does not move"


def test_images_that_selection_set_aside_are_not_missed_but_judged_where_they_are_there() -> None:
    truth = {f"{k}.png": pose for k, pose in enumerate(arc(8))}
    poses = {name: pose for name, pose in truth.items() if name not in ("2.png", "5.png")}
    assert judge_data_set("a", truth, poses, {"2.png", "5.png"}, True).right
    assert judge_data_set("a", truth, poses, {"2.png"}, True).wrong == "6 of 7 images posed"
    everything = poses | {"2.png": turned(arc(8), 2, 30.0)[2], "5.png": truth["5.png"]}
    assert not judge_data_set("a", truth, everything, {"2.png", "5.png"}, True).right
    invented = poses | {"foreign.png": truth["2.png"]}
    assert judge_data_set("a", truth, invented, {"2.png", "5.png"}, True).views == 6


def judged() -> list[JudgedVerdict]:
    bad = turned(turned(arc(6), 2, 40.0), 4, 40.0)
    return [
        judge_verdict("one", arc(6), arc(6), True, "good"),
        judge_verdict("two", arc(6), arc(6), False, "below the gates: parallax"),
        judge_verdict("three", arc(6), bad, False, "below the gates: agreement"),
        judge_verdict("four", arc(2), turned(arc(2), 1, 9.0), True, "good"),
        judge_verdict("five", arc(6), bad, True, "good"),
        judge_verdict("six", arc(6), arc(6), True, "good"),
    ]


def test_every_run_falls_into_one_cell() -> None:
    cells = [one.cell for one in judged()]
    assert cells == [CELLS[k] for k in (0, 1, 2, 3, 3, 0)]


def test_the_table_counts_cells_and_names_where_verdict_and_truth_differ() -> None:
    lines = verdicts_table(judged(), least_views=3).splitlines()
    assert lines[0].split("verdict against truth")[1].split() == ["runs", *" ".join(CELLS).split()]
    assert lines[1].split()[2:] == ["6", "2", "(33%)", "1", "(17%)", "1", "(17%)", "2", "(33%)"]
    assert lines[2].split()[4:] == ["5", "2", "(40%)", "1", "(20%)", "1", "(20%)", "1", "(20%)"]
    assert lines[4:] == [
        "wrong and passed: four, 2 views: AUC@5 0.0",
        f"wrong and passed: five, 6 views: {judged()[4].wrong}",
        "right and flagged: two, 6 views: below the gates: parallax",
    ]
    assert verdicts_table([]).splitlines()[1].split()[2:] == ["0"] * 5


def test_the_json_says_the_same() -> None:
    document = json.loads(verdicts_json(judged()))
    assert list(document["cells"].values()) == [2, 1, 1, 2]
    assert [run["cell"] for run in document["runs"]] == [one.cell for one in judged()]
