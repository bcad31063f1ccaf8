"""The choice of frames as arithmetic: spacing, sharpness, budget, shots, reasons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from da3_pipeline.select import SelectConfig
from da3_pipeline.select.analysis import VideoAnalysis
from da3_pipeline.select.choose import Choice, choose


def analysis(
    travelled: np.ndarray,
    sharpness: np.ndarray | None = None,
    shot: np.ndarray | None = None,
    decoded: np.ndarray | None = None,
    visits: np.ndarray | None = None,
) -> VideoAnalysis:
    count = len(travelled)
    return VideoAnalysis(
        np.ones(count, bool) if decoded is None else decoded,
        np.ones(count) if sharpness is None else sharpness,
        np.asarray(travelled, float),
        np.zeros(count, np.int64) if shot is None else shot,
        np.zeros(count, np.int64) if visits is None else visits,
        {},
    )


def pick(*analyses: VideoAnalysis, step: float = 0.05, budget: int = 300) -> list[Choice]:
    times = [np.arange(len(item.travelled)) / 30 for item in analyses]
    return choose(analyses, times, SelectConfig(min_motion=step, max_frames=budget))


def test_steady_motion_gives_equal_steps() -> None:
    (choice,) = pick(analysis(np.linspace(0, 1, 301)))
    assert len(choice.taken) == 21
    assert np.diff(choice.taken / 300) == pytest.approx(np.full(20, 1 / 21), abs=0.7 / 21)


def test_the_sharpest_frame_of_each_step_is_taken() -> None:
    sharp = np.full(300, 0.8)
    sharp[1::3] = 1.0
    (choice,) = pick(analysis(np.linspace(0, 1.5, 300), sharp))
    assert set((choice.taken % 3).tolist()) == {1}


def test_standing_still_gives_one_frame_of_it() -> None:
    travelled = np.concatenate([np.linspace(0, 1, 100), np.full(200, 1.0), np.linspace(1, 2, 100)])
    (choice,) = pick(analysis(travelled))
    assert ((choice.taken >= 100) & (choice.taken < 300)).sum() <= 1
    assert choice.reasons[200].startswith("stationary")


def test_a_camera_that_never_moves_gives_one_frame() -> None:
    (choice,) = pick(analysis(np.zeros(900)))
    assert len(choice.taken) == 1


def test_little_motion_is_looked_at_more_closely() -> None:
    (choice,) = pick(analysis(np.linspace(0, 0.25, 200)), step=0.05)
    assert 12 <= len(choice.taken) <= 21


def test_the_budget_is_kept_and_named() -> None:
    first, second = pick(analysis(np.linspace(0, 30, 600)), analysis(np.linspace(0, 10, 300)), budget=40)
    assert 38 <= len(first.taken) + len(second.taken) <= 40
    assert len(first.taken) / len(second.taken) == pytest.approx(3, rel=0.1)
    assert "over the budget of 40 frames" in first.reasons.values()


def test_more_shots_than_budget() -> None:
    shot = np.repeat(np.arange(10), 5)
    travelled = np.arange(50) * np.repeat(np.linspace(0.01, 0.1, 10), 5)
    (choice,) = pick(analysis(np.sort(travelled), shot=shot), budget=3)
    assert len(choice.taken) == 3
    assert all(choice.reasons.values())


def test_every_shot_is_seen() -> None:
    shot = np.repeat([0, 1, 2], [50, 3, 50])
    (choice,) = pick(analysis(np.linspace(0, 1, 103), shot=shot))
    assert set(shot[choice.taken]) == {0, 1, 2}


def test_frames_that_cannot_be_decoded_are_never_taken() -> None:
    decoded = np.ones(100, bool)
    decoded[60:] = False
    (choice,) = pick(analysis(np.where(decoded, np.linspace(0, 1, 100), 0), decoded=decoded))
    assert choice.taken.max() < 60
    assert {choice.reasons[index] for index in range(60, 100)} == {"it cannot be decoded"}
    (nothing,) = pick(analysis(np.zeros(5), decoded=np.zeros(5, bool)))
    assert len(nothing.taken) == 0
    assert len(nothing.reasons) == 5


def test_a_smeared_stretch_between_sharp_ones_is_left_out() -> None:
    sharp = np.ones(300)
    sharp[148:152] = 0.3  # wider than the window around the place aimed at, narrower than a step of five frames
    (choice,) = pick(analysis(np.linspace(0, 3.0, 300), sharp), step=0.05)
    assert sharp[choice.taken].min() == 1.0
    assert choice.reasons[150].startswith("blurred")


def test_a_jump_takes_the_frames_on_both_sides() -> None:
    travelled = np.concatenate([np.linspace(0, 0.2, 20), np.linspace(2.0, 2.2, 20)])
    (choice,) = pick(analysis(travelled))
    assert {19, 20} & set(choice.taken.tolist())
    assert len(set(choice.taken.tolist())) == len(choice.taken)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 0.3), min_size=1, max_size=60), min_size=1, max_size=3),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
)
def test_always_within_budget_with_a_reason_for_the_rest(walks: list[list[float]], budget: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    analyses = [
        analysis(
            np.cumsum(walk),
            rng.uniform(0.1, 1, len(walk)),
            np.cumsum(rng.random(len(walk)) < 0.05),
            rng.random(len(walk)) < 0.95,
        )
        for walk in walks
    ]
    choices = pick(*analyses, step=0.04, budget=budget)
    assert sum(len(choice.taken) for choice in choices) <= budget
    for item, choice in zip(analyses, choices, strict=True):
        taken = choice.taken.tolist()
        assert sorted(set(taken)) == taken
        assert item.decoded[choice.taken].all()
        assert set(taken) | set(choice.reasons) == set(range(len(item.travelled)))
        assert not set(taken) & set(choice.reasons)
        assert all(choice.reasons.values())
