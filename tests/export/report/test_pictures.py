"""The contact sheet, the maps and the histogram, against what they show."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.export.report.contact_sheet import ContactSheet, contact_sheet, letter_of, letters
from da3_pipeline.export.report.drawing import maps_of, nice_length
from da3_pipeline.export.report.histogram import drawn_histogram, error_figures
from da3_pipeline.export.report.reading import by_reason
from da3_pipeline.types import ExportResult, Frame, Scene

NAMES = ("a.png", "b.png", "c.png", "e.png")


def result(*names: str) -> ExportResult:
    return ExportResult(Path(), len(names), 0, 0, image_names={name: name for name in names})


def lost_photo(folder: Path, name: str) -> Frame:
    Image.fromarray(np.full((300, 400, 3), (200, 30, 30), np.uint8)).save(folder / name)
    return Frame(name, folder / name, 400, 300, "phone", name)


@pytest.fixture
def capture(room: Any, tmp_path: Path) -> tuple[Scene, list[Frame]]:
    """Four frames; a photograph, d, that was left out before it became one; b was left out later."""
    scene = room(names=NAMES, track_count=50)
    photos = [*scene.frames[:3], lost_photo(tmp_path, "d.png"), *scene.frames[3:]]
    return scene, photos


def sheet(scene: Scene, photos: list[Frame], limit: int = 10) -> ContactSheet:
    dropped = [{"frame": "d.png", "reason": "blurred"}, {"frame": "b.png", "reason": "no pose"}]
    dropped.append({"frame": "clip/000001.jpg", "reason": "blurred"})
    reasons = letters(by_reason(dropped, 5))
    return contact_sheet(scene, result("a.png", "c.png", "e.png"), photos, reasons, limit)


def test_images_stand_in_capture_order_with_the_letter_of_their_reason(capture: Any) -> None:
    shown = sheet(*capture)
    assert [(one.name, one.letter) for one in shown.thumbnails] == [
        *(("a.png", ""), ("b.png", "B"), ("c.png", ""), ("d.png", "A"), ("e.png", ""))
    ]
    assert (shown.used, shown.shown_used, shown.left_out, shown.shown_left_out) == (3, 3, 2, 2)
    red = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.thumbnails[3].image.partition(",")[2]))))
    assert red.shape == (84, 112, 3) and np.abs(red.mean(axis=(0, 1)) - [200, 30, 30]).max() < 6


def test_of_many_images_some_are_shown_and_all_are_counted(capture: Any) -> None:
    shown = sheet(*capture, limit=2)
    assert [one.name for one in shown.thumbnails] == ["a.png", "b.png", "e.png"]
    assert (shown.used, shown.shown_used, shown.left_out, shown.shown_left_out) == (3, 2, 2, 1)


def test_an_image_whose_file_is_gone_is_not_shown(capture: Any) -> None:
    scene, photos = capture
    scene.frames[2].path.unlink()
    shown = sheet(scene, photos)
    assert "c.png" not in [one.name for one in shown.thumbnails] and (shown.used, shown.shown_used) == (3, 2)


def test_letters_go_on_after_z() -> None:
    assert [letter_of(number) for number in (0, 25, 26, 27, 52, 701)] == ["A", "Z", "AA", "AB", "BA", "ZZ"]


def test_a_bar_of_the_map_is_as_long_as_it_says(room: Any) -> None:
    """A metre is half a unit here: two cameras that are four units apart are two metres apart in the drawing."""
    places = np.array([[0.0, 0, 0], [4, 0, 0], [4, 3, 1]])
    frames = [replace(frame, video="clip.mp4") for frame in room(names=NAMES[:3], track_count=50).frames]
    frames[2] = replace(frames[2], video="other.mp4")
    refined = np.array([True, False, True])
    above, side = maps_of(np.zeros((0, 3)), places, np.tile([0.0, 1, 0], (3, 1)), refined, frames, 0.5)
    (start, end) = np.array([part.split() for part in above.way[1:].split("L")], float)  # only within one video
    metres = {"50 cm": 0.5, "20 cm": 0.2, "1 m": 1.0}[above.bar.label]
    assert above.bar.length_px == pytest.approx(np.linalg.norm(end - start) / 2 * metres, abs=0.2)
    assert (above.refined.count("M"), above.others.count("M")) == (2, 1)
    assert above.first == pytest.approx(start, abs=0.1)
    last = np.array(side.refined.split("M")[2].split("h")[0].split(), float)
    assert last[1] < side.first[1]  # up in the world is up in the drawing
    assert maps_of(np.zeros((0, 3)), places, places, refined, frames, None)[0].bar is None


@pytest.mark.parametrize(("at_most", "length"), [(1.0, 1), (0.99, 0.5), (7, 5), (24, 20), (0.0043, 0.002)])
def test_lengths_are_round(at_most: float, length: float) -> None:
    assert nice_length(at_most) == pytest.approx(length)


def test_every_error_is_in_the_histogram_or_counted_beyond_it() -> None:
    errors = np.concatenate([np.linspace(0, 2, 990), np.full(10, 50.0), [np.nan]])
    figures = error_figures(errors)
    assert figures is not None and figures["observations"] == 1000
    assert sum(figures["counts"]) + figures["beyond"] == 1000 and figures["beyond"] == 10
    assert figures["median_px"] == pytest.approx(1.01, abs=0.01) and figures["p90_px"] == pytest.approx(1.82, abs=0.01)
    drawn = drawn_histogram(figures)
    assert drawn.median_at == pytest.approx(420 * figures["median_px"] / figures["to_px"], abs=0.1)
    assert [label for _, label in drawn.ticks] == ["0.5", "1", "1.5", "2"]
    assert error_figures(np.full(3, np.nan)) is None
    exact = error_figures(np.full(5, 1e-9))
    assert exact is not None and (exact["counts"][0], exact["to_px"]) == (5, 0.1)
