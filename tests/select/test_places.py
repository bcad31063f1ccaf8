"""Places that are shown again are known; new ones, and slow or featureless ones, are new."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from da3_pipeline import ingest
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select import SelectConfig
from da3_pipeline.select.analysis import VideoAnalysis, analyse
from da3_pipeline.select.measures.places import Places

Views = Callable[..., list[np.ndarray]]
Film = Callable[..., Path]


def visits(views: Views, positions_px: Sequence[float]) -> list[int]:
    places = Places(SelectConfig(min_motion=0.04))
    return [places.visit(np.ascontiguousarray(view[..., 0]), 0.3) for view in views(1, positions_px)]


def analysed(folder: Path, film: Film, frames: Sequence[np.ndarray]) -> VideoAnalysis:
    film(folder / "in" / "clip.mp4", frames)
    (clip,) = ingest.run([folder / "in"], IngestConfig(), SilentProgress()).videos
    return analyse(clip, SelectConfig(min_motion=0.04), lambda index: None)


def test_a_walk_shows_nothing_twice(views: Views) -> None:
    assert visits(views, np.arange(60) * 9.0) == [0] * 60


def test_there_and_back_and_there_again(views: Views) -> None:
    way = np.arange(20) * 9.0
    found = visits(views, [*way, *way[-2::-1], *way[1:]])
    assert found[:20] == [0] * 20
    assert set(found[20:39]) == {1}
    assert set(found[39:-1]) == {2}


def test_a_place_shown_blurred_is_new_when_it_is_shown_sharp(views: Views) -> None:
    places = Places(SelectConfig(min_motion=0.04))
    frames = [np.ascontiguousarray(view[..., 0]) for view in views(1, [0.0, 90.0, 180.0, 0.0, 90.0, 0.0])]
    assert [
        places.visit(frame, sharp) for frame, sharp in zip(frames, (0.1, 0.3, 0.3, 0.3, 0.3, 0.3), strict=True)
    ] == [
        *(0, 0, 0),
        *(0, 1, 1),
    ]


def test_places_without_features_are_never_the_same() -> None:
    places = Places(SelectConfig(min_motion=0.04))
    shaded = np.tile(np.linspace(60, 200, 320), (192, 1)).astype(np.uint8)
    assert [places.visit(shaded, 0.0) for _ in range(8)] == [0] * 8


def test_a_slow_walk_past_few_corners_is_new_all_along(tmp_path: Path, film: Film) -> None:
    """Fewer corners than can be followed: the anchor moves in every frame, which is no coming back."""
    wall = np.full((192, 1200, 3), 200, np.uint8)
    for x in range(20, 1200, 60):
        cv2.rectangle(wall, (x, 60 + x % 70), (x + 14 + x % 9, 90 + x % 50), (40, 90, x % 200), -1)
    found = analysed(tmp_path, film, [wall[:, 3 * k : 3 * k + 320] for k in range(150)])
    assert found.visits.max() == 0 and found.travelled[-1] > 0.8


def test_shaking_on_the_spot_is_coming_back(tmp_path: Path, views: Views, film: Film) -> None:
    shake = 300 + 45 * np.sin(np.arange(240) * 0.6)
    found = analysed(tmp_path, film, views(1, shake))
    assert found.travelled[-1] > 4
    assert (found.visits[60:] == 2).mean() > 0.9


def test_light_is_followed_through_a_walk(tmp_path: Path, views: Views, film: Film) -> None:
    """Automatic exposure takes the light down to a quarter while the camera moves on to other things."""
    stops = -2 * np.clip((np.arange(80) - 20) / 40, 0, 1)
    frames = [
        (255 * ((view / 255) ** 2.2 * 2.0**stop) ** (1 / 2.2)).astype(np.uint8)
        for view, stop in zip(views(1, np.arange(80) * 7.0), stops, strict=True)
    ]
    found = analysed(tmp_path, film, frames)
    measured = np.array([found.exposures[k].stops for k in range(80)], float)
    np.testing.assert_allclose(measured, stops, atol=0.2)
    assert found.exposures[79].brightness < 0.65 * found.exposures[0].brightness
