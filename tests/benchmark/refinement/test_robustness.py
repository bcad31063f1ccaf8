"""The benches of the refinement: what they report of runs that are good and of runs that are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from da3_pipeline.benchmark.refinement.candidate_order import CandidateResult
from da3_pipeline.benchmark.refinement.few_views import FewViewsRow, evenly_picked, few_views_table
from da3_pipeline.benchmark.refinement.refinement_run import CpuSeconds, RefinementRun
from da3_pipeline.benchmark.refinement.robustness import RobustnessOptions, RobustnessRun, measure_robustness
from da3_pipeline.benchmark.refinement.robustness_tables import robustness_json, robustness_table
from da3_pipeline.benchmark.truth.known_scene import read_scene
from da3_pipeline.benchmark.truth.pose_score import PoseScore
from da3_pipeline.benchmark.truth.prior_noise import PriorNoise
from da3_pipeline.benchmark.truth.simulated_depth import with_simulated_depth
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.training.synthetic import render_walk

Cli = Callable[..., tuple[int, str, str]]


def reached(posed: int, auc_5: float, auc_30: float) -> PoseScore:
    return PoseScore(4, posed, 0.0, 0.0, auc_5, auc_30)


def result(auc_5: float, auc_30: float = 90.0, posed: int = 4, passed: bool = True, wrong: str = "") -> RefinementRun:
    candidates = (
        CandidateResult("prior", 0.98, 0.9, 0.4, auc_5),
        CandidateResult("two-view geometry", 0.5, 0.3, 2.0, 20.0),
    )
    cpu = CpuSeconds(4.0, 2.0, 1.0)
    return RefinementRun(reached(posed, auc_5, auc_30), {"refined": posed}, passed, "good", wrong, cpu, candidates)


def robust(auc_5: float, noise: str = "5:5:5", scene: str = "wall", passed: bool = True) -> RobustnessRun:
    return RobustnessRun(scene, 4, noise, 0, ("a.png",), 1.05, 3.0, 99.0, result(auc_5, passed=passed))


def test_a_run_holds_within_a_point_of_perfect_poses_and_failures_are_told() -> None:
    runs = [robust(98.2), robust(97.9), robust(50, "20:20:20", passed=False), robust(100, "20:20:20", "yard")]
    table = robustness_table(runs).splitlines()
    reached, cost = "3.0 99.0 97.9 98.1 1/2 2/2", "1.00 0.50 0.25 1.75"
    assert " ".join(table[2].split()) == f"5:5:5 wall {reached} {cost}"
    assert table[5].split()[:2] == ["20:20:20", "all"]
    assert "candidates: 4 of 4 (100.0 %) pairs in the right order" in "\n".join(table)
    assert "2 of 4 runs are more than a point below perfect; the verdict passed 1 of them" in table
    assert sum("a.png" in line for line in table) == 2
    assert "right and flagged: wall 20:20:20 seed 0, 4 views: good" in table
    assert [run["holds"] for run in json.loads(robustness_json(runs))] == [True, False, False, True]


def row(priors: list[PoseScore], runs: list[RefinementRun], **colmap: PoseScore) -> FewViewsRow:
    return FewViewsRow("wall", 4, tuple(priors), tuple(runs), colmap)


def test_a_few_views_row_names_what_it_misses() -> None:
    prior = reached(4, 10.0, 60.0)
    good = row([prior], [result(50.0, 80.0)], incremental=reached(3, 43.0, 49.0))
    assert good.failures == []
    assert row([prior], [result(100.0, 100.0)], incremental=reached(4, 100.0, 100.0)).failures == []
    for changed, complaint in (
        (replace(good, runs=(result(50.0, 80.0, posed=3),)), "poses 3 of 4"),
        (replace(good, runs=(result(9.0, 80.0),)), "auc_5 below the prior's with seeds \\[0\\]"),
        (replace(good, runs=(result(50.0, 59.0),)), "auc_30 below the prior's"),
        (replace(good, colmap={"global": reached(4, 0.0, 80.0)}), "auc_30 80.0, COLMAP 80.0"),
        (replace(good, colmap={"global": reached(3, 55.0, 60.0)}), "auc_5 50.0, COLMAP 55.0 without all"),
        (replace(good, runs=(result(50.0, 80.0, wrong="AUC@5 50"),)), "wrong and passed with seeds 0: AUC@5 50"),
    ):
        with pytest.raises(AssertionError, match=complaint):
            assert not changed.failures, changed.failures
    assert replace(good, runs=(result(50.0, 80.0, passed=False, wrong="AUC@5 50"),)).failures == []
    # Complete models of COLMAP may be the better ones at 5 degrees.
    assert replace(good, colmap={"global": reached(4, 90.0, 70.0)}).failures == []
    table = few_views_table([replace(good, runs=(result(50.0, 59.0),)), good])
    assert "1 failures" in table
    assert "COLMAP global: PINHOLE shared, SIFT, exhaustive, global" in table
    assert "3 views and more" in table


def test_views_are_picked_evenly() -> None:
    assert evenly_picked(25, 4).tolist() == [0, 8, 16, 24]
    assert evenly_picked(3, 5).tolist() == [0, 1, 2]


@pytest.fixture
def six_views(rendered_capture: Path, tmp_path: Path) -> Path:
    """Every other view of the rendered capture, and the first two."""
    (tmp_path / "images").mkdir()
    for name in ("000", "001", "002", "004", "006", "008"):
        (tmp_path / "images" / f"{name}.png").symlink_to(rendered_capture / "images" / f"{name}.png")
    (tmp_path / "truth.json").symlink_to(rendered_capture / "truth.json")
    return tmp_path


def test_a_capture_survives_noise_and_its_cost_is_split(six_views: Path) -> None:
    options = RobustnessOptions((PriorNoise(5, 0.05, 0.05),), seeds=1)
    (run,) = measure_robustness([six_views], options, SilentProgress())
    assert run.perfect > 95
    assert run.holds
    assert run.prior_auc_5 < 40
    assert run.result.score.posed == run.images == 6
    assert min(run.result.cpu.features, run.result.cpu.matching, run.result.cpu.adjustment) > 0
    names = [candidate.name for candidate in run.result.candidates]
    assert "prior, unrefined" in names
    assert run.result.candidates[0].auc_5 > 90


def test_simulated_depth_is_near_the_truth(rendered_capture: Path) -> None:
    scene = with_simulated_depth(read_scene(rendered_capture, SilentProgress()), RefineConfig(), SilentProgress())
    walk = render_walk(seed=1, frames=10, width=480, height=360)
    assert scene.depth.shape == (10, 126, 168)
    for index in (0, 9):
        true = cv2.resize(walk.depth(index), (168, 126), interpolation=cv2.INTER_NEAREST)
        assert np.median(np.abs(np.log(scene.depth[index] / true))) < 0.05


def test_bad_options_are_told_in_one_line(cli: Cli, rendered_capture: Path, tmp_path: Path) -> None:
    for arguments in (
        ("bench", "robustness", rendered_capture, "--noise", "5:5"),
        ("bench", "robustness", tmp_path),
        ("bench", "adjustment", "--path", "spiral"),
    ):
        code, _, message = cli(*arguments)
        assert code == 2
        assert len(message.strip().splitlines()) == 1
