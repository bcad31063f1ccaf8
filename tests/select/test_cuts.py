"""Cuts are found where they are, and nothing that a hand, a light or a fast turn does is taken for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from da3_pipeline.select import SelectConfig
from da3_pipeline.select.measures.cuts import CutFinder, likeness, share_found
from da3_pipeline.select.measures.flow import shift_between
from da3_pipeline.select.measures.motion import MotionTracker
from da3_pipeline.videoio import decode_frames, probe_video

Views = Callable[..., list[np.ndarray]]
SHARED = Path(__file__).parents[3] / "shared" / "data"


def cuts_of(frames: Sequence[np.ndarray]) -> list[int]:
    config = SelectConfig()
    tracker, finder = MotionTracker(config), CutFinder(config)
    for frame in frames:
        grey = np.ascontiguousarray(frame[..., 0] if frame.ndim == 3 else frame)
        finder.take(grey, tracker.step(grey))
    return np.flatnonzero(finder.cuts()).tolist()


def under_one_sky(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Bright above and dark below, as most pictures of one afternoon: thumbnails of any two correlate."""
    light = np.linspace(235, 20, frames[0].shape[0])[:, None, None]
    return [np.clip(0.4 * (frame.astype(float) - 128) + light, 0, 255).astype(np.uint8) for frame in frames]


def test_a_cut_is_found_where_it_is(views: Views) -> None:
    frames = views(1, np.arange(12) * 4.0) + views(2, np.arange(9) * 4.0) + views(3, np.arange(5) * 4.0)
    assert cuts_of(frames) == [12, 21]


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_between_places_in_the_same_light(views: Views, seed: int) -> None:
    first, second = views(seed, np.arange(10) * 4.0), views(seed + 20, 300 + np.arange(10) * 4.0)
    assert cuts_of(under_one_sky(first) + under_one_sky(second)) == [10]


def test_a_cut_to_another_part_of_the_same_wall(views: Views) -> None:
    assert cuts_of(views(4, np.arange(8) * 4.0) + views(4, 900 + np.arange(8) * 4.0)) == [8]


@pytest.mark.parametrize("speed_px", [40, 70])
def test_a_cut_amid_fast_motion(views: Views, speed_px: int) -> None:
    assert cuts_of(views(1, np.arange(8) * speed_px) + views(2, np.arange(8) * speed_px)) == [8]


def test_a_fast_pan_is_no_cut(views: Views) -> None:
    positions = np.concatenate([np.arange(10) * 4.0, 40 + np.arange(6) * 90.0, 580 + np.arange(10) * 4.0])
    assert cuts_of(views(1, positions)) == []
    smeared = views(1, positions, blurred=range(10, 16))
    assert cuts_of(smeared) == []


@pytest.mark.parametrize("frames_lit", [1, 2])
@pytest.mark.parametrize("change", [120, 250, -120])
def test_a_flash_or_a_black_frame_is_no_cut(views: Views, change: int, frames_lit: int) -> None:
    frames = views(1, np.arange(12) * 4.0)
    for number in range(6, 6 + frames_lit):
        frames[number] = np.clip(frames[number].astype(int) + change, 0, 255).astype(np.uint8)
    assert cuts_of(frames) == []


def test_lights_that_go_out_are_no_cut(views: Views) -> None:
    frames = views(1, np.arange(20) * 4.0)
    assert cuts_of(frames[:8] + [(frame * 0.2).astype(np.uint8) for frame in frames[8:14]] + frames[14:]) == []


@pytest.mark.parametrize("frames_smeared", [1, 3, 7])
def test_a_jolt_is_no_cut(views: Views, frames_smeared: int) -> None:
    frames = views(1, np.arange(20) * 4.0)
    for number in range(8, 8 + frames_smeared):
        frames[number] = cv2.blur(frames[number], (41, 1))
    assert cuts_of(frames) == []


@pytest.mark.parametrize("noise", [1.0, 2.0])
@pytest.mark.parametrize("speed_px", [2, 6, 20])
@pytest.mark.parametrize("sockets", [0, 3])
def test_a_blank_wall_is_no_series_of_cuts(noise: float, speed_px: int, sockets: int) -> None:
    rng = np.random.default_rng(sockets)
    wall = np.tile(170 + 25 * np.sin(np.arange(320 + 50 * speed_px) / 400), (180, 1))
    for across in rng.integers(20, wall.shape[1] - 40, sockets):
        wall[60:84, across : across + 16] -= 70
    film = [wall[:, k * speed_px :][:, :320] + rng.normal(0, noise, (180, 320)) for k in range(50)]
    assert cuts_of([frame.clip(0, 255).astype(np.uint8) for frame in film]) == []


def test_a_black_stretch_between_two_places(views: Views) -> None:
    dark = [np.random.default_rng(k).integers(6, 11, (192, 320), np.uint8) for k in range(10)]
    film = [frame[..., 0] for frame in views(1, np.arange(8) * 4.0)] + dark
    assert cuts_of([*film, *(frame[..., 0] for frame in views(2, np.arange(8) * 4.0))]) == [8, 18]


def test_a_cut_into_the_last_frame_and_short_films(views: Views) -> None:
    assert cuts_of(views(1, [0, 4, 8]) + views(2, [0])) == [3]
    assert cuts_of(views(1, [0])) == []
    assert cuts_of([]) == []
    assert cuts_of([np.full((192, 320), level, np.uint8) for level in (0, 128, 255, 255)]) == []


def moved(views: Views, by_px: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Two windows of 200 x 120 px on one wall, the second farther by (right, down)."""
    (wall,) = views(3, [0])
    left, top = 60, 36
    first = wall[top : top + 120, left : left + 200, 0]
    second = wall[top + by_px[1] : top + by_px[1] + 120, left + by_px[0] : left + by_px[0] + 200, 0]
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


@pytest.mark.parametrize("by_px", [(0, 0), (45, 0), (-45, 0), (0, 30), (0, -30), (40, 25), (-40, -25)])
def test_what_has_moved_as_a_whole_is_found_there(views: Views, by_px: tuple[int, int]) -> None:
    first, second = moved(views, by_px)
    shift = shift_between(first, second)[0]
    assert shift == pytest.approx(-np.array(by_px), abs=1.0)
    assert likeness(first, second, shift, SelectConfig()) > 0.9
    assert share_found(first, second, shift, SelectConfig()) > 0.7


def test_less_than_a_third_in_common_is_not_compared_as_moved(views: Views) -> None:
    (one,), (other,) = views(1, [0]), views(2, [0])
    left = np.ascontiguousarray(np.hstack([other[:, :220, 0], one[:, :100, 0]]))
    right = np.ascontiguousarray(np.hstack([one[:, :100, 0], other[:, 100:320, 0]]))
    beyond = likeness(left, right, np.array([-220.0, 0.0]), SelectConfig())
    within = SelectConfig.model_validate({"cuts": {"least_overlap": 0.3}})
    assert beyond < 0.5 < 0.95 < likeness(left, right, np.array([-220.0, 0.0]), within)


def test_of_another_place_next_to_nothing_is_found_and_corners_outside_do_not_count(views: Views) -> None:
    (one,), (other,) = views(1, [0]), views(2, [0])
    first, second = one[..., 0], other[..., 0]
    for shift in ((0.0, 0.0), (150.0, 0.0), (-300.0, 0.0), (0.0, 170.0), (0.0, -170.0)):
        assert share_found(first, second, np.array(shift), SelectConfig()) < 0.1
    assert likeness(first, second, np.zeros(2), SelectConfig()) < 0.4
    assert share_found(np.full((192, 320), 90, np.uint8), second, np.zeros(2), SelectConfig()) == 0.0


def test_lights_and_contrast_do_not_hide_what_is_the_same(views: Views) -> None:
    (one,) = views(1, [0])
    first, darker = one[..., 0], (one[..., 0] * 0.4 + 30).astype(np.uint8)
    assert likeness(first, darker, np.zeros(2), SelectConfig()) > 0.95
    assert share_found(first, first, np.zeros(2), SelectConfig()) == 1.0


@pytest.mark.skipif(not (SHARED / "video").exists(), reason="needs ../shared/data")
def test_joins_of_real_places_and_none_within_them() -> None:
    """Thirty joins of videos and photographs of unlike places; no cut in the videos, nor in every fourth frame."""
    clips = []
    for path in (SHARED / "captures/video/iphone_hlg.mov", SHARED / "video/robot_unitree.mp4"):
        grey = [frame.grey(320) for frame in decode_frames(path, probe_video(path).times_s)]
        assert cuts_of(grey) == [] and cuts_of(grey[::4]) == []
        clips += [grey[start : start + 10] for start in (0, 50, 100)]
    folders = ("strecha/fountain-P11", "strecha/castle-P19", "skull", "captures/kitchen", "captures/can_on_tiles")
    for folder in folders:
        photo = cv2.imread(str(sorted((SHARED / folder / "images").iterdir())[0]), cv2.IMREAD_GRAYSCALE)
        small = cv2.resize(photo, (400, 250), interpolation=cv2.INTER_AREA)
        clips.append([small[10 + k : 190 + k, 3 * k : 3 * k + 320].copy() for k in range(10)])
    places = [0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6]
    joins = [(a, b) for a in range(11) for b in range(11) if places[a] != places[b]][::3][:30]
    assert len(joins) == 30
    for a, b in joins:
        side = (320, 180)
        film = [cv2.resize(frame, side, interpolation=cv2.INTER_AREA) for frame in (*clips[a], *clips[b])]
        assert cuts_of(film) == [10], (a, b)
