"""report.json carries the truth; report.html shows it without asking anything of the network."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig, run, write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.export.report.document import report_document
from da3_pipeline.export.report.world import world_rows
from da3_pipeline.export.tracks import reprojection_errors_px
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Dropped, ExportResult, Gate, MetricScale, Place, Scene, StageRecord, Tracks, Verdict

STAGES = (StageRecord("infer", 61.5, 1200.0, True, 80.0), StageRecord("refine", 20.25, 600.0, False, 30.5))
CONFIG = {"refine": {"seed": 7}, "export": {"max_seed_points": 300_000}}
EVIL = '<script>alert(1)</script> & "quoted".jpg'


class Page(HTMLParser):
    """Tags, what they refer to, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key in ("src", "href", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def document(scene: Scene, dropped: tuple[Dropped, ...] = ()) -> dict[str, Any]:
    return report_document(scene, None, STAGES, CONFIG, dropped, ReportConfig())


@pytest.fixture
def written(room: Any, tmp_path: Path) -> tuple[dict[str, Any], str]:
    """The report of a run with a hostile name and many frames left out for one reason."""
    scene = room(names=("a.png", "sub dir/b.png", "c&d.png"))
    folder = tmp_path / "out"
    result = run(scene, ExportConfig(), SilentProgress(), folder)
    blurred = tuple(Dropped(f"clip.mp4/{k:06d}.jpg", "blurred") for k in range(3000))
    write_report(
        folder, scene, result, STAGES, CONFIG, (*blurred, Dropped(EVIL, "cannot be <decoded>")), ReportConfig()
    )
    return json.loads((folder / "report.json").read_text(encoding="utf-8")), (folder / "report.html").read_text()


def test_json_tells_what_happened(written: tuple[dict[str, Any], str]) -> None:
    report, _ = written
    assert (report["schema"], report["version"], report["seed"]) == ("da3-pipeline/report", 1, 7)
    assert report["verdict"]["passed"] is True and len(report["verdict"]["gates"]) == 2
    assert report["data_set"]["images"] == 3
    assert report["data_set"]["tracks_measured"] == report["data_set"]["tracks"]
    assert [row["image"] for row in report["frames"]] == ["a.png", "sub dir/b.png", "c&d.png"]
    assert all(row["observations"] > 50 and row["median_error_px"] < 1e-6 for row in report["frames"])
    assert len(report["dropped"]) == 3001
    infer = {"seconds": 61.5, "peak_memory_mb": 1200.0, "reused": True, "cpu_seconds": 80.0}
    assert report["stages"][0] == {"name": "infer"} | infer
    assert report["cameras"][0]["frames"] == 3 and report["cameras"][0]["model"] == "SIMPLE_RADIAL"
    assert "pycolmap" in report["versions"] and report["config"] == CONFIG


def test_metrics_are_those_of_the_report(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png", "c.png"))
    result = run(scene, ExportConfig(), SilentProgress(), tmp_path / "out")
    sources = ("refined", "unverified", "none")
    gates = (scene.verdict.gates[0], replace(scene.verdict.gates[1], passed=False))
    scene = replace(scene, pose_source=sources, verdict=replace(scene.verdict, passed=False, gates=gates))
    lost = (Dropped("notes.txt", "no picture"), Dropped("c.png", "no pose"))
    write_report(tmp_path / "out", scene, result, STAGES, CONFIG, lost, ReportConfig())
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["frames"] == {"found": 4, "chosen": 3, "posed": 1, "kept": 3}
    assert (metrics["verdict"], metrics["failed_gates"]) == ("below gates", [gates[1].name])
    assert (metrics["seconds"], metrics["cpu_seconds"], metrics["peak_memory_mb"]) == (81.75, 110.5, 1200.0)
    assert metrics["stages"]["refine"] == {
        **{"seconds": 20.25, "cpu_seconds": 30.5, "peak_memory_mb": 600.0, "reused": False}
    }
    earlier = replace(STAGES[0], cpu_seconds=None)
    write_report(tmp_path / "out", scene, None, (earlier,), CONFIG, lost, ReportConfig())
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["cpu_seconds"] is None and metrics["frames"]["kept"] == 0


def test_page_is_self_contained(written: tuple[dict[str, Any], str]) -> None:
    _, page = written
    parsed = Page(page)
    assert parsed.references and all(reference.startswith("data:image/jpeg;base64,") for reference in parsed.references)
    assert not re.search(r"https?://|@import|url\(", page)
    assert {"svg", "canvas", "table", "img"} <= set(parsed.tags)
    assert len(page) < 2_000_000


def test_names_and_reasons_are_escaped(written: tuple[dict[str, Any], str]) -> None:
    _, page = written
    assert "<script>alert" not in page
    parsed = Page(page)
    assert EVIL in parsed.text and "cannot be <decoded>" in parsed.text
    assert parsed.tags.count("script") == 2


def test_frames_left_out_are_grouped_by_reason(written: tuple[dict[str, Any], str]) -> None:
    _, page = written
    assert page.count("clip.mp4/") < 50
    assert re.search(r"3\s000</b> blurred", page)


def test_viewer_data_are_the_points_and_cameras(written: tuple[dict[str, Any], str]) -> None:
    _, page = written
    text = re.search(r'<script type="application/json" id="scene">(.*?)</script>', page, re.DOTALL)
    assert text is not None
    scene = json.loads(text[1])
    assert scene["names"] == ["a.png", "sub dir/b.png", "c&d.png"] and scene["refined"] == [True] * 3
    axes = np.array(scene["axes"])
    np.testing.assert_allclose(axes @ np.swapaxes(axes, 1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-3)
    assert np.abs(scene["centres"]).max() <= 1


def test_failed_gates_show(room: Any, tmp_path: Path) -> None:
    scene = room()
    gates = tuple(replace(gate, passed=False) for gate in scene.verdict.gates)
    scene = replace(scene, verdict=Verdict(False, gates, "poor: 2 of 66 frames"))
    write_report(tmp_path, scene, None, STAGES, CONFIG, (), ReportConfig())
    page = (tmp_path / "report.html").read_text()
    assert "Nothing could be exported" in page and "poor: 2 of 66 frames" in page
    assert 'class="verdict poor"' in page and page.count(">fail<") == 2
    assert json.loads((tmp_path / "report.json").read_text())["data_set"] is None


def test_a_failed_gate_says_where_what_it_means_and_what_to_do(room: Any, tmp_path: Path) -> None:
    """Before anything else; with pictures of the frames that it names, but for those whose files are gone."""
    scene = room(names=("a.png", "b.png", "c.png"))
    gone = replace(scene.frames[2], path=tmp_path / "gone.png")
    frames = replace(scene.prediction.frames, frames=(*scene.frames[:2], gone))
    place = Place("b.png and c.png", ("b.png", "c.png"))
    fold = Gate(
        "weakest cut", 0.1, ">=", 0.5, False, "share", "it parts at b.png <i>", "all is double", "film b.png", place
    )
    verdict = Verdict(False, (*scene.verdict.gates, fold), "below", remarks=("a lens was found",))
    scene = replace(scene, prediction=replace(scene.prediction, frames=frames), verdict=verdict)
    write_report(tmp_path, scene, None, STAGES, CONFIG, (), ReportConfig())
    page = (tmp_path / "report.html").read_text()
    lead = page[page.index("<body>") : page.index('class="tiles"')]
    assert lead.count("<img ") == lead.count('src="data:image/jpeg;base64,') == 1
    text = Page(lead).text
    wanted = (
        "1 of 3 gates failed.",
        "a lens was found",
        "It parts at b.png <i>.",
        "b.png",
        "All is double.",
        "Film b.png.",
    )
    places = [text.index(part) for part in wanted]
    assert places == sorted(places)
    verdict_told = json.loads((tmp_path / "report.json").read_text())["verdict"]
    assert verdict_told["gates"][2]["place"] == {"words": "b.png and c.png", "frames": ["b.png", "c.png"]}
    assert verdict_told["gates"][2]["remedy"] == "film b.png" and verdict_told["gates"][0]["place"] is None
    assert verdict_told["remarks"] == ["a lens was found"]


def test_of_many_failed_gates_the_first_are_open(room: Any, tmp_path: Path) -> None:
    gates = tuple(Gate(f"g{k}", 0.1, ">=", 0.5, False, "m", f"finding {k}", "c", "r", Place("all")) for k in range(5))
    scene = replace(room(), verdict=Verdict(False, gates, "below"))
    write_report(tmp_path, scene, None, STAGES, CONFIG, (), ReportConfig())
    page = (tmp_path / "report.html").read_text()
    folded = page[page.index('<details class="more">') :]
    assert page.count("Finding ") == 5 and folded.count("Finding ") == 2 and "2 more of the gates failed" in folded


def test_scene_without_any_pose_has_a_report(room: Any, tmp_path: Path) -> None:
    scene = room()
    lost = replace(
        scene,
        cam_from_world=np.full((6, 3, 4), np.nan),
        pose_source=("none",) * 6,
        depth_scale=np.full(6, np.nan),
        tracks=Tracks.empty(),
        candidates=(),
        verdict=Verdict(False, (), "nothing matched"),
    )
    write_report(
        tmp_path, lost, None, (), {}, tuple(Dropped(frame.name, "no pose") for frame in lost.frames), ReportConfig()
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert [row["dropped"] for row in report["frames"]] == ["no pose"] * 6
    assert all(row["median_error_px"] is None and row["depth_scale"] is None for row in report["frames"])
    assert "<canvas" not in (tmp_path / "report.html").read_text()


def test_first_reason_counts_and_nothing_is_listed_twice(room: Any) -> None:
    scene = replace(room(), dropped=(Dropped("a.jpg", "later"), Dropped("b.jpg", "no overlap")))
    dropped = document(scene, (Dropped("z.jpg", "truncated"), Dropped("a.jpg", "blurred")))["dropped"]
    assert [(item["frame"], item["reason"]) for item in dropped] == [
        ("z.jpg", "truncated"),
        ("a.jpg", "blurred"),
        ("b.jpg", "no overlap"),
    ]


def test_numbers_that_are_not_finite_become_null(room: Any) -> None:
    scene = replace(room(), figures={"good": 1.5, "bad": float("nan"), "worse": np.float64("inf")})
    assert document(scene)["figures"] == {"good": 1.5, "bad": None, "worse": None}


def test_reprojection_errors_are_those_planted(room: Any) -> None:
    scene = room()
    shift = np.random.default_rng(0).normal(0, 2, scene.tracks.observation_xy.shape)
    tracks = replace(scene.tracks, observation_xy=scene.tracks.observation_xy + shift)
    np.testing.assert_allclose(
        reprojection_errors_px(replace(scene, tracks=tracks)), np.linalg.norm(shift, axis=1), atol=1e-6
    )


def test_reports_replace_each_other(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png"), track_count=50)
    write_report(tmp_path, scene, None, STAGES, CONFIG, (), ReportConfig())
    write_report(tmp_path, scene, None, STAGES, {"refine": {"seed": 8}}, (), ReportConfig())
    assert json.loads((tmp_path / "report.json").read_text())["seed"] == 8
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "metrics.json",
        "report.html",
        "report.json",
    ]


def anchored(scene: Scene) -> Scene:
    figures = {
        "metres_per_unit_by_gps": 1.0,
        "relative_sigma_by_gps": 0.04,
        "metres_per_unit_by_network": 1.5,
        "relative_sigma_by_network": 0.1,
        "scale_disagreement_sigmas": 3.8,
        "up_sigma_deg": 1.25,
        "heading_sigma_deg": 0.5,
        "gps_photos": 6,
        "gps_positions": 6,
        "gps_positions_used": 5,
        "gps_rms_horizontal_m": 2.1,
        "gps_rms_vertical_m": float("nan"),
        "origin_latitude_deg": -33.9,
        "origin_longitude_deg": 151.2,
        "origin_altitude_m": 31.25,
    }
    return replace(scene, metric=MetricScale(1.0, 0.04, "GPS of 6 photos"), up_source="gps", figures=figures)


def rows(scene: Scene, result: ExportResult | None = None) -> dict[str, str]:
    world = report_document(scene, result, STAGES, CONFIG, (), ReportConfig())["world"]
    return {what: f"{value} | {note}" for what, value, note in world_rows(world, ReportConfig())}


def test_the_world_is_told_with_its_sources(room: Any, tmp_path: Path) -> None:
    scene = anchored(room(names=("a.png", "b.png"), track_count=50))
    assert rows(scene) == {
        "Scale": "1 unit = 1 m ± 4 % | from GPS of 6 photos",
        "By the network": "1 unit = 1.5 m ± 10 % | 3.8 sigma from it; check both",
        "Up": "+z ± 1.2° | from GPS",
        "Origin": "33.900000° S, 151.200000° E, 31.2 m | x is east and y north, ± 0.5°",
        "GPS": "5 of 6 positions agree | cameras are off by 2.1 m RMS in the plane",
    }
    write_report(tmp_path, scene, None, STAGES, CONFIG, (), ReportConfig())
    text = Page((tmp_path / "report.html").read_text()).text
    assert "1 unit = 1 m ± 4 %" in text and "± 4 %" in text and "3.8 sigma from it" in text
    world = json.loads((tmp_path / "report.json").read_text())["world"]
    assert (world["metres_per_unit"], world["relative_sigma"], world["up_source"]) == (1.0, 0.04, "gps")
    assert world["origin"] == {"latitude_deg": -33.9, "longitude_deg": 151.2, "altitude_m": 31.25}
    assert world["gps"]["rms_vertical_m"] is None


def test_what_is_not_known_of_the_world_is_said(room: Any) -> None:
    scene = room(names=("a.png", "b.png"), track_count=50)
    plain = rows(scene)
    assert plain["Scale"].startswith("of no known unit | give one measured length")
    assert plain["Up"].startswith("not known in sparse/0")
    assert set(plain) == {"Scale", "Up"}
    given = rows(replace(scene, metric=MetricScale(1.0, float("nan"), "given poses")))
    assert given["Scale"].startswith("that of the given poses")
    measured = rows(replace(scene, metric=MetricScale(0.31, 0.02, "GPS of 6 photos")))
    assert measured["Scale"] == "1 unit = 0.31 m ± 2 % | from GPS of 6 photos"
    unsure = rows(replace(scene, figures={"metres_per_unit_by_gps": 0.8, "relative_sigma_by_gps": 0.45}))
    assert unsure["By GPS"] == "1 unit = 0.8 m ± 45 % | not used: too uncertain, or not wanted"


def test_sky_is_counted(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png"), track_count=50)
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[0, :40] = True
    scene = replace(scene, prediction=replace(scene.prediction, sky=sky))
    result = run(scene, ExportConfig(), SilentProgress(), tmp_path)
    assert rows(scene, result)["Sky"] == "25 % of the images | black in masks/, no points in it"
