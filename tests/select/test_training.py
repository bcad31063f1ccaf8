"""What chosen frames are for: training, the poses only, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from da3_pipeline import ingest, select
from da3_pipeline.ingest import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select import SelectConfig
from da3_pipeline.select.analysis import VideoAnalysis
from da3_pipeline.select.choose import Choice, choose
from da3_pipeline.select.photos import Looked, without_smeared
from da3_pipeline.types import Frame, FrameSet

Views = Callable[..., list[np.ndarray]]
Film = Callable[..., Path]


def analysis(travelled: np.ndarray, sharpness: np.ndarray, visits: np.ndarray | None = None) -> VideoAnalysis:
    count = len(travelled)
    none = np.zeros(count, np.int64)
    return VideoAnalysis(np.ones(count, bool), sharpness, travelled, none, none if visits is None else visits, {})


def pick(item: VideoAnalysis, step: float = 0.04, budget: int = 300) -> Choice:
    return choose([item], [np.arange(len(item.travelled)) / 30], SelectConfig(min_motion=step, max_frames=budget))[0]


def for_training(choice: Choice) -> np.ndarray:
    return np.array([frame for frame in choice.taken.tolist() if frame not in choice.pose_only])


def test_a_blurred_stretch_is_bridged_for_the_poses_alone() -> None:
    travelled = np.linspace(0, 3.0, 300)
    sharp = np.full(300, 0.3)
    sharp[140:170] = 0.12  # 0.3 of the diagonal: longer than neighbours can do without
    choice = pick(analysis(travelled, sharp))
    taken, training = choice.taken, for_training(choice)
    assert np.diff(travelled[taken]).max() < 0.13
    assert choice.pose_only and all(140 <= frame < 170 for frame in choice.pose_only)
    assert all(reason.startswith("blurred: ") for reason in choice.pose_only.values())
    assert len(training) >= 65
    assert not ((training >= 145) & (training < 165)).any() or choice.remarks


def test_a_blurred_place_gives_way_to_a_sharp_frame_between_its_neighbours() -> None:
    sharp = np.full(150, 0.3)
    sharp[70:76] = 0.1  # more than the window around a place aimed at, less than a step
    choice = pick(analysis(np.linspace(0, 1.0, 150), sharp))
    assert len(choice.taken) == 26 and not choice.pose_only
    assert sharp[choice.taken].min() == 0.3
    assert np.diff(np.linspace(0, 1.0, 150)[choice.taken]).min() >= 0.011


def test_what_only_a_blurred_frame_shows_is_trained_on_unless_it_is_smeared() -> None:
    travelled = np.linspace(0, 6.0, 600)
    sharp = np.full(600, 0.3)
    sharp[250:350] = np.where(np.arange(100) % 10 == 5, 0.15, 0.12)
    choice = pick(analysis(travelled, sharp))
    used = [frame for frame in for_training(choice).tolist() if 250 <= frame < 350]
    assert 1 <= len(used) <= 4
    assert {choice.remarks[frame] for frame in used} == {"blurred, but nothing sharper shows this"}
    training = travelled[for_training(choice)]
    assert np.diff(training).max() <= 0.55
    sharp[250:350] = 0.06
    smeared = pick(analysis(travelled, sharp))
    assert not any(250 <= frame < 350 for frame in for_training(smeared))
    assert np.diff(travelled[smeared.taken]).max() < 0.13


def test_softer_things_are_not_blurred_things() -> None:
    """The second half of the walk shows what has fewer sharp edges, for longer than blur lasts."""
    sharp = np.where(np.arange(1200) < 600, 0.3, 0.16)
    choice = pick(analysis(np.linspace(0, 12, 1200), sharp))
    assert len(choice.pose_only) <= 0.1 * len(choice.taken)
    assert (for_training(choice) > 700).sum() > 100


def test_an_evenly_blurred_video_is_used_and_says_so() -> None:
    choice = pick(analysis(np.linspace(0, 2, 200), np.full(200, 0.08)))
    assert len(choice.taken) == 51 and not choice.pose_only
    assert set(choice.remarks) == set(choice.taken.tolist())
    assert set(choice.remarks.values()) == {"blurred, as is everything filmed around it"}


def test_frames_without_edges_are_not_taken_for_blurred() -> None:
    sharp = np.full(300, 0.3)
    sharp[100:200] = 0.0
    choice = pick(analysis(np.linspace(0, 3.0, 300), sharp))
    assert not choice.pose_only and not choice.remarks


def test_scarce_frames_go_to_what_is_new() -> None:
    """A walk of 10 diagonals, then the way back, then ten times to and fro: the walk gets three quarters."""
    walk, back, idle = np.linspace(0, 10, 1000), np.linspace(10, 20, 1000), np.linspace(20, 120, 10_000)
    visits = np.repeat([0, 1, 2], [1000, 1000, 10_000])
    travelled = np.concatenate([walk, back, idle])
    choice = pick(analysis(travelled, np.full(12_000, 0.3), visits), budget=100)
    assert 98 <= len(choice.taken) <= 100
    assert (choice.taken < 1000).sum() >= 73
    again = [frame for frame in choice.taken.tolist() if 1000 <= frame < 2000]
    assert 20 <= len(again) <= 27 and set(again) <= set(choice.pose_only)
    assert {choice.pose_only[frame] for frame in again} == {"seen before: it only closes the loop to the first visit"}
    assert choice.reasons[5000] == "seen before: its place was shown twice already"
    assert not any(frame < 1000 for frame in choice.pose_only)


def test_within_the_budget_a_second_pass_is_used_in_full() -> None:
    visits = np.repeat([0, 1, 2], [200, 200, 200])
    choice = pick(analysis(np.linspace(0, 6, 600), np.full(600, 0.3), visits))
    assert not choice.pose_only
    assert (choice.taken < 200).sum() == pytest.approx(((choice.taken >= 200) & (choice.taken < 400)).sum(), abs=2)
    assert (choice.taken >= 400).sum() == 0


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0, 0.2), min_size=2, max_size=120),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.integers(2, 40),
)
def test_enough_is_left_for_training(walk: list[float], seed: int, share: float, budget: int) -> None:
    rng = np.random.default_rng(seed)
    sharp = np.where(rng.random(len(walk)) < share, rng.uniform(0, 0.2, len(walk)), 0.3)
    choice = pick(analysis(np.cumsum(walk), sharp), budget=budget)
    taken = choice.taken.tolist()
    assert set(choice.pose_only) <= set(taken) and not set(choice.pose_only) & set(choice.remarks)
    assert len(for_training(choice)) >= min(2, len(taken))
    assert len(for_training(choice)) >= len(taken) / 3
    assert set(taken).isdisjoint(choice.reasons)


def run(folder: Path, stills: Path, **settings: object) -> FrameSet:
    capture = ingest.run([folder], IngestConfig(), SilentProgress())
    return select.run(capture, SelectConfig(**settings), SilentProgress(), stills)


def number(frame: Frame) -> int:
    return int(Path(frame.name).stem)


def test_bursts_of_blur_stay_out_of_training(tmp_path: Path, views: Views, film: Film) -> None:
    blurred = [*range(30, 45), *range(70, 73), *range(100, 118)]  # a third of the film
    film(tmp_path / "in" / "walk.mp4", views(1, np.arange(140) * 5.0, blurred))
    frames = run(tmp_path / "in", tmp_path / "stills").frames
    training = [number(frame) for frame in frames if frame.training]
    assert not set(training) & set(blurred)
    assert {number(frame) for frame in frames if not frame.training} <= set(blurred)
    assert np.diff([number(frame) for frame in frames]).max() * 5.0 / np.hypot(320, 192) < 0.16
    assert all(frame.exposure is not None and 0.2 < (frame.exposure.brightness or 0) < 0.8 for frame in frames)
    everything = run(tmp_path / "in", tmp_path / "stills", pose_only=False).frames
    assert all(frame.training for frame in everything) and len(everything) == len(frames)


def test_a_film_blurred_throughout_gives_frames_and_says_so(tmp_path: Path, views: Views, film: Film) -> None:
    film(tmp_path / "in" / "walk.mp4", views(1, np.arange(60) * 6.0, range(60)))
    frames = run(tmp_path / "in", tmp_path / "stills").frames
    assert len(frames) >= 12 and all(frame.training for frame in frames)
    assert {frame.remark for frame in frames} == {"blurred, as is everything filmed around it"}


@pytest.mark.parametrize("blurred", [(), (1,), (0, 1)])
def test_a_film_of_two_frames(tmp_path: Path, views: Views, film: Film, blurred: Sequence[int]) -> None:
    film(tmp_path / "in" / "two.mp4", views(1, [0.0, 40.0], blurred))
    frames = run(tmp_path / "in", tmp_path / "stills").frames
    assert len(frames) == 2 and all(frame.training for frame in frames)


def test_a_quick_pan_between_calm_stretches_stays_connected(tmp_path: Path, views: Views, film: Film) -> None:
    pan = 180 + np.arange(1, 13) * 35.0
    positions = np.concatenate([np.arange(60) * 3.0, pan, pan[-1] + np.arange(1, 60) * 3.0])
    smeared = [cv2.blur(view, (35, 1)) if 60 <= index < 72 else view for index, view in enumerate(views(1, positions))]
    film(tmp_path / "in" / "pan.mp4", smeared)
    frames = run(tmp_path / "in", tmp_path / "stills").frames
    assert np.diff([positions[number(frame)] for frame in frames]).max() <= 75.0  # 0.77 of the picture is shared
    assert not any(62 <= number(frame) < 70 for frame in frames if frame.training and not frame.remark)


def test_an_over_long_film_spends_its_frames_on_the_walk(tmp_path: Path, views: Views, film: Film) -> None:
    """Half of it shaking on one spot, by more than a step to either side; then a walk."""
    shaking = 60 + 30 * np.sin(np.arange(300) * 0.7)
    positions = np.concatenate([shaking, 60 + np.arange(300) * 6.0])
    film(tmp_path / "in" / "long.mp4", views(1, positions))
    frames = run(tmp_path / "in", tmp_path / "stills", max_frames=40).frames
    assert len(frames) >= 36
    assert sum(number(frame) >= 300 for frame in frames) >= 0.85 * len(frames)


def photo(path: Path, seed: int, blur: int = 0) -> None:
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(0, 255, (24, 32, 3), np.uint8), (640, 480), interpolation=cv2.INTER_NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(cv2.blur(picture, (blur, blur)) if blur else picture).save(path)


def test_one_grossly_blurred_photograph_is_for_the_poses_only(tmp_path: Path) -> None:
    for seed in range(6):
        photo(tmp_path / "in" / f"{seed}.png", seed, blur={2: 25, 4: 3}.get(seed, 0))
    frames = run(tmp_path / "in", tmp_path / "stills").frames
    assert [frame.name for frame in frames if not frame.training] == ["2.png"]
    assert (frames[2].remark or "").startswith("blurred: its edges have 0.")
    assert all(frame.sharpness and frame.exposure and frame.exposure.brightness for frame in frames)


def test_photographs_are_not_judged_beside_too_few_or_when_all_are_blurred(tmp_path: Path) -> None:
    for seed in range(4):
        photo(tmp_path / "few" / f"{seed}.png", seed, blur=25 if seed == 2 else 0)
    for seed in range(8):
        photo(tmp_path / "all" / f"{seed}.png", seed, blur=25)
    for folder in ("few", "all"):
        assert all(frame.training for frame in run(tmp_path / folder, tmp_path / "stills").frames)


def test_photographs_are_compared_with_the_others_of_their_camera_or_where_these_are_few_with_all() -> None:
    sharp = {"phone": [0.05, 0.5, 0.4, 0.6, 0.45, 0.12], "slr": [0.1, 0.11, 0.9], "blank": [0.0, None]}
    photos = [
        Frame(f"{camera}/{k}.jpg", Path(), 64, 48, camera, f"{camera}{k}", sharpness=value)
        for camera, values in sharp.items()
        for k, value in enumerate(values)
    ]
    judgements = without_smeared([Looked(photo_in) for photo_in in photos], SelectConfig())
    for photo_in, judged in zip(photos, judgements, strict=True):
        own, camera = photo_in.sharpness, photo_in.camera_id
        others = [other for other in photos if other is not photo_in and other.sharpness]
        same = [other.sharpness for other in others if other.camera_id == camera]
        median = np.median(same if len(same) >= 4 else [other.sharpness for other in others])
        blurred = bool(own) and own / median < 0.35
        assert judged.training is not blurred
        if blurred:
            assert judged.remark == f"blurred: its edges have {own / median:.2f} of the others' sharpness"
    assert [frame.name for frame in judgements if not frame.training] == [
        *("phone/0.jpg", "phone/5.jpg", "slr/0.jpg", "slr/1.jpg"),
    ]


def test_settings_of_the_camera_are_kept_beside_what_is_measured(tmp_path: Path) -> None:
    for seed in range(2):
        photo(tmp_path / "in" / f"{seed}.jpg", seed)
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x829A: 0.004, 0x8827: 400, 0x829D: 1.8})
    Image.open(tmp_path / "in" / "0.jpg").copy().save(tmp_path / "in" / "0.jpg", exif=exif)
    first, second = run(tmp_path / "in", tmp_path / "stills").frames
    assert first.exposure and second.exposure
    told = (first.exposure.time_s, first.exposure.iso, first.exposure.f_number)
    assert told == pytest.approx((0.004, 400, 1.8))
    assert first.exposure.brightness and first.exposure.stops is None
    assert second.exposure.time_s is None and second.exposure.brightness
