"""index.html of a batch, as text and in a real browser: offline, of any names, to sort and to filter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from da3_workflows.index_page import PAGE, write_index
from da3_workflows.records import CaptureRecord

from da3_pipeline.types import Dropped

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = os.environ.get("DA3_REPORT_SCREENSHOTS")
"""A folder to keep the screenshots in, for people to look at."""

EVIL = '<img src=x onerror=alert(1)> "&" javascript:alert(1)'
NO_TEXT = os.fsdecode(b"caf\xe9 #1?%41")
COMMANDS = "right\u202eto left \x1b[2J"
LONG = "a walk through the old town " + "IMG_20260412_" * 12


def record(name: str, status: Any = "done", **told: Any) -> CaptureRecord:
    return CaptureRecord(name, status, "key", **{"reason": "good: 21 gates passed", "seconds": 61.5} | told)


def written(
    output: Path, records: list[CaptureRecord], waiting: tuple[str, ...] = (), left_out: tuple[Dropped, ...] = ()
) -> str:
    """The page of these captures; reports and logs are where a batch has them."""
    names = [*(one.name for one in records), *waiting]
    sessions = {name: (output / name, output / ".da3-batch" / f"{name}.log") for name in names}
    for session, log in sessions.values():
        session.mkdir(parents=True, exist_ok=True)
        (session / "report.html").write_text("<title>report</title>")
        log.parent.mkdir(exist_ok=True)
        log.write_text("log")
    write_index(output, sessions, {one.name: one for one in records}, left_out)
    return (output / PAGE).read_text(encoding="utf-8")


def references(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split('href="')[1:]]


def test_every_name_is_escaped_and_leads_to_its_own_report(tmp_path: Path) -> None:
    names = [EVIL, NO_TEXT, COMMANDS]
    page = written(tmp_path, [record(name, reason=f"{name} was lost") for name in names])
    assert "<img" not in page and "\u202e" not in page and "\x1b" not in page
    assert "right?to left ?[2J" in page and "&lt;img src=x" in page
    found = [tmp_path / os.fsdecode(unquote_to_bytes(reference)) for reference in references(page)]
    assert [path.parent.name for path in found] == names and all(path.is_file() for path in found)
    assert all(reference.startswith("./") and ":" not in reference for reference in references(page))


def test_what_went_wrong_leads_to_its_log_and_what_waits_nowhere(tmp_path: Path) -> None:
    page = written(tmp_path, [record("a"), record("b", "crashed"), record("c", "below gates")], ("d",))
    assert references(page) == ["./a/report.html", "./.da3-batch/b.log", "./c/report.html"]
    assert page.count(">waiting</span>") == 2  # its row, and the choice


def test_a_page_that_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text("<title>my own page</title>")
    assert written(tmp_path, [record("a")]) == "<title>my own page</title>"
    (tmp_path / PAGE).unlink()
    assert "my own" not in written(tmp_path, [record("a")])
    assert ">b</a>" in written(tmp_path, [record("b")])  # ours is replaced


def test_a_page_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / f".{PAGE}.new").mkdir()
    write_index(tmp_path, {}, {}, ())
    assert not (tmp_path / PAGE).exists()


def test_the_page_of_many_captures_grows_with_them_alone(tmp_path: Path) -> None:
    """A row is under a kilobyte, however many there are."""
    few, many = (
        len(written(tmp_path / str(count), [record(f"capture {k}") for k in range(count)])) for count in (10, 510)
    )
    assert (many - few) / 500 < 1000


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    driver_of = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium: install the package of that name")
    captures = [
        record("room 2", seconds=5.0, frames_posed=9, frames=10),
        record("room 10", "below gates", seconds=600.0, frames_posed=100, frames=120, reason="torn at IMG_7.jpg"),
        record(LONG, "failed", seconds=0.2, reason=f"{LONG}: no readable frame"),
        record(EVIL, "crashed", seconds=1.0, reason="MemoryError", tries=2),
        record("shed", seconds=70.0, frames_posed=11, frames=11, reused=True),
    ]
    written(tmp_path, captures, ("yard",), (Dropped(EVIL, "no pictures"),))
    with driver_of.sync_playwright() as driver:
        browser, noise = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]), []
        opened = browser.new_page()
        opened.on("console", lambda message: noise.append(message.text))
        opened.on("pageerror", lambda error: noise.append(str(error)))
        opened.on("request", lambda request: noise.append(request.url))
        opened.goto((tmp_path / PAGE).as_uri())
        assert noise == [(tmp_path / PAGE).as_uri()]
        yield opened
        assert noise[:1] == [(tmp_path / PAGE).as_uri()] and all("report.html" in one for one in noise[1:])
        browser.close()


def names(page: Any) -> list[str]:
    return [text.split("\n")[0] for text in page.locator("tbody tr:visible td.name").all_inner_texts()]


def test_rows_are_sorted_by_what_a_column_means(page: Any) -> None:
    assert names(page)[:2] == ["room 2", "room 10"]  # as people count
    page.get_by_role("button", name="Time").click()
    ordered = names(page)
    assert [ordered[k] for k in (0, -2, -1)] == ["yard", "shed", "room 10"]
    page.get_by_role("button", name="Time").click()
    assert names(page)[:2] == ["room 10", "shed"]
    page.get_by_role("button", name="Frames").click()
    assert names(page)[-3:] == ["room 2", "shed", "room 10"]
    page.get_by_role("button", name="Capture", exact=True).click()
    assert names(page)[:2] == ["room 2", "room 10"]


def test_rows_are_filtered_by_verdict_and_by_words(page: Any) -> None:
    page.get_by_role("button", name="done 2").click()
    assert names(page) == ["room 2", "shed"] and page.locator("#shown").inner_text() == "2 of 6 shown"
    page.get_by_role("searchbox").fill("SHED")
    assert names(page) == ["shed"]
    page.get_by_role("button", name="all 6").click()
    page.get_by_role("searchbox").fill("img_7")  # of a reason
    assert names(page) == ["room 10"]
    page.get_by_role("searchbox").fill("")
    assert len(names(page)) == 6 and page.locator("#shown").inner_text() == ""


def test_a_name_leads_to_the_report(page: Any) -> None:
    page.get_by_role("link", name="room 10").click()
    assert page.title() == "report"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    for width in (390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"index_{width}_{scheme}.png", full_page=True)
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0, width
        box = "document.querySelector('.scroll')"
        assert page.evaluate(f"{box}.scrollWidth - {box}.clientWidth") <= 1, width
