"""A capture of two places: the larger is the data set, and with --split the other is one, too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

import da3_pipeline
from da3_pipeline import export, refine
from da3_pipeline.arrays import Float
from da3_pipeline.config import PipelineConfig
from da3_pipeline.geometry.metrics.poses import pose_errors
from da3_pipeline.refine.config import RefineConfig
from da3_pipeline.storage.store import sources_fingerprint
from da3_pipeline.types import Scene

Run = Callable[..., tuple[int, str, str]]
Capture = tuple[Path, dict[str, Float]]

SIFT = PipelineConfig(refine=RefineConfig(matcher="sift"))  # learned matches of the two places are sought in vain

FIRST, SECOND = [f"a{k:03d}.png" for k in range(9)], [f"b{k:03d}.png" for k in range(8)]


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Nine pictures of a room and eight of another, and their true poses, each in its own world."""
    from da3_pipeline.training.synthetic import render_walk

    folder, truth = tmp_path_factory.mktemp("two") / "photos", {}
    folder.mkdir()
    for seed, names in ((4, FIRST), (2, SECOND)):
        walk = render_walk(seed=seed, frames=len(names), width=400, height=300)
        for name, image, pose in zip(names, walk.frames(), walk.cam_from_world, strict=True):
            Image.fromarray(image).save(folder / name)
            truth[name] = pose
    return folder, truth


@pytest.fixture(scope="module")
def unsplit(capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session of a run that nobody asked to split."""
    output = tmp_path_factory.mktemp("unsplit") / "session"
    scene = da3_pipeline.run([capture[0]], output, SIFT).scene
    assert not scene.verdict.passed
    return output


@pytest.fixture
def session(unsplit: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(unsplit, tmp_path / "session")
    return tmp_path / "session"


def images_of(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "images").iterdir())


def auc_5(folder: Path, truth: dict[str, Float]) -> float:
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    poses = {image.name: image.cam_from_world().matrix() for image in model.images.values()}
    return pose_errors(np.array([truth[name] for name in poses]), np.array(list(poses.values()))).auc(5)


def state(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file() and p.name != "lock"
    }


def test_without_split_it_is_said_that_there_is_another_place(unsplit: Path) -> None:
    report = json.loads((unsplit / "report.json").read_text())
    assert report["other_places"] == [SECOND]
    assert "8 images left out match each other, b000.png to b007.png: another place?" in report["verdict"]["summary"]
    assert "--split" in (unsplit / "report.html").read_text()
    assert images_of(unsplit) == FIRST and not unsplit.with_name("session_2").exists()


def test_split_makes_two_data_sets_each_with_its_verdict_and_the_same_again_returns_at_once(
    session: Path, capture: Capture, cli: Run
) -> None:
    photos, truth = capture
    code, stdout, _ = cli("run", photos, "-o", session, "--matcher", "sift", "--split")
    other = session.with_name("session_2")
    assert code == 0
    assert [line for line in stdout.splitlines() if line.startswith("place ")] == [
        line for line in stdout.splitlines() if "good" in line
    ]
    assert f"{other / 'report.html'}" in stdout
    assert (images_of(session), images_of(other)) == (FIRST, SECOND)
    for folder in (session, other):
        report = json.loads((folder / "report.json").read_text())
        assert report["verdict"]["passed"] and auc_5(folder, truth) > 90
        assert all(row["pose_source"] == "refined" for row in report["frames"])
    told = json.loads((session / "report.json").read_text())["dropped"]
    assert [(item["frame"], item["reason"]) for item in told] == [(n, "another place, in session_2") for n in SECOND]
    before = state(session), state(other)
    code, stdout, _ = cli("run", photos, "-o", session, "--matcher", "sift", "--split", "--json")
    document = json.loads(stdout)
    assert code == 0 and document["passed"] and document["others"][0]["folder"] == str(other)
    assert (state(session), state(other)) == before


def test_what_was_solved_before_is_not_solved_again(session: Path, capture: Capture) -> None:
    outcome = da3_pipeline.run([capture[0]], session, SIFT, split=True)
    reused = {stage.name: stage.reused for stage in outcome.stages}
    assert reused["infer"] and reused["refine"] and not reused["refine-1"] and not reused["refine-2"]
    assert [stage.name for stage in outcome.others[0].stages] == ["refine-2", "georegister", "export"]


def test_a_run_killed_between_the_data_sets_leaves_one_whole_and_resumes(
    session: Path, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = export.run

    def killed(scene: Scene, *rest: object) -> object:
        if scene.frames[0].name in SECOND:
            raise KeyboardInterrupt
        return exported(scene, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(export, "run", killed)
        da3_pipeline.run([capture[0]], session, SIFT, split=True)
    other = session.with_name("session_2")
    assert images_of(session) == FIRST and not (other / "images").exists()
    first = state(session)
    outcome = da3_pipeline.run([capture[0]], session, SIFT, split=True)
    assert outcome.passed and outcome.others[0].passed and images_of(other) == SECOND
    assert state(session) == first
    assert [stage.reused for stage in outcome.others[0].stages] == [True, True, False]


def test_a_place_that_does_not_pass_is_written_and_proves_nothing_for_the_other(
    session: Path, capture: Capture, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3; the first data set is what it was without --split."""
    ran = refine.run

    def doubtful(prediction: object, config: object, progress: object) -> Scene:
        scene = ran(prediction, config, progress)  # type: ignore[arg-type]
        alone = scene.frames[0].name in SECOND
        return replace(scene, verdict=replace(scene.verdict, passed=False, summary="weak")) if alone else scene

    monkeypatch.setattr(refine, "run", doubtful)
    before = (session / "transforms.json").read_bytes()
    code, stdout, _ = cli("run", capture[0], "-o", session, "--matcher", "sift", "--split")
    assert code == 3
    assert "place 1: below the gates" in stdout and "place 2: weak" in stdout
    assert images_of(session.with_name("session_2")) == SECOND
    assert (session / "transforms.json").read_bytes() == before


def test_a_folder_of_somebody_else_is_left_alone_and_the_first_data_set_is_there(
    session: Path, capture: Capture, cli: Run
) -> None:
    other = session.with_name("session_2")
    other.mkdir()
    (other / "diary.txt").write_text("mine")
    code, _, stderr = cli("run", capture[0], "-o", session, "--matcher", "sift", "--split", "--quiet")
    assert code == 2 and "session_2: is not empty and holds no session of da3-pipeline" in stderr
    assert [path.name for path in other.iterdir()] == ["diary.txt"]
    assert images_of(session) == FIRST and json.loads((session / "report.json").read_text())["verdict"]["passed"]


def test_split_changes_nothing_where_there_is_one_place(rendered_capture: Path, tmp_path: Path) -> None:
    outcome = da3_pipeline.run([rendered_capture / "images"], tmp_path / "session", split=True)
    assert outcome.others == () and [path.name for path in tmp_path.iterdir()] == ["session"]


def test_data_sets_among_the_sources_do_not_make_a_run_stale(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("a")
    before = sources_fingerprint([tmp_path], exclude=tmp_path / "out")
    for name in ("out", "out_2"):
        (tmp_path / name / ".da3").mkdir(parents=True)
        (tmp_path / name / "report.json").write_text("{}")
    assert sources_fingerprint([tmp_path], exclude=tmp_path / "out") == before
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.jpg").write_text("b")
    assert sources_fingerprint([tmp_path], exclude=tmp_path / "out") != before
