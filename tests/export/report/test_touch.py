"""The scene of the report under fingers, as a phone's browser gives them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig, run, write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.progress import SilentProgress

playwright = pytest.importorskip("playwright.sync_api", reason="not in nerfstudio's environment")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install the package of that name")

SHOWN = """new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    const canvas = document.getElementById('view');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const ratio = canvas.width / canvas.clientWidth, sums = [0, 0, 0, 0, 0];
    for (let k = 0; k < data.length; k += 4) {
        if (data[k] + data[k + 1] + data[k + 2] > 120) {
            const [x, y] = [(k / 4) % canvas.width / ratio, Math.floor(k / 4 / canvas.width) / ratio];
            [1, x, y, x * x, y * y].forEach((value, place) => { sums[place] += value; });
        }
    }
    const [x, y, xx, yy] = sums.slice(1).map(sum => sum / sums[0]);
    done([[x, y], [Math.sqrt(xx - x * x), Math.sqrt(yy - y * y)]]);
})))"""
"""Mean and standard deviation of where the canvas is not dark, in its pixels."""


@pytest.fixture
def phone(room_in: Any, tmp_path: Path) -> Iterator[Any]:
    scene = room_in(tmp_path / "capture")(names=("a.png", "b.png", "c.png"))
    result = run(scene, ExportConfig(), SilentProgress(), tmp_path / "out")
    write_report(tmp_path / "out", scene, result, (), {}, (), ReportConfig())
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(**driver.devices["Pixel 5"])
        page = context.new_page()
        page.goto((tmp_path / "out" / "report.html").as_uri())
        page.evaluate("document.getElementById('view').scrollIntoView({block: 'center'})")
        yield page
        browser.close()


def shown(page: Any) -> tuple[np.ndarray, np.ndarray]:
    middle, spread = page.evaluate(SHOWN)
    return np.array(middle), np.array(spread)


def slide(page: Any, *fingers: tuple[tuple[float, float], tuple[float, float]]) -> None:
    """Each finger from one place to another, in pixels from the middle of the canvas, in ten steps."""
    box = page.locator("#view").bounding_box()
    middle = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    session = page.context.new_cdp_session(page)
    for step in range(11):
        points = []
        for number, (begin, end) in enumerate(fingers):
            x, y = middle + np.array(begin) + (np.array(end) - begin) * step / 10
            points.append({"x": x, "y": y, "id": number})
        kind = "touchMove" if step else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.fixture
def smaller(phone: Any) -> tuple[np.ndarray, np.ndarray]:
    """What is shown after a first pinch, with room around it."""
    slide(phone, ((-60, 0), (-30, 0)), ((60, 0), (30, 0)))
    return shown(phone)


def test_two_fingers_zoom(phone: Any, smaller: tuple[np.ndarray, np.ndarray]) -> None:
    slide(phone, ((-40, 0), (-60, 0)), ((40, 0), (60, 0)))
    assert shown(phone)[1] / smaller[1] == pytest.approx(1.5, rel=0.1)


def test_two_fingers_move_and_do_not_turn(phone: Any, smaller: tuple[np.ndarray, np.ndarray]) -> None:
    slide(phone, ((-40, 0), (-10, 20)), ((40, 0), (70, 20)))
    middle, spread = shown(phone)
    assert middle - smaller[0] == pytest.approx([30, 20], abs=2)
    assert spread == pytest.approx(smaller[1], rel=0.03)


def test_one_finger_turns(phone: Any, smaller: tuple[np.ndarray, np.ndarray]) -> None:
    slide(phone, ((0, 0), (0, 120)))  # to above
    assert abs(shown(phone)[1] / smaller[1] - 1).max() > 0.1


def test_the_hint_is_that_of_a_phone(phone: Any) -> None:
    assert phone.locator(".hint").inner_text().startswith("drag to turn · pinch to zoom · two fingers to move")
