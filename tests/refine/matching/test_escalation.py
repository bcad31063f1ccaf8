"""What a learned matcher adds where SIFT leaves frames weak: which pairs it is asked for, and how its matches join in.

In its place stands SIFT with other descriptors, which counts what it is asked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from da3_pipeline.geometry import Camera, PixelMap, identity
from da3_pipeline.imageio import write_rgb
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.config import FeatureConfig, MatchConfig, PairConfig, RefineConfig
from da3_pipeline.refine.matching import escalation
from da3_pipeline.refine.matching.correspondences import Correspondences, escalate, find_correspondences
from da3_pipeline.refine.matching.descriptors import match_descriptors
from da3_pipeline.refine.matching.escalation import _among_partners, _likely, _merger, left_weak, looked_closer
from da3_pipeline.refine.matching.features import DESCRIPTOR_NORM, Features
from da3_pipeline.refine.matching.guided import Near
from da3_pipeline.refine.matching.matchers.sift import SiftMatcher
from da3_pipeline.refine.matching.verification import PairMatches
from da3_pipeline.types import Frame, FrameSet, Prediction

WIDTH, HEIGHT, STEP = 240, 200, 60
CPU = torch.device("cpu")
CONFIG = RefineConfig(threads=2, device="cpu", features=FeatureConfig(max_features=500))


class Learned:
    """SIFT in 48 random directions, as floats; remembers what it was asked. blind: detects nothing."""

    def __init__(self, blind: bool = False) -> None:
        self._inner = SiftMatcher(FeatureConfig(max_features=700), MatchConfig(), CPU)
        self._axes = np.random.default_rng(0).normal(size=(128, 48))
        self._blind = blind
        self.images, self.pairs = 0, 0

    def detect(self, rgb: NDArray[np.uint8], used: NDArray[np.bool_] | None) -> Features:
        self.images += 1
        if self._blind:
            return Features.empty()
        found = self._inner.detect(rgb, used)
        vectors = (found.descriptors - found.descriptors.mean(0)) @ self._axes
        vectors *= DESCRIPTOR_NORM / np.linalg.norm(vectors, axis=1, keepdims=True)
        return Features(found.xy, found.scale_px, vectors.astype(np.float32))

    def match(
        self,
        first: Features,
        second: Features,
        sizes: tuple[tuple[int, int], tuple[int, int]],
        near: Near | None = None,
    ) -> NDArray[np.int32]:
        self.pairs += 1
        return match_descriptors(first, second, 0.9, CPU) if len(first) else np.zeros((0, 2), np.int32)


def strip(folder: Path, count: int) -> Prediction:
    """Windows of one long textured picture, each a quarter further on."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH + STEP * count, 3)), (0, 0), 1.5)
    picture = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    frames = []
    for k in range(count):
        path = folder / f"{k:03d}.png"
        write_rgb(path, np.ascontiguousarray(picture[:, STEP * k : STEP * k + WIDTH]))
        frames.append(Frame(path.name, path, WIDTH, HEIGHT, "camera", path.name))
    flat = np.ones((count, 4, 4), np.float32)
    return Prediction(
        FrameSet(tuple(frames), ()),
        "test",
        flat,
        flat,
        identity(count),
        {"camera": Camera.pinhole(WIDTH, HEIGHT, 300.0)},
        np.tile(np.eye(3), (count, 1, 1)),
        (PixelMap((1.0, 1.0), (0.0, 0.0)),) * count,
    )


def without(found: Correspondences, frame: int, keep: int = 0) -> Correspondences:
    """With the first `keep` matches of each pair of one frame alone."""
    pairs = []
    for pair in found.pairs:
        few = pair.matches[:keep] if frame in (pair.i, pair.j) else pair.matches
        if len(few):
            pairs.append(PairMatches(pair.i, pair.j, few, pair.fundamental, pair.homography_share, pair.raw_count))
    return Correspondences(found.features, tuple(pairs))


def escalated(
    prediction: Prediction, found: Correspondences, matcher: Learned, config: RefineConfig = CONFIG
) -> Correspondences:
    weak = left_weak(len(found.features), found.pairs, config)
    return escalate(prediction, found, weak, ("LEARNED", matcher), config, SilentProgress())


def shifts(found: Correspondences, pair: PairMatches, by_sift: bool) -> NDArray[np.float32]:
    assert found.escalation is not None
    matches = pair.matches[found.escalation.by_sift(pair) == by_sift]
    return found.features[pair.i].xy[matches[:, 0]] - found.features[pair.j].xy[matches[:, 1]]


def test_nothing_is_looked_at_closer_where_all_is_strong_or_it_is_switched_off(tmp_path: Path) -> None:
    prediction = strip(tmp_path, 9)
    found = find_correspondences(prediction, CONFIG, SilentProgress())
    off = CONFIG.model_copy(update={"pairs": PairConfig(weak_matches=0, closer_up_to=20)})
    strong = CONFIG.model_copy(update={"pairs": PairConfig(closer_up_to=2)})
    with ThreadPoolExecutor(2) as pool:
        for config, pairs in ((strong, found.pairs), (off, without(found, 5).pairs)):
            features, after = looked_closer(prediction, found.features, [*pairs], config, pool, SilentProgress())
            assert features is found.features and after == [*pairs]
        weak = [*without(found, 5).pairs]
        features, after = looked_closer(prediction, found.features, weak, strong, pool, SilentProgress())
    assert len(features[5].xy) > len(found.features[5].xy) and len(after) > len(weak)


@pytest.mark.parametrize("keep", [0, 20])
def test_a_weak_frame_is_joined_and_nothing_else_is_touched(tmp_path: Path, keep: int) -> None:
    """Frame 5 of nine, without its matches or with a few of each pair, which stay."""
    prediction, matcher = strip(tmp_path, 9), Learned()
    whole = find_correspondences(prediction, CONFIG, SilentProgress())
    found = without(whole, 5, keep)
    assert np.flatnonzero(left_weak(9, found.pairs, CONFIG)).tolist() == [5]
    one = CONFIG.model_copy(update={"pairs": PairConfig(escalated_partners=2)})
    more = escalated(prediction, found, matcher, one)
    before, after = ({(pair.i, pair.j): pair for pair in c.pairs} for c in (found, more))
    assert len(before) < matcher.pairs + len(before) <= len(before) + 10
    assert matcher.images < 9
    joined = [pair for pair in more.pairs if 5 in (pair.i, pair.j)]
    assert sum(len(pair) > 60 for pair in joined) >= 2
    for pair in joined:
        moved = shifts(more, pair, by_sift=False)
        assert not len(moved) or np.median(np.abs(moved - [STEP * (pair.j - pair.i), 0]).max(1)) < 0.1
        if keep and (pair.i, pair.j) in before:
            assert len(shifts(more, pair, by_sift=True)) >= 0.9 * len(before[pair.i, pair.j])
    for ends, pair in before.items():
        if 5 not in ends:
            held = [row in after[ends].matches.tolist() for row in pair.matches.tolist()]
            assert np.mean(held) > 0.9
    for few, many in zip(found.features, more.features, strict=True):
        np.testing.assert_array_equal(many.xy[: len(few)], few.xy)
        np.testing.assert_array_equal(many.descriptors[: len(few)], few.descriptors)


def test_tracks_of_a_joined_frame_reach_two_others(tmp_path: Path) -> None:
    """Its learned keypoints must be seen in two partners at once, or its distance to them is anyone's guess."""
    prediction = strip(tmp_path, 6)
    found = without(find_correspondences(prediction, CONFIG, SilentProgress()), 3)
    more = escalated(prediction, found, Learned())
    own = more.escalation.own  # type: ignore[union-attr]
    seen: dict[int, set[int]] = {}
    for pair in more.pairs:
        for this, other, column in ((pair.i, pair.j, 0), (pair.j, pair.i, 1)):
            if this == 3:
                for keypoint in pair.matches[pair.matches[:, column] >= own[3], column].tolist():
                    seen.setdefault(keypoint, set()).add(other)
    assert sum(len(others) >= 2 for others in seen.values()) > 50
    among = [pair for pair in more.pairs if 3 not in (pair.i, pair.j) and not more.escalation.by_sift(pair).all()]  # type: ignore[union-attr]
    assert among, "and the partners with each other"


def test_two_halves_are_joined_where_they_are_most_alike(tmp_path: Path) -> None:
    """All frames hold well, in two components: pairs are tried across the gap, not within."""
    prediction, matcher = strip(tmp_path, 10), Learned()
    whole = find_correspondences(prediction, CONFIG, SilentProgress())
    halves = Correspondences(whole.features, tuple(pair for pair in whole.pairs if (pair.i < 5) == (pair.j < 5)))
    weak = left_weak(10, halves.pairs, CONFIG)
    assert weak.sum() == 5, "those of one half"
    one = CONFIG.model_copy(update={"pairs": PairConfig(escalated_partners=1)})
    asked = _likely(prediction, halves.features, halves.pairs, weak & False, one)
    assert (4, 5) in asked and {j for _, j in asked} == {5}, "of the others the one that is most alike"
    more = escalate(prediction, halves, weak & False, ("LEARNED", matcher), CONFIG, SilentProgress())
    across = {(pair.i, pair.j) for pair in more.pairs if (pair.i < 5) != (pair.j < 5)}
    assert {(4, 5), (4, 6), (3, 5)} <= across
    assert matcher.pairs <= 25


def test_sifts_matches_stay_where_no_geometry_explains_more_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction, own = strip(tmp_path, 2), np.array([50, 50])
    sift = PairMatches(0, 1, np.zeros((20, 2), np.int32), np.eye(3), 0.0, 20)
    learned = replace(sift, matches=np.ones((30, 2), np.int32))
    merged = _merger(prediction, (), own, {(0, 1): sift}, CONFIG)
    for verified, kept in ((None, sift), (replace(sift, matches=sift.matches[:19]), sift), (learned, learned)):
        monkeypatch.setattr(escalation, "verify_matches", lambda *_, verified=verified: verified)
        assert merged(learned) is kept
    np.testing.assert_array_equal(_merger(prediction, (), own, {}, CONFIG)(learned).matches, np.full((30, 2), 51))


def test_keypoints_of_another_matcher_pair_with_nothing_of_sifts() -> None:
    """Their descriptors are zeros: alike to everything, distinct from none."""
    rng = np.random.default_rng(1)
    vectors = rng.exponential(size=(30, 128))
    sift = Features(
        rng.uniform(0, 100, (30, 2)).astype(np.float32),
        np.ones(30, np.float32),
        np.rint(512 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.uint8),
    )
    places = Features(np.full((5, 2), 7, np.float32), np.ones(5, np.float32), np.ones((5, 64), np.float32))
    both = sift.with_places(places)
    assert len(both) == 35 and (both.xy[30:] == 7).all()
    assert match_descriptors(both, both, 0.88, CPU).tolist() == [[k, k] for k in range(30)]
    assert match_descriptors(both, Features.empty().with_places(places), 0.88, CPU).shape == (0, 2)


def test_a_matcher_that_finds_nothing_changes_nothing(tmp_path: Path) -> None:
    prediction = strip(tmp_path, 5)
    found = without(find_correspondences(prediction, CONFIG, SilentProgress()), 2)
    more = escalated(prediction, found, Learned(blind=True))
    assert [(p.i, p.j, len(p)) for p in more.pairs] == [(p.i, p.j, len(p)) for p in found.pairs]
    assert all(few is many for few, many in zip(found.features, more.features, strict=True))


def test_of_many_weak_frames_each_has_fewer_partners(tmp_path: Path) -> None:
    prediction, many, few = strip(tmp_path, 10), Learned(), Learned()
    nothing = Correspondences(find_correspondences(prediction, CONFIG, SilentProgress()).features, ())
    escalated(prediction, nothing, many)
    tight = CONFIG.model_copy(update={"pairs": PairConfig(escalated_pairs=12, escalated_partners=5)})
    escalated(prediction, nothing, few, tight)
    assert few.pairs < many.pairs


def test_captures_of_one_frame_or_without_pairs_have_no_one_to_join(tmp_path: Path) -> None:
    for count in (1, 2):
        prediction = strip(tmp_path, count)
        nothing = Correspondences((Features.empty(),) * count, ())
        more = escalated(prediction, nothing, Learned(blind=True))
        assert more.pairs == () and len(more.features) == count


def test_how_weak_frames_are_told() -> None:
    def pair(i: int, j: int, count: int) -> PairMatches:
        return PairMatches(i, j, np.zeros((count, 2), np.int32), np.eye(3), 0.0, count)

    ring = [pair(0, 1, 90), pair(1, 2, 90), pair(0, 2, 90)]
    assert not left_weak(3, ring, CONFIG).any()
    assert left_weak(4, [*ring, pair(2, 3, 90)], CONFIG).tolist() == [False, False, False, True], "hangs on one frame"
    assert left_weak(4, [*ring, pair(2, 3, 20), pair(1, 3, 20)], CONFIG).tolist() == [False] * 3 + [True], "on little"
    other = [pair(a + 4, b + 4, 90) for a, b in ((0, 1), (1, 2), (0, 2))]
    both = [*ring, pair(2, 3, 90), pair(1, 3, 90), *other]
    assert left_weak(7, both, CONFIG).tolist() == [False] * 4 + [True] * 3, "a component apart"
    least = [pair(p.i, p.j, CONFIG.pairs.weak_matches) for p in both]
    assert left_weak(7, least, CONFIG).tolist() == left_weak(7, both, CONFIG).tolist(), "as many as are asked for"
    never = CONFIG.model_copy(update={"pairs": PairConfig(weak_matches=0)})
    assert not left_weak(4, [], never).any()


def test_partners_with_most_learned_matches_are_matched_with_each_other() -> None:
    found = {(0, 5): 30, (1, 5): 50, (5, 6): 40, (3, 4): 60}
    joined = {ends: PairMatches(*ends, np.zeros((n, 2), np.int32), np.eye(3), 0.0, n) for ends, n in found.items()}
    weak = np.arange(7) == 5
    assert _among_partners(joined, weak, 2) == {(1, 6)}
    assert _among_partners(joined, weak, 3) == {(0, 1), (0, 6), (1, 6)}
    assert _among_partners(joined, np.arange(7) == 4, 3) == set()
