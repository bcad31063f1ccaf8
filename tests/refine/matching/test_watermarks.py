"""What is drawn over images must not join them; what is seen in them must stay, however little it moves."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.arrays import Bool, Float
from da3_pipeline.refine.config import VerifyConfig
from da3_pipeline.refine.matching.features import Features
from da3_pipeline.refine.matching.verification import PairMatches, verify_matches
from da3_pipeline.refine.matching.watermarks import are_watermark, overlaid

Sizes = tuple[tuple[float, float], tuple[float, float]]
LANDSCAPE, PORTRAIT = (2048.0, 1536.0), (1536.0, 2048.0)
CONFIG = VerifyConfig()
BLIND = VerifyConfig(watermark_border=0.0)
K = np.array([[1800.0, 0, 1024], [0, 1800.0, 768], [0, 0, 1]])


def verify(
    first: Float,
    second: Float,
    sizes: tuple[tuple[float, float], ...] = (LANDSCAPE,) * 2,
    config: VerifyConfig = CONFIG,
) -> PairMatches | None:
    features = [
        Features(xy.astype(np.float32), np.ones(len(xy), np.float32), np.zeros((len(xy), 128), np.uint8))
        for xy in (first, second)
    ]
    matches = np.tile(np.arange(len(first), dtype=np.int32)[:, None], 2)
    whole = [(int(width), int(height)) for width, height in sizes]
    return verify_matches((0, 1), features, whole, matches, config, seed=0)


def kept(found: PairMatches | None, count: int) -> Bool:
    assert found is not None
    return np.isin(np.arange(count), found.matches[:, 0])


def caption(seed: int = 0, count: int = 60) -> Float:
    """Places along the lower edge, and a logo in the corner above."""
    rng = np.random.default_rng(seed)
    text = rng.uniform((500, 1440), (1500, 1500), (count // 2, 2))
    return np.concatenate([text, rng.uniform((1820, 40), (2000, 160), (count - count // 2, 2))])


def nothing_in_common(count: int, seed: int = 1) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    return rng.uniform((0, 0), LANDSCAPE, (count, 2)), rng.uniform((0, 0), LANDSCAPE, (count, 2))


def seen(motion: tuple[float, float, float], count: int = 250, seed: int = 2) -> tuple[Float, Float]:
    """Points 6 to 12 m away all over the first of two views, and where the second has them."""
    rng = np.random.default_rng(seed)
    first = rng.uniform((0, 0), LANDSCAPE, (count, 2))
    depth = rng.uniform(6, 12, (count, 1))
    points = depth * np.concatenate([first, np.ones((count, 1))], 1) @ np.linalg.inv(K).T + np.array(motion)
    projected = points @ K.T
    second = projected[:, :2] / projected[:, 2:]
    return first + rng.normal(scale=0.3, size=first.shape), second + rng.normal(scale=0.3, size=first.shape)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (9.0, -5.0)], ids=["at one place", "stabilised"])
def test_a_watermark_alone_joins_nothing(shift: tuple[float, float]) -> None:
    """A caption over pictures of two places, which nothing but it would join."""
    drawn, noise = caption(), np.random.default_rng(3).normal(scale=0.4, size=(60, 2))
    first, second = nothing_in_common(50)
    first = np.concatenate([drawn, first])
    second = np.concatenate([drawn + np.array(shift) + noise, second])
    assert verify(first, second, config=BLIND) is not None
    assert verify(first, second) is None


def test_a_stamp_in_the_corner_of_a_wide_and_an_upright_picture_joins_nothing() -> None:
    rng = np.random.default_rng(4)
    stamp = rng.uniform((-400, -110), (-40, -30), (40, 2))
    first, second = stamp + np.array(LANDSCAPE), stamp + np.array(PORTRAIT) + rng.normal(scale=0.3, size=stamp.shape)
    assert verify(first, second, (LANDSCAPE, PORTRAIT), BLIND) is not None
    assert verify(first, second, (LANDSCAPE, PORTRAIT)) is None


@pytest.mark.parametrize("motion", [(0.9, 0.1, 0.05), (0.0, 0.0, -0.5)], ids=["sideways", "ahead"])
def test_what_is_seen_stays_and_what_is_drawn_over_it_goes(motion: tuple[float, float, float]) -> None:
    """Going straight ahead, a display that stands fits the geometry as a view infinitely far away does."""
    first, second = seen(motion)
    false = nothing_in_common(50)
    drawn = caption()
    true = np.arange(360) < 250
    found = verify(np.concatenate([first, false[0], drawn]), np.concatenate([second, false[1], drawn]))
    good = kept(found, 360)
    assert good[true].mean() > 0.97
    assert not good[300:].any()
    assert found is not None and found.raw_count == 360


def test_going_ahead_a_display_would_pass_for_geometry() -> None:
    """What the test above rests on."""
    first, second = seen((0.0, 0.0, -0.5))
    found = verify(np.concatenate([first, caption()]), np.concatenate([second, caption()]), config=BLIND)
    assert kept(found, 310)[250:].mean() > 0.9


@pytest.mark.parametrize("motion", [(0.0, 0.0, 0.0), (0.01, 0.0, 0.0), (0.02, 0.01, 0.02)])
@pytest.mark.parametrize("middle", [1.0, 0.0], ids=["all over", "around the middle"])
def test_neighbours_of_a_video_stay_though_they_hardly_move(motion: tuple[float, float, float], middle: float) -> None:
    """Also around something smooth, without a keypoint in the middle; a fifth of the matches is false."""
    first, second = seen(motion, count=400)
    inside = (np.abs(first - np.array(LANDSCAPE) / 2) < np.array(LANDSCAPE) / 3).all(1)
    chosen = ~inside | (np.random.default_rng(5).random(400) < middle)
    first, second = first[chosen], second[chosen]
    false = nothing_in_common(len(first) // 4)
    found = verify(np.concatenate([first, false[0]]), np.concatenate([second, false[1]]))
    assert kept(found, len(first) + len(false[0]))[: len(first)].mean() > 0.95


def test_pictures_of_a_flat_thing_that_overlap_at_their_sides_alone_stay() -> None:
    """A strip along the right side of one, the left of the other, moved by one translation: no watermark does that."""
    rng = np.random.default_rng(6)
    strip = rng.uniform((1850, 0), LANDSCAPE, (150, 2))
    second = strip - np.array([1840.0, 0.0]) + rng.normal(scale=0.3, size=strip.shape)
    assert kept(verify(strip, second), 150).mean() > 0.95


def test_what_is_in_the_middle_is_no_watermark() -> None:
    inside = np.random.default_rng(7).uniform((600, 500), (1400, 1000), (80, 2))
    sizes, shift = [np.array(LANDSCAPE)] * 2, np.array([3.0, 2.0])
    assert not are_watermark(inside, inside + shift, sizes, CONFIG)
    assert not are_watermark(inside[:0], inside[:0], sizes, CONFIG)
    assert are_watermark(caption(), caption() + shift, sizes, CONFIG)
    assert not overlaid(inside, inside, sizes, CONFIG).any()
