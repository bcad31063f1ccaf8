"""Why frames are left out: what is said of each is true of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline import ingest, select
from da3_pipeline.ingest.config import IngestConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.select.config import SelectConfig
from da3_pipeline.select.pauses import pause_lengths_s

from .test_choose import analysis, pick

Views = Callable[..., list[np.ndarray]]


@pytest.mark.parametrize("speed", [0.02, 0.05, 0.2, 1.0])
def test_at_an_even_pace_nothing_is_stationary(speed: float) -> None:
    """Diagonals a second; the slowest is half of a robot's that walks towards something far off."""
    (choice,) = pick(analysis(np.arange(600) / 30 * speed), step=0.04)
    assert choice.reasons and not [reason for reason in choice.reasons.values() if "stationary" in reason]


@pytest.mark.parametrize("speed", [0.05, 0.3])
@pytest.mark.parametrize("budget", [300, 12])
def test_a_pause_is_named_as_one_from_end_to_end(speed: float, budget: int) -> None:
    walk = np.arange(150) / 30 * speed
    travelled = np.concatenate([walk, np.full(120, walk[-1]), walk[-1] + walk])
    (choice,) = pick(analysis(travelled), step=0.04, budget=budget)
    stationary = [frame for frame, reason in choice.reasons.items() if "stationary" in reason]
    within = [frame for frame in choice.reasons if 150 <= frame < 270]
    assert set(within) <= set(stationary)
    assert all(140 <= frame < 280 for frame in stationary)
    assert "pauses for 4." in choice.reasons[200]


def test_a_pause_shorter_than_a_second_is_none() -> None:
    walk = np.arange(90) / 30 * 0.3
    (choice,) = pick(analysis(np.concatenate([walk, np.full(15, walk[-1]), walk[-1] + walk])), step=0.04)
    assert not [reason for reason in choice.reasons.values() if "stationary" in reason]


def test_over_the_budget_what_shows_the_same_still_says_so() -> None:
    (choice,) = pick(analysis(np.arange(1200) / 30 * 0.3), step=0.04, budget=10)
    beside, between = choice.taken[3] + 1, (choice.taken[3] + choice.taken[4]) // 2
    assert choice.reasons[int(beside)].endswith("shows nearly the same")
    assert choice.reasons[int(between)].startswith("over the budget")


def test_a_handheld_pause_of_a_real_film(
    tmp_path: Path, views: Views, film: Callable[[Path, Sequence[np.ndarray]], Path]
) -> None:
    """A hand that rests trembles by a pixel, and the sensor is noisy."""
    rng = np.random.default_rng(0)
    positions = np.concatenate([np.arange(40) * 4.0, 160 + rng.normal(0, 0.5, 75), 160 + np.arange(40) * 4.0])
    noisy = [np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8) for frame in views(1, positions)]
    path = film(tmp_path / "walk.mp4", noisy)
    capture = ingest.run([path], IngestConfig(), SilentProgress())
    frames = select.run(capture, SelectConfig(), SilentProgress(), tmp_path / "stills")
    reasons = {int(Path(item.frame).stem): item.reason for item in frames.dropped}
    resting = [number for number in reasons if 42 <= number < 113]
    assert sum("the camera pauses for" in reasons[number] for number in resting) >= 0.95 * len(resting) > 60
    assert not [number for number in reasons if not 35 <= number < 120 and "pauses" in reasons[number]]


def test_a_pause_ends_with_its_shot_and_undecoded_frames_are_in_none() -> None:
    shot, decoded = np.repeat([0, 1], 60), np.ones(120, bool)
    decoded[20:25] = False
    item = analysis(np.repeat([0.5, 3.0], 60), shot=shot, decoded=decoded)
    lengths = pause_lengths_s(item, np.arange(120) / 30, still=0.01, within_s=1.0)
    assert lengths[decoded] == pytest.approx(59 / 30) and not lengths[~decoded].any()
    assert not pause_lengths_s(item, np.arange(120) / 300, still=0.01, within_s=1.0).any()
