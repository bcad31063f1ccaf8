"""`bench pose` and `bench scaling`: whole command beside whole command, and what the tables say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.benchmark.peers.ours import run_command
from da3_pipeline.benchmark.pose import scaling
from da3_pipeline.benchmark.pose.accuracy import PoseOptions, PoseRow, measure_poses, poses_json, poses_table
from da3_pipeline.benchmark.pose.methods import Measured
from da3_pipeline.benchmark.pose.scaling import ScalingOptions, measure_scaling, scaling_table
from da3_pipeline.benchmark.truth.pose_score import PoseScore
from da3_pipeline.benchmark.truth.verdicts import JudgedVerdict
from da3_pipeline.errors import PipelineError, UsageError
from da3_pipeline.progress import SilentProgress

Cli = Callable[..., tuple[int, str, str]]

RIGHT = JudgedVerdict("wall", 9, "", True, "passed")
OURS = Measured("ours", PoseScore(9, 9, 97.0, 98.0, 99.0, 100.0), 10.0, 15.0, {"ingest": 1.0, "refine": 5.0}, RIGHT)
COLMAP = Measured("COLMAP photographs", PoseScore(9, 8, 91.0, 95.0, 97.0, 98.0), 40.0, 60.0, {"extraction": 20.0})


def test_the_table_tells_both_costs_the_ratio_the_mode_and_the_verdict() -> None:
    table = poses_table([PoseRow("wall", OURS), PoseRow("wall", COLMAP, 0.25)])
    lines = table.splitlines()
    assert lines[1].split() == ["wall", "ours", "9/9", "97.0", "98.0", "99.0", "100.0", "10.0", "15.0", "passed"]
    assert lines[2].split()[:4] == ["wall", "COLMAP", "photographs", "8/9"]
    assert lines[2].split()[4:] == ["91.0", "95.0", "97.0", "98.0", "40.0", "60.0", "0.25"]
    assert "COLMAP photographs: OPENCV shared, SIFT, exhaustive, incremental" in lines
    assert "left out on both sides" in table
    assert "all runs" in table and "1 (100%)" in table


def test_a_row_of_json_has_every_figure() -> None:
    (row,) = json.loads(poses_json([PoseRow("wall", OURS, 0.25)]))
    assert (row["scene"], row["ratio"], row["measured"]["cpu_s"]) == ("wall", 0.25, 15.0)
    assert row["measured"]["verdict"]["wrong"] == ""


def test_scenes_and_modes_are_checked_before_anything_runs(rendered_capture: Path, tmp_path: Path, cli: Cli) -> None:
    for folders, modes, message in (
        ([rendered_capture, tmp_path], (), "needs images/ and a truth.json"),
        ([rendered_capture], ("fast",), "no such mode"),
    ):
        with pytest.raises(UsageError, match=message):
            measure_poses(folders, PoseOptions(colmap=modes), SilentProgress())
    code, _, err = cli("bench", "pose", rendered_capture, "--colmap-mode", "fast")
    assert code == 2 and "no such mode" in err


def test_a_command_that_fails_is_told_by_its_last_word(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"da3-pipeline run .*none"):
        run_command([tmp_path / "none"], tmp_path / "session")


def test_our_command_is_run_scored_and_judged(rendered_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    names = ("000.png", "001.png", "002.png", "003.png")
    for name in names:
        (tmp_path / "images" / name).symlink_to(rendered_capture / "images" / name)
    everything = json.loads((rendered_capture / "truth.json").read_text())["images"]
    (tmp_path / "truth.json").write_text(json.dumps({"images": {name: everything[name] for name in names}}))
    (row,) = measure_poses([tmp_path], PoseOptions(prior=Path("identical")), SilentProgress())
    ours = row.measured
    assert (ours.score.images, ours.score.posed) == (4, 4)
    assert ours.score.auc_5 > 90
    assert ours.verdict is not None and ours.verdict.right
    assert ours.wall_s > sum(ours.parts_s.values()) > 0 and {"ingest", "refine", "export"} <= set(ours.parts_s)


def test_scaling_runs_both_on_the_first_images_of_the_street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str], list[str]]] = []

    def ours(run: str, images: Path, truth: dict[str, np.ndarray], options: object) -> Measured:
        seen.append((run, sorted(path.name for path in images.iterdir()), list(truth)))
        return replace(OURS, score=replace(OURS.score, images=len(truth)), wall_s=2.0 * len(truth))

    def colmap(name: str, mode: object, images: Path, truth: dict[str, np.ndarray]) -> Measured:
        assert sorted(path.name for path in images.iterdir()) == list(truth)
        score = replace(COLMAP.score, images=len(truth))
        return replace(COLMAP, method=f"COLMAP {name}", score=score, wall_s=8.0 * len(truth))

    monkeypatch.setattr(scaling, "measure_ours", ours)
    monkeypatch.setattr(scaling, "measure_colmap", colmap)
    options = ScalingOptions(tmp_path, colmap_up_to=2)
    rows = measure_scaling([2, 3], options, SilentProgress())
    names = ["0000.png", "0001.png", "0002.png"]
    assert seen == [("street of 2", names[:2], names[:2]), ("street of 3", names, names)]
    assert [(row.measured.method, row.ratio) for row in rows] == [
        ("ours", None),
        ("COLMAP video", 0.25),
        ("ours", None),
    ]
    lines = scaling_table(rows, options).splitlines()
    assert lines[2].split()[:9] == ["2", "COLMAP", "video", "8", "97.0", "16.0", "60.0", "8.00", "0.25"]
    assert "COLMAP video: OPENCV shared, SIFT, sequential, global" in lines
    assert "ours: wall seconds grow as images^1.00" in lines
    assert list(scaling.scaling_growth(rows)) == ["ours"]  # COLMAP ran at one size
