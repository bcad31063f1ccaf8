"""`bench verdict`: which images are taken, what is kept, and what a run that fails counts as."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from da3_pipeline.arrays import Float
from da3_pipeline.benchmark.truth.pose_score import PoseScore, score_poses
from da3_pipeline.benchmark.truth.scene_truth import SceneTruth, read_truth, stacked, write_truth
from da3_pipeline.benchmark.truth.verdicts import JudgedVerdict
from da3_pipeline.benchmark.verdict import runs
from da3_pipeline.benchmark.verdict.doppelgangers import DoppelgangerCase, doppelganger_cases
from da3_pipeline.benchmark.verdict.few_images import RENDERED, FewImages, few_images, known_scenes, picked
from da3_pipeline.benchmark.verdict.references import LENSES, references
from da3_pipeline.benchmark.verdict.runs import VerdictOptions, VerdictRun, measure_verdicts, runs_json, runs_table
from da3_pipeline.errors import PipelineError, UsageError
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Frame

Cli = Callable[..., tuple[int, str, str]]
CASE = FewImages("can", 0, Path("can"), ("a.png",), (np.zeros((1, 3, 4)),), True)
SCORE = PoseScore(3, 3, 95.0, 98.0, 99.0, 100.0)


@pytest.mark.parametrize("seed", range(4))
def test_choices_are_neighbours_then_far_apart_then_every_second(seed: int) -> None:
    for number, step in ((0, 1), (1, 6), (2, 2), (3, 3)):
        chosen = picked(20, 4, number, seed)
        assert set(np.diff(chosen)) == {step}
        assert chosen[0] >= 0 and chosen[-1] < 20
    assert picked(5, 4, 3, seed).tolist() in ([0, 1, 2, 3], [1, 2, 3, 4]), "there is no room for longer steps"


def test_the_seed_moves_the_start() -> None:
    assert len({int(picked(20, 4, 0, seed)[0]) for seed in range(10)}) > 4
    np.testing.assert_array_equal(picked(20, 4, 0, 7), picked(20, 4, 0, 7))


def scene(folder: Path, images: int) -> SceneTruth:
    poses = np.tile(np.eye(3, 4), (images, 1, 1))
    poses[:, 0, 3] = np.arange(images)
    return SceneTruth(folder, tuple(f"{k}.png" for k in range(images)), poses, np.zeros((images, 3, 3)))


def of_truth(scenes: dict[str, SceneTruth], views: Sequence[int] = (3,)) -> list[FewImages]:
    held_to = {name: (known.by_name,) for name, known in scenes.items()}
    return list(few_images(scenes, held_to, views, subsets=2, seed=0))


def test_every_scene_gives_each_number_of_views_as_often_as_asked_with_its_own_truth(tmp_path: Path) -> None:
    cases = of_truth({"wall": scene(tmp_path, 9), "pair": scene(tmp_path, 3)}, (2, 3))
    assert [case.key for case in cases] == ["wall-2-0", "wall-2-1", "wall-3-0", "wall-3-1", "pair-2-0", "pair-2-1"]
    for case in cases:
        (truth,) = case.references
        assert [f"{int(pose[0, 3])}.png" for pose in truth] == list(case.names)


def test_worlds_and_folders_are_checked(tmp_path: Path, rendered_capture: Path) -> None:
    assert "moving people, masked" not in RENDERED and "turntable" in RENDERED
    with pytest.raises(UsageError, match="no such rendered world"):
        known_scenes([], ["underwater"], 0, tmp_path, SilentProgress())
    with pytest.raises(UsageError, match="the same name"):
        known_scenes([rendered_capture, rendered_capture], [], 0, tmp_path, SilentProgress())


def test_colmaps_solution_stands_in_for_truth_and_says_so(rendered_capture: Path, tmp_path: Path) -> None:
    (tmp_path / "colmap.json").symlink_to(rendered_capture / "truth.json")
    assert not read_truth(tmp_path).measured
    (tmp_path / "truth.json").symlink_to(rendered_capture / "truth.json")
    assert read_truth(tmp_path).measured


def result(case: FewImages) -> VerdictRun:
    return VerdictRun(case.scene, case.names, True, SCORE, 2.0, JudgedVerdict(case.key, 3, "", True, "good"))


@pytest.fixture
def options(tmp_path: Path) -> VerdictOptions:
    return VerdictOptions(tmp_path, (3,), 2, ())


def test_what_is_finished_is_not_done_again(
    rendered_capture: Path, options: VerdictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def measured(case: FewImages) -> VerdictRun:
        done.append(case.key)
        return result(case)

    monkeypatch.setattr(runs, "_measured", measured)
    first = measure_verdicts([rendered_capture], options, SilentProgress())
    more = measure_verdicts([rendered_capture], replace(options, views=(3, 4)), SilentProgress())
    assert more[:2] == first and [len(run.images) for run in more] == [3, 3, 4, 4]
    assert len(done) == 4 == len(set(done))
    monkeypatch.setattr(runs, "code_version", lambda: "another")
    measure_verdicts([rendered_capture], options, SilentProgress())
    assert len(done) == 6


def test_what_another_command_has_in_hand_is_left_to_it(
    rendered_capture: Path, options: VerdictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_measured", result)
    case, _ = of_truth({"wall": read_truth(rendered_capture)})
    with FileLock(options.cache / f"{case.key}.lock"):
        assert runs._once(options.cache, False, case) is None
    assert runs._once(options.cache, False, case) == result(case)


def test_a_run_without_a_data_set_is_wrong_and_flagged(
    rendered_capture: Path, options: VerdictOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PipelineError("nothing usable is left")

    monkeypatch.setattr(runs, "run", refused)
    one, _ = measure_verdicts([rendered_capture], options, SilentProgress())
    assert (one.score.posed, one.judged.cell) == (0, "wrong and flagged")
    assert "no data set: nothing usable is left" in str(one)


def test_a_few_views_are_run_and_judged(rendered_capture: Path, tmp_path: Path, cli: Cli) -> None:
    words = ("--views", 3, "--subsets", 1, "--no-rendered", "--cache", tmp_path, "--json", tmp_path / "all.json")
    code, out, err = cli("bench", "verdict", rendered_capture, *words)
    assert code == 0, err
    document = json.loads((tmp_path / "all.json").read_text())
    (figures,) = document["figures"]
    assert figures["score"]["posed"] == 3 and figures["score"]["auc_5"] > 90
    assert document["runs"][0]["right"] and document["cells"]["wrong and passed"] == 0
    assert "1 runs" in out and "3 views and more" in out


def test_things_with_equal_parts_are_run_by_photographs_and_by_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setattr(runs, "_measured", lambda case: replace(result(CASE), scene=case.scene, images=(case.key,)))
    code, out, err = cli("bench", "doppelgangers", "can", "bays", "--seed", 7, "--cache", tmp_path)
    assert code == 0, err
    assert len(list(tmp_path.glob("runs-*/*.json"))) == 4
    assert {path.stem for path in tmp_path.glob("runs-*/*.json")} == {
        f"{world}-{kind}-7" for world in ("can", "bays") for kind in ("photographs", "video")
    }
    assert "4 runs" in out
    with pytest.raises(UsageError, match="no such world"):
        doppelganger_cases(["bottle"], 0, tmp_path)


def test_frames_of_a_video_have_the_poses_of_their_times(tmp_path: Path) -> None:
    case = DoppelgangerCase("bays", "video", 0, tmp_path)
    poses = np.tile(np.eye(3, 4), (30, 1, 1))
    poses[:, 0, 3] = np.arange(30)
    case.folder.mkdir()
    write_truth(case.folder, [f"{k:03d}.png" for k in range(30)], poses, np.tile(np.eye(3), (30, 1, 1)))
    frames = [Frame(f"video/{k}.jpg", Path("x"), 4, 3, "c", "f", time_s=k / 10, video="video.mp4") for k in (3, 17)]
    assert {name: pose[0, 3] for name, pose in case.truths_of(frames)[0].items()} == {
        "video/3.jpg": 3,
        "video/17.jpg": 17,
    }
    assert len(case.truths_of(())[0]) == 30


@pytest.mark.slow
def test_a_can_with_one_label_twice_never_passes_folded(tmp_path: Path, cli: Cli) -> None:
    code, _, err = cli("bench", "doppelgangers", "can", "--cache", tmp_path, "--json", tmp_path / "all.json")
    assert code == 0, err
    document = json.loads((tmp_path / "all.json").read_text())
    assert document["cells"]["wrong and passed"] == 0
    photographs, video = document["figures"]
    assert len(photographs["images"]) == 24 and 10 < len(video["images"]) <= 75
    assert photographs["score"]["posed"] >= 20 and video["score"]["posed"] >= 10


def test_the_table_ends_with_the_cells(options: VerdictOptions, tmp_path: Path) -> None:
    good, bad = (result(case) for case in of_truth({"wall": scene(tmp_path, 9)}))
    bad = replace(bad, judged=replace(bad.judged, wrong="AUC@5 12.0"), measured=False)
    lines = runs_table([good, bad]).splitlines()
    assert lines[1].split() == ["wall-3-0", "3", "3", "99.0", "truth", "right", "passed", "2.0"]
    assert lines[2].split() == ["wall-3-1", "3", "3", "99.0", "COLMAP", "wrong", "passed", "2.0", "AUC@5", "12.0"]
    assert "2 runs, 2.0 s each" in lines
    assert lines[-1] == "wrong and passed: wall-3-1, 3 views: AUC@5 12.0"
    assert json.loads(runs_json([good, bad]))["cells"]["wrong and passed"] == 1


def test_colmap_is_held_to_more_than_one_of_its_solutions(rendered_capture: Path, tmp_path: Path) -> None:
    truth = read_truth(rendered_capture)
    few = replace(truth, names=truth.names[:6], cam_from_world=truth.cam_from_world[:6])
    assert len(references(few, tmp_path / "none", SilentProgress())) == 1
    assert not (tmp_path / "none").exists(), "what has truth needs no COLMAP"

    given, *others = references(replace(few, measured=False), tmp_path / "kept", SilentProgress())
    assert set(given) == set(few.names) and len(others) == len(LENSES)
    for other in others:
        score = score_poses(few.cam_from_world, stacked(few.names, other))
        assert score.posed == 6 and score.auc_30 > 90
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()}
    again = references(replace(few, measured=False), tmp_path / "kept", SilentProgress())
    np.testing.assert_equal(again[1:], others)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "kept").iterdir()} == before


def test_colmaps_poses_are_of_upright_pictures_as_ours_are(rendered_capture: Path, tmp_path: Path) -> None:
    truth = read_truth(rendered_capture)
    (tmp_path / "images").mkdir()
    lying = Image.Exif()
    lying[0x0112] = 6  # stored lying on its left side
    for name in truth.names[:6]:
        stored = Image.open(truth.images / name).transpose(Image.Transpose.ROTATE_90)
        stored.save(tmp_path / "images" / name, exif=lying)
    few = replace(truth, folder=tmp_path, names=truth.names[:6], cam_from_world=truth.cam_from_world[:6])
    for other in references(replace(few, measured=False), tmp_path / "kept", SilentProgress())[1:]:
        score = score_poses(few.cam_from_world, stacked(few.names, other))
        assert score.posed == 6 and score.auc_30 > 90


def turned(poses: Float, degrees: float) -> Float:
    """The same cameras, the last of them turned where it stands."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    changed = poses.copy()
    changed[-1] = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]) @ changed[-1]
    return changed


@pytest.mark.parametrize(
    ("references_deg", "cell"),
    [
        ((0.0,), "right and passed"),
        ((20.0,), "wrong and passed"),
        ((20.0, 0.0), "right and passed"),
        ((0.0, 20.0), "right and passed"),
        ((20.0, 30.0), "wrong and passed"),
        ((20.0, np.nan), "wrong and passed"),
    ],
)
def test_right_is_what_one_reference_confirms_and_wrong_what_all_refute(
    references_deg: tuple[float, ...], cell: str, tmp_path: Path
) -> None:
    case, _ = of_truth({"wall": scene(tmp_path, 9)})
    (truth,) = case.references
    case = replace(case, references=tuple(turned(truth, degrees) for degrees in references_deg), measured=False)
    poses = dict(zip(case.names, truth, strict=True))
    score, judged = runs._against_each(case.key, case.truths_of(()), poses, frozenset(), True, "good")
    assert judged.cell == cell
    assert (score.auc_5 > 99) == judged.right
