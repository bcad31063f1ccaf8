"""The whole pipeline with the built-in network on a rendered capture with known cameras."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pycolmap
import pytest

import da3_pipeline
from da3_pipeline import refine
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.pipeline import advance
from da3_pipeline.types import Scene

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def session(rendered_capture: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene]:
    output = tmp_path_factory.mktemp("first") / "session"
    return output, da3_pipeline.run([rendered_capture / "images"], output).scene


def poses_of(folder: Path) -> dict[str, np.ndarray]:
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    return {image.name: image.cam_from_world().matrix() for image in model.images.values()}


def test_poses_are_sub_pixel_and_the_verdict_says_so(session: tuple[Path, Scene], rendered_capture: Path) -> None:
    output, scene = session
    truth = json.loads((rendered_capture / "truth.json").read_text())["images"]
    poses = poses_of(output)
    assert poses.keys() == truth.keys()
    errors = pose_errors(np.array([truth[n]["w2c"] for n in poses]), np.array(list(poses.values())))
    assert errors.auc(1) > 95
    assert scene.verdict.passed
    (camera,) = scene.cameras.values()
    assert camera.focal_px == pytest.approx(truth["000.png"]["K"][0][0], rel=0.01)


def test_the_same_seed_gives_the_same_poses(session: tuple[Path, Scene], rendered_capture: Path) -> None:
    again = da3_pipeline.reconstruct(rendered_capture / "images")
    assert np.array_equal(again.cam_from_world, session[1].cam_from_world)


def test_a_killed_run_resumes_and_gives_the_same_poses(
    session: tuple[Path, Scene], rendered_capture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> Scene:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(refine, "run", killed)
        da3_pipeline.run([rendered_capture / "images"], tmp_path / "out")
    outcome = da3_pipeline.run([rendered_capture / "images"], tmp_path / "out")
    assert [stage.reused for stage in outcome.stages] == [True] * 4 + [False] * 3
    assert np.array_equal(outcome.scene.cam_from_world, session[1].cam_from_world)


def test_a_run_goes_on_from_the_stages_that_were_done_before(
    session: tuple[Path, Scene], rendered_capture: Path, tmp_path: Path
) -> None:
    """As on several machines; one that did nothing dear leaves its stages all the same."""
    parts: tuple[Literal["select", "infer"], ...] = ("select", "infer")
    for through in parts:
        advance([rendered_capture / "images"], tmp_path / "out", through=through)
    outcome = da3_pipeline.run([rendered_capture / "images"], tmp_path / "out")
    assert [stage.reused for stage in outcome.stages] == [True] * 4 + [False] * 3
    assert np.array_equal(outcome.scene.cam_from_world, session[1].cam_from_world)


def test_a_second_run_returns_at_once(session: tuple[Path, Scene], rendered_capture: Path, cli: Run) -> None:
    report = session[0] / "report.json"
    before = report.stat().st_mtime_ns
    code, stdout, _ = cli("run", rendered_capture / "images", "--output", session[0], "--json")
    assert code == 0
    assert json.loads(stdout)["passed"] is True
    assert report.stat().st_mtime_ns == before


def test_without_refinement_the_poses_are_the_priors_and_the_exit_code_says_it(
    rendered_capture: Path, tmp_path: Path, cli: Run
) -> None:
    code, stdout, _ = cli("run", rendered_capture / "images", "--output", tmp_path / "out", "--no-refine")
    assert code == 3
    assert "not refined" in stdout
    assert (tmp_path / "out" / "transforms.json").exists()


def test_two_images_are_enough_for_a_data_set_but_prove_nothing(
    rendered_capture: Path, tmp_path: Path, cli: Run
) -> None:
    first, second = sorted((rendered_capture / "images").iterdir())[4:6]
    code, stdout, _ = cli("run", first, second, "--output", tmp_path / "out")
    assert code == 3, "whatever they look like, two views do not prove a focal length that nobody gave"
    assert stdout.startswith("unverified: two views leave the focal length open")
    assert f"{first.name} and {second.name}" in stdout, "and whose"
    assert "give the focal length with --intrinsics, or add pictures" in stdout and len(stdout.splitlines()) <= 5
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["verdict"]["unverified"] and not report["verdict"]["passed"]
    assert len(poses_of(tmp_path / "out")) == 2
