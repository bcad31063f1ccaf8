"""report.html in a real browser: on phones, tablets, desks nothing is wider than the page, and nothing is cut off."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig, run, write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Dropped, Gate, Place, Scene, StageRecord, Tracks, Verdict

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install the package of that name")

PHONE, TABLET, DESK = 390, 768, 1280
SCREENSHOTS = os.environ.get("DA3_REPORT_SCREENSHOTS")
"""A folder to keep the screenshots in, for people to look at."""

MEANING = "share of the verified matches across the weakest place of the scene that agree with the poses"
LONG = "a walk through the old town/" + "IMG_20260412_101112345_HDR_" * 4 + ".png"

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SCROLLING = """Array.from(document.querySelectorAll('.scroll'))
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => box.closest('section').querySelector('h2').textContent)"""
GATES = """Array.from(document.querySelectorAll('table.gates tbody tr')).map(row =>
    Array.from(row.cells).map(cell => { const {left, top, right, bottom} = cell.getBoundingClientRect();
                                        return [left, top, right, bottom]; }))"""


def hanging_on_few(scene: Scene) -> Scene:
    """Its last image sees four of the points alone."""
    tracks = scene.tracks
    lost = np.flatnonzero(tracks.observation_frame == len(scene.frames) - 1)[4:]
    kept = [np.delete(part, lost, 0) for part in (tracks.observation_point, tracks.observation_frame)]
    pixels = np.delete(tracks.observation_xy, lost, 0)
    return replace(scene, tracks=Tracks(tracks.points, tracks.colours, tracks.point_error_px, *kept, pixels))


@pytest.fixture(scope="module")
def report(room_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with long names, failed gates, a thin place, and a photograph left out."""
    folder = tmp_path_factory.mktemp("widths")
    scene = hanging_on_few(room_in(folder / "capture")(names=("a.png", LONG, "c.png", "lost.png")))
    gates = tuple(
        Gate(f"reprojection error {k}", 0.123 * k, "<=", 0.5, k < 4, MEANING, "it bends", "all is double", "film more")
        for k in range(3, 6)
    )
    gates = tuple(gate if gate.passed else replace(gate, place=Place(LONG, (LONG,))) for gate in gates)
    scene = replace(scene, verdict=Verdict(False, gates, "below"))
    result = run(scene, ExportConfig(), SilentProgress(), folder / "out")
    stages = (StageRecord("infer", 61.5, 1200.0, True, 4321.0), StageRecord("refine", 20.25, 600.0, False, 30.5))
    config = {"export": {"note": "x" * 300}}
    dropped = (Dropped("lost.png", f"the same as {LONG}"),)
    kept = replace(result, image_names={k: v for k, v in result.image_names.items() if k != "lost.png"})
    write_report(folder / "out", scene, kept, stages, config, dropped, ReportConfig(), scene.frames)
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(report: Path, browser: Any) -> Iterator[Any]:
    opened, noise = browser.new_page(), []
    opened.on("console", lambda message: noise.append(message.text))
    opened.on("pageerror", lambda error: noise.append(str(error)))
    opened.on("request", lambda request: noise.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert [one for one in noise if not one.startswith("data:")] == [report.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (PHONE, TABLET, DESK):
        page.set_viewport_size({"width": width, "height": 844})
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"report_{width}_{scheme}.png", full_page=True)
        assert page.evaluate(OVERFLOW) <= 0 and page.evaluate(SCROLLING) == [], width


def test_the_meaning_of_a_gate_stands_below_its_value_on_a_phone(page: Any) -> None:
    for width, below in ((PHONE, True), (TABLET, False), (DESK, False)):
        page.set_viewport_size({"width": width, "height": 844})
        rows = page.evaluate(GATES)
        assert len(rows) == 3
        for _, name, value, _, meaning in rows:
            assert value[1] < name[3] and value[0] >= name[2] - 1  # beside the name
            assert (meaning[1] >= value[3] - 1) == below, width
            assert meaning[2] - meaning[0] > 200


def test_the_printed_report_fits_its_paper(page: Any) -> None:
    """A4 at 96 dots an inch, without margins."""
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate(OVERFLOW) <= 0 and page.evaluate(SCROLLING) == []


def test_images_are_shown_whole_with_the_letter_of_their_reason(page: Any) -> None:
    shown = page.locator(".sheet img")
    assert shown.count() == 4 and all(shown.nth(k).evaluate("image => image.naturalWidth") == 112 for k in range(4))
    assert page.locator(".sheet .lost").inner_text().split() == ["A", "lost.png"]
    assert page.locator("summary:has(.letter)").inner_text().split()[:3] == ["A", "1", "the"]


def test_the_thin_place_is_numbered_and_told(page: Any) -> None:
    assert page.locator("svg .number").all_text_contents() == ["1"]
    told = page.locator(".thin-places li").inner_text()
    assert "lost.png" in told and told.endswith("4 points hold 1 image to the other 3")
