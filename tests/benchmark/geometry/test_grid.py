"""The grid: resumed, shared, and not stopped by what is damaged; its tables say what was measured."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.benchmark.datasets.rendered import render_scene
from da3_pipeline.benchmark.geometry import cell_process, grid
from da3_pipeline.benchmark.geometry.cells import Cell, CellResult, cell_scene
from da3_pipeline.benchmark.geometry.evaluation import SceneFigures
from da3_pipeline.benchmark.geometry.grid import GridOptions, grid_cells, measure_grid
from da3_pipeline.benchmark.geometry.means import coverage, method_means
from da3_pipeline.benchmark.geometry.report import growth_by_method, write_results
from da3_pipeline.benchmark.geometry.tables import geometry_markdown
from da3_pipeline.benchmark.kept_results import kept_once, read_kept, replace_text
from da3_pipeline.errors import CaptureError, ExportError, PipelineError, UsageError
from da3_pipeline.progress import SilentProgress

FLOORS = ("floor:constant", "floor:random")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rendered scenes and one that is damaged."""
    folder = tmp_path_factory.mktemp("sets")
    for kind in ("room", "objects"):
        render_scene(folder / "rendered", kind, views=4, size=(48, 36))
    shutil.copytree(folder / "rendered" / "room-0", folder / "rendered" / "spoilt")
    (folder / "rendered" / "spoilt" / "truth.json").write_text('{"images": ')
    return folder


class InThisProcess:
    """Stands in for `ask`: counts what is measured, and fails from a given call on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, dies_at: int = 10**6) -> None:
        self.asked: list[dict[str, Any]] = []
        self.dies_at = dies_at
        monkeypatch.setattr(grid, "ask", self)

    def __call__(self, what: str, command: Any, request: dict[str, Any], threads: dict[str, str]) -> Any:
        self.asked.append(request)
        if len(self.asked) >= self.dies_at:
            raise KeyboardInterrupt
        return SimpleNamespace(answer=cell_process.measure_cell(request))


def measured(root: Path, results: Path, methods: tuple[str, ...] = FLOORS, **more: Any) -> list[CellResult]:
    options = GridOptions(results, methods, **more)
    return measure_grid(grid_cells([root], options), options, SilentProgress())


def test_a_damaged_scene_is_told_and_the_others_are_measured(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    InThisProcess(monkeypatch)
    found = measured(root, tmp_path)
    assert [(one.scene, one.method) for one in found] == [
        (scene, method) for scene in ("objects-0", "room-0", "spoilt") for method in FLOORS
    ]
    assert [bool(one.failure) for one in found] == [False] * 4 + [True] * 2
    assert "spoilt: needs images/ and a truth.json" in found[-1].failure
    text = geometry_markdown(found, {})
    assert "2 of 3" in text and text.count("spoilt: needs images/") == 1 and "rendered/spoilt, floor:random" in text
    assert "| floor:constant |" in text and "| AUC@5 |" in text and "F1" not in text


def test_a_killed_grid_goes_on_where_it_was_and_gives_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = InThisProcess(monkeypatch, dies_at=3)
    with pytest.raises(KeyboardInterrupt):
        measured(root, tmp_path / "a")
    assert len(list((tmp_path / "a").rglob("*.json"))) == 2
    resumed = InThisProcess(monkeypatch)
    first = measured(root, tmp_path / "a")
    assert len(resumed.asked) == 6 - 2 and killed.asked[2] == resumed.asked[0]
    again = InThisProcess(monkeypatch)
    assert measured(root, tmp_path / "a") == first
    assert len(again.asked) == 2 and {one["scene"] for one in again.asked} == {"spoilt"}  # what failed is tried again
    anew = measured(root, tmp_path / "b")  # and a run from nothing gives the same numbers
    assert [replace(one, cell_mb=None) for one in anew] == [replace(one, cell_mb=None) for one in first]


def test_other_code_or_another_answer_on_disk_is_measured_anew(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, scene = InThisProcess(monkeypatch), cell_scene("rendered", root / "rendered", "room-0", None)
    path = tmp_path / "theirs" / "rendered" / "room-0.npz"
    path.parent.mkdir(parents=True)
    flat = np.ones((4, 9, 12), np.float32)
    small = np.diag([0.25, 0.25, 1.0]) @ scene.intrinsics
    arrays = {"depth": flat, "intrinsics": small, "names": np.array(scene.names)}
    np.savez(path, extrinsics=scene.cam_from_world, **arrays)
    asked = (f"npz:{tmp_path / 'theirs'}",)

    def of_room() -> CellResult:
        return next(one for one in measured(root, tmp_path / "kept", asked) if one.scene == "room-0")

    assert of_room().figures and of_room().figures.auc["1"] == 100.0  # type: ignore[union-attr]
    count = sum(one["scene"] == "room-0" for one in process.asked)
    np.savez(path, extrinsics=np.tile(np.eye(3, 4), (4, 1, 1)), **arrays, more=flat)
    assert count == 1 and of_room().figures.auc["30"] < 50  # type: ignore[union-attr]
    monkeypatch.setattr(grid, "code_version", lambda: "another")
    of_room()
    assert sum(one["scene"] == "room-0" for one in process.asked) == 3


def test_numbers_of_views_are_picked_evenly_where_a_scene_has_them(root: Path, tmp_path: Path) -> None:
    cells = grid_cells([root], GridOptions(tmp_path, FLOORS[:1], views=(None, 3, 20), datasets=("rendered",)))
    assert [(cell.scene, cell.views) for cell in cells[:4]] == [
        ("objects-0", None), ("objects-0", 3), ("room-0", None), ("room-0", 3),
    ]  # fmt: skip
    assert len({cell.path for cell in cells}) == len(cells)
    whole, picked = (cell_scene("rendered", root / "rendered", "room-0", views) for views in (None, 3))
    assert picked.names == (whole.names[0], whole.names[2], whole.names[3])
    assert len(grid_cells([root], GridOptions(tmp_path, FLOORS, most_scenes=1))) == 2


def test_depth_alone_is_asked_where_depth_is_known(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "rendered" / "room-0", tmp_path / "strecha" / "room")
    cells = grid_cells([root, tmp_path], GridOptions(tmp_path, ("mono:da3-nano", *FLOORS[:1]), most_scenes=1))
    assert [(cell.dataset, cell.method) for cell in cells] == [
        ("strecha", "floor:constant"), ("rendered", "mono:da3-nano"), ("rendered", "floor:constant"),
    ]  # fmt: skip


def test_a_truth_that_is_no_pose_is_told(root: Path, tmp_path: Path) -> None:
    """Else it would be every method that is wrong; and of such numbers LAPACK may never finish a decomposition."""
    shutil.copytree(root / "rendered" / "room-0", tmp_path / "room")
    truth = json.loads((tmp_path / "room" / "truth.json").read_text())
    truth["images"]["0002.png"]["w2c"][1][1] = 1e300
    (tmp_path / "room" / "truth.json").write_text(json.dumps(truth))
    with pytest.raises(CaptureError, match=r"the pose of 0002.png in room: .*"):
        cell_scene("rendered", tmp_path, "room", None)


def test_what_there_is_not_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no scene"):
        grid_cells([tmp_path], GridOptions(tmp_path, FLOORS))
    with pytest.raises(UsageError, match="no data set is called 'kitti'"):
        grid_cells([root], GridOptions(tmp_path, FLOORS, datasets=("kitti",)))
    for name in ("a/x", "b/x"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="one name in the table"):
        grid_cells([root], GridOptions(tmp_path, (f"npz:{tmp_path}/a/x", f"npz:{tmp_path}/b/x")))


def test_jobs_take_the_devices_in_turn(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = InThisProcess(monkeypatch)
    measured(root, tmp_path, jobs=2, devices=("cpu", "cuda:1"))
    assert {one["device"] for one in process.asked} == {"cpu", "cuda:1"} and len(process.asked) == 6


def test_a_cell_is_measured_in_a_process_of_its_own(root: Path, tmp_path: Path) -> None:
    found = measured(root, tmp_path, FLOORS[:1], most_scenes=1)
    assert found[0].figures is not None and found[0].figures.registered == 4 and found[0].failure == ""


def test_the_grids_own_memory_is_flat_over_scenes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a cell only its figures stay: pictures, depth and models end with its process, and scenes that are read to
    count their views are let go."""
    for number in range(12):
        shutil.copytree(root / "rendered" / "room-0", tmp_path / "rendered" / f"room-{number}")
    asked = {"dataset": "rendered", "folder": str(root / "rendered"), "scene": "room-0", "views": None}
    answer = cell_process.measure_cell(asked | {"method": FLOORS[1], "device": "cpu"})
    assert answer["cell_mb"] > 10
    answer |= {"noise": "x" * 1_000_000}  # what an answer holds beyond the figures is not kept, either
    monkeypatch.setattr(grid, "ask", lambda *given: SimpleNamespace(answer=json.loads(json.dumps(answer))))

    def held_bytes(scenes: int) -> int:
        tracemalloc.start()
        found = measured(tmp_path, tmp_path / f"kept {scenes}", FLOORS, views=(None, 3), most_scenes=scenes)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert len(found) == 4 * scenes and {one.cell_mb for one in found} == {answer["cell_mb"]}
        return held

    held_bytes(1)  # imports and caches
    few, many = held_bytes(3), held_bytes(12)
    assert many - few < 4 * 9 * 10_000


@pytest.mark.slow
def test_a_grid_that_is_killed_outright_goes_on_and_memory_is_flat(tmp_path: Path) -> None:
    """The command itself, with processes of its own: SIGKILL after the first cell, then twice to the end."""
    for seed in range(2):
        render_scene(tmp_path / "sets" / "rendered", "room", seed, views=3, size=(160, 120))
    (tmp_path / "sets" / "rendered" / "spoilt").mkdir()
    for part in ("images", "depth", "truth.json"):
        (tmp_path / "sets" / "rendered" / "spoilt" / part).touch()
    words = [str(tmp_path / "sets"), "--method", "floor:random", "--method", "raw:da3-nano", "--dataset", "rendered"]

    def command(results: Path) -> list[str]:
        code = "from da3_pipeline.cli import main; main()"
        return [sys.executable, "-c", code, "bench", "geometry", *words, "-o", str(results)]

    killed = subprocess.Popen(command(tmp_path / "a"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (done := list((tmp_path / "a").rglob("*.json"))) and killed.poll() is None:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert 1 <= len(done) < 4
    kept = {path: path.stat().st_mtime_ns for path in done}
    for results in ("a", "b"):
        subprocess.run(command(tmp_path / results), check=True, capture_output=True)
    assert {path: path.stat().st_mtime_ns for path in done} == kept
    first, second = (json.loads((tmp_path / one / "results.json").read_text())["cells"] for one in ("a", "b"))
    assert [one["figures"] for one in first] == [one["figures"] for one in second] and len(first) == 6
    assert [one["failure"] for one in first[:4]] == [""] * 4 and all(one["failure"] for one in first[4:])
    for of_cells in ([one["cell_mb"] for one in first[:4]], [one["peak_mb"] for one in first[1:4:2]]):
        assert min(of_cells) > 50 and max(of_cells) < 1.2 * min(of_cells)


def test_half_a_file_is_none_and_another_process_is_not_waited_for(tmp_path: Path) -> None:
    path, never = tmp_path / "deep" / "one.json", lambda found: False
    assert kept_once(path, "a", lambda: {"x": 1.5, "y": float("nan")}, never, True) == {"x": 1.5, "y": None}
    assert kept_once(path, "a", lambda: {"x": 2}, never, True) == {"x": 1.5, "y": None}
    assert kept_once(path, "b", lambda: {"x": 2}, never, True) == {"x": 2}
    assert kept_once(path, "b", lambda: {"x": 3}, lambda found: found["x"] == 2, True) == {"x": 3}
    path.write_text(path.read_text()[:-3])
    assert read_kept(path, "b") is None
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="choose another folder"):
        kept_once(tmp_path / "file" / "one.json", "a", dict, never, True)

    def meanwhile() -> dict[str, Any]:
        assert kept_once(path, "c", dict, never, wait=False) is None
        return {"x": 4}

    assert kept_once(path, "c", meanwhile, never, True) == {"x": 4}


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        replace_text(tmp_path / "page", "\ud800")
    assert list(tmp_path.iterdir()) == []


def figures(auc_5: float, **more: Any) -> SceneFigures:
    areas = dict.fromkeys(("1", "3", "5", "15", "30"), auc_5)
    told = {"views": 4, "registered": 4, "ate": 0.1, "ate_percent": 2.0, "rpe": None, "rpe_deg": None, "depth": None}
    kinds = dict.fromkeys(("auc", "strict_auc", "published_auc", "rra", "rta"), areas)
    return SceneFigures(**(kinds | told | {"unposed": None, "posed": None} | more))  # type: ignore[arg-type]


def result(scene: str, method: str, one: SceneFigures | None, views: int | None = None, **more: Any) -> CellResult:
    return CellResult("rendered", scene, method, views, one, **more)


def test_means_intervals_and_coverage() -> None:
    surface = {"accuracy": 0.1, "completeness": 0.3, "chamfer": 0.2, "f1": 0.5, "precision": 0.5, "recall": 0.5}
    none = dict.fromkeys(surface, None) | {"f1": 0.0}
    found = [
        result("a", "x", figures(90.0, unposed=surface, cell="right and passed"), wall_s=2.0, peak_mb=10.0),
        result("b", "x", figures(50.0, unposed=none, cell="wrong and passed"), wall_s=4.0, peak_mb=20.0),
        result("c", "x", None, failure="damaged"),
        result("a", "y", figures(70.0)),
    ]
    first, second = method_means(found)
    assert (first.scenes, first.failed, first.wall_s, first.peak_mb) == (2, 1, 3.0, 15.0)
    assert (first.means["AUC@5"].mean, first.means["AUC@5"].low, first.means["AUC@5"].high) == (70.0, 50.0, 90.0)
    assert first.means["F1 own poses"].mean == 25.0 and first.means["chamfer own poses"].mean == float("inf")
    assert np.isnan(second.wall_s) and "F1 own poses" not in second.means
    assert coverage(found) == {
        "x": {"right and passed": 1, "right and flagged": 0, "wrong and flagged": 0, "wrong and passed": 1}
    }
    text = geometry_markdown(found, {})
    assert "| x | 2 of 3 |" in text and "70.0 [50.0, 90.0]" in text and "| none [" in text
    assert "- damaged: rendered/c, x" in text and "| x | 1 of 2 | 1 | 0 | 0 | 1 |" in text


def test_growth_is_of_seconds_by_views() -> None:
    found = [result("a", "x", figures(50.0), n, wall_s=0.5 * n**1.5) for n in (3, 5, 8, 12)]
    found += [result("a", "x", figures(50.0), None, wall_s=1e6), result("a", "y", figures(50.0), 3, wall_s=2.0)]
    growth = growth_by_method(found)
    assert list(growth) == ["x"] and growth["x"].exponent == pytest.approx(1.5)


def test_published_rows_stand_beside_measured_ones_and_say_so(tmp_path: Path) -> None:
    found = [replace(result("a", "x", figures(50.0)), dataset="eth3d")]
    tables = write_results(tmp_path, "it", found, {"command": "da3-pipeline bench geometry"})
    assert "| DA3-Giant (published) |" in tables and " 48.4 " in tables
    document = json.loads((tmp_path / "results.json").read_text())
    giant = next(row for row in document["published"] if (row["dataset"], row["method"]) == ("dtu64", "DA3-Giant"))
    assert giant["means"] == {"Auc3 as published": 94.1, "Auc30 as published": 99.4}
    assert document["means"][0]["means"]["AUC@5"]["mean"] == 50.0 and document["cells"][0]["figures"]["views"] == 4
    assert "# it" in (tmp_path / "results.md").read_text()


def test_a_process_that_fails_is_a_line(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(what: str, *arguments: Any) -> None:
        raise PipelineError(f"{what}: MemoryError")

    monkeypatch.setattr(grid, "ask", ask)
    assert [one.failure for one in measured(root, tmp_path, FLOORS[:1], most_scenes=1)] == ["MemoryError"]
    assert str(Cell("a", root, "b", "raw:x", "raw:x", 3)) == "a/b, 3 views, raw:x"
