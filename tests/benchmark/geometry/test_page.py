"""The leaderboard as text and in a real browser: offline, of any names, whole on a phone, in light and dark."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from da3_pipeline.benchmark.geometry.cells import CellResult
from da3_pipeline.benchmark.geometry.evaluation import SceneFigures
from da3_pipeline.benchmark.geometry.page import Section, rendered_page
from da3_pipeline.benchmark.geometry.plots import Axis, Series, mark, scatter, strips
from da3_pipeline.benchmark.geometry.report import growth_by_method

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = os.environ.get("DA3_REPORT_SCREENSHOTS")
"""A folder to keep the screenshots in, for people to look at."""

EVIL = '<img src=x onerror=alert(1)> "&" \u202e'
METHODS = ("floor:random", "raw:da3-nano", "ray:da3-nano", "long:da3-nano", "refined:da3-nano", "colmap:photographs",
           "colmap:global", "colmap:few", f"npz:{EVIL}")  # fmt: skip
SCENES = ("courtyard", "delivery_area", "electro", "a scene with a very long name, the last of them", EVIL)
CELLS = ("right and passed", "right and flagged", "wrong and flagged", "wrong and passed")


def figures(value: float, number: int) -> SceneFigures:
    areas = {limit: min(100.0, value * (0.4 + 0.15 * k)) for k, limit in enumerate(("1", "3", "5", "15", "30"))}
    f1 = value / 120
    surface = dict.fromkeys(("accuracy", "completeness", "chamfer"), 1 / (value + 1))
    surface |= dict.fromkeys(("precision", "recall", "f1"), f1)
    kinds = ("", "map_", "scale_shift_", "metric_")
    depth = {f"{kind}abs_rel": 0.1 for kind in kinds} | {f"{kind}delta_1": value for kind in kinds}
    pictures = {"psnr_db": value / 4, "ssim": value / 100, "lpips": 1 - value / 100}
    return SceneFigures(
        views=12, registered=11, auc=areas, strict_auc=areas, published_auc=areas, rra=areas, rta=areas, ate=0.1,
        ate_percent=100 / (value + 1), rpe=0.1, rpe_deg=1.0, depth=depth, unposed=surface, posed=surface,
        novel_views=pictures, cell=CELLS[number % 4],
    )  # fmt: skip


def results() -> list[CellResult]:
    found = []
    for dataset in ("eth3d", "rendered"):
        for number, scene in enumerate(SCENES):
            for k, method in enumerate(METHODS):
                for views in (None, 3, 8, 20):
                    value = min(99.0, 11.0 * k + 3 * number + (views or 12) / 4)
                    judged = figures(value, number + k) if method.startswith("refined") else None
                    one = judged or SceneFigures(**(figures(value, 0).__dict__ | {"cell": None}))
                    seconds = None if k == 0 else 0.8 * k * (views or 12) ** 1.2
                    told = {"wall_s": seconds, "peak_mb": 400.0 * k if k else None, "cell_mb": 300.0 + k}
                    found.append(CellResult(dataset, scene, method, views, one, **told))
    return [*found, CellResult("eth3d", "spoilt", METHODS[1], None, failure=f"{EVIL}: get the data set again")]


def whole_page() -> str:
    table = "\n".join([f"{'scenario':<24}{'ours':>12}{'COLMAP':>120}", f"{EVIL:<24}{1:>12}{2:>120}"])
    sections = (
        Section("Scenarios", "Captures hard in one way each.", "da3-pipeline bench scenarios", table, seconds=75.0),
        Section("Long captures", "Memory and drift.", "da3-pipeline bench long 200", failure=f"{EVIL} is not there"),
    )
    found = results()
    about = {"command": "da3-pipeline bench all --quick " + "--method npz:/a/long/path " * 8, "version": EVIL}
    return rendered_page("Visual geometry benchmark", found, growth_by_method(found), about, sections)


def test_names_are_escaped_and_nothing_is_asked_of_the_network() -> None:
    page = whole_page()
    assert (
        "<img" not in page
        and "&lt;img src=x" in page
        and "http:" not in page
        and "https:" not in page
        and "<script" not in page
    )
    assert page.count("<svg") > 10 and "\u202e" not in page.replace(table_of(page), "")


def table_of(page: str) -> str:
    return page[page.index("<pre") : page.index("</pre>")]


def test_the_page_of_nothing_is_a_page() -> None:
    page = rendered_page("it", [], {}, {})
    assert "0 scenes" in page and "Published figures of data sets that are not here" in page


def test_published_rows_are_marked_and_others_stand_apart() -> None:
    page = whole_page()
    before, after = page.split("Published figures of data sets that are not here")
    assert before.count("(published)") == 9 + 9 + 5 and "48.4" in before  # ETH3D's, which was measured
    assert "94.1" in after and "48.4" not in after  # DTU's, which was not


def test_the_best_of_a_column_is_marked() -> None:
    found = [CellResult("rendered", "a", name, None, figures(value, 0)) for name, value in (("x", 10.0), ("y", 80.0))]
    rows = [row for row in rendered_page("it", found, {}, {}).split("<tr>") if 'data-label="AUC@5"' in row]
    assert [row.count(" best") for row in rows] == [0, 7]  # both have all images posed


def test_how_often_good_was_right_is_on_the_page() -> None:
    """Of ten scenes and four numbers of views, 16 passed rightly and 8 wrongly."""
    part = whole_page().split("What the verdict was worth")[1].split("</section>")[0]
    assert "16 of 24 (67 %)" in part and part.count("refined:da3-nano") == 1
    assert [int(count) for count in re.findall(r'data-label="[a-z ]+">(\d+)<', part)] == [16, 8, 8, 8]


def test_methods_of_depth_alone_stand_among_depth_alone() -> None:
    nothing = dict.fromkeys(("1", "3", "5", "15", "30"))
    told = figures(40.0, 0).__dict__ | dict.fromkeys(("auc", "strict_auc", "published_auc", "rra", "rta"), nothing)
    told |= {"registered": None, "ate_percent": None, "unposed": None, "posed": None, "novel_views": None, "cell": None}
    alone = CellResult("rendered", "a", "mono:x", None, SceneFigures(**told), cell_mb=512.4)
    page = rendered_page("it", [CellResult("rendered", "a", "y", None, figures(50.0, 0)), alone], {}, {})
    boards = page.split('class="stack board"')[1:5]
    assert [("mono:x" in board.split("</table>")[0]) for board in boards] == [False, True, False, False]
    costs = ['data-label="judging MB">512<' in board.split("</table>")[0] for board in boards]
    assert costs == [False, True, False, False]


def test_points_lie_where_their_values_are() -> None:
    drawn = scatter(
        [Series("a", 1, ((1.0, 0.0, "low"), (100.0, 100.0, "high")))], Axis("s", log=True), Axis("%", 0, 100)
    )
    assert 'cx="66.3" cy="286.0"' in drawn and 'cx="485.7" cy="12.0"' in drawn and "<title>high</title>" in drawn
    assert ">1<" in drawn and ">10<" in drawn and ">100<" in drawn
    joined = scatter([Series("a", 1, ((1.0, 0.0, ""), (2.0, 1.0, "")))], Axis("x"), Axis("y"), joined=True)
    assert joined.count("polyline") == 1 and scatter([], Axis("x"), Axis("y")) == strips([], [], Axis("x")) == ""
    rows = strips(["one", "two"], [Series("a", 0, ((50.0, 1.0, ""),))], Axis("%", 0, 100))
    others = strips(
        ["one"], [Series("a", 0, ((50.0, 0.0, ""),)), Series("c", 2, ((50.0, 0.0, ""),))], Axis("%", 0, 100)
    )
    assert 'cy="18.5"' in others and 'cy="31.5"' in others  # within the row of 12 to 38, whatever their styles
    assert 'cx="328.0" cy="44.5"' in rows and ">two<" in rows
    assert len({mark(style, 0, 0).split(" ")[0] for style in (0, 8, 16)}) == 3


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    driver_of = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium: install the package of that name")
    (tmp_path / "index.html").write_text(whole_page(), encoding="utf-8")
    with driver_of.sync_playwright() as driver:
        browser, noise = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]), []
        opened = browser.new_page()
        opened.on("console", lambda message: noise.append(message.text))
        opened.on("pageerror", lambda error: noise.append(str(error)))
        opened.on("request", lambda request: noise.append(request.url))
        opened.goto((tmp_path / "index.html").as_uri())
        yield opened
        browser.close()
    assert noise == [(tmp_path / "index.html").as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"leaderboard_{width}_{scheme}.png", full_page=True)
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, width
        boards = """Array.from(document.querySelectorAll('div.scroll'))
            .filter(box => box.scrollWidth > box.clientWidth + 1).length"""
        assert page.evaluate(boards) == 0, width  # tables of the other benchmarks, as printed, scroll alone
