"""From photographs on disk to the verified graph, on pictures cut from one large picture and on real ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import Make

from da3_pipeline.errors import RefinementError
from da3_pipeline.geometry import Camera, PixelMap, identity
from da3_pipeline.imageio import write_rgb
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine.config import FeatureConfig, PairConfig, RefineConfig
from da3_pipeline.refine.matching.correspondences import Correspondences, find_correspondences
from da3_pipeline.refine.matching.escalation import Escalation
from da3_pipeline.refine.matching.pairs import components
from da3_pipeline.refine.matching.verification import sampson_error_px
from da3_pipeline.types import Frame, FrameSet, Prediction

Float = NDArray[np.float64]
WIDTH, HEIGHT, STEP = 240, 200, 60
CONFIG = RefineConfig(threads=2, device="cpu", features=FeatureConfig(max_features=500))
SPARSE = CONFIG.model_copy(
    update={"pairs": PairConfig(exhaustive_up_to=2, neighbours=1, sequence_reach=0, weak_matches=0)}
)
CASTLE = Path(__file__).parents[3].parent / "shared" / "data" / "strecha" / "castle-P19"


def prediction_of(paths: list[Path], sizes: list[tuple[int, int]], poses: Float | None = None) -> Prediction:
    count = len(paths)
    frames = tuple(Frame(path.name, path, *size, "camera", path.name) for path, size in zip(paths, sizes, strict=True))
    flat = np.ones((count, 4, 4), np.float32)
    return Prediction(
        frames=FrameSet(frames, ()),
        source="test",
        depth=flat,
        conf=flat,
        cam_from_world=identity(count) if poses is None else poses,
        cameras={"camera": Camera.pinhole(*sizes[0], 300.0)},
        view_intrinsics=np.tile(np.eye(3), (count, 1, 1)),
        pixel_maps=(PixelMap((1.0, 1.0), (0.0, 0.0)),) * count,
    )


def strip(folder: Path, order: list[int], blank: tuple[int, ...] = (), step: int = STEP) -> Prediction:
    """Frame k is the window number order[k] of one long textured picture; windows three apart share a quarter."""
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH + step * max(order), 3)), (0, 0), 1.5)
    picture = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
    paths = []
    for k, place in enumerate(order):
        window = picture[:, step * place : step * place + WIDTH]
        paths.append(folder / f"{k:03d}.png")
        write_rgb(paths[-1], np.full_like(window, 70) if k in blank else np.ascontiguousarray(window))
    return prediction_of(paths, [(WIDTH, HEIGHT)] * len(order))


def found_in(prediction: Prediction, config: RefineConfig) -> Correspondences:
    return find_correspondences(prediction, config, SilentProgress())


def linked(found: Correspondences) -> list[tuple[int, int]]:
    return [(pair.i, pair.j) for pair in found.pairs]


def test_overlapping_windows_match_with_the_known_shift(tmp_path: Path) -> None:
    order = [0, 1, 2, 3, 4, 9, 10]
    found = found_in(strip(tmp_path, order), CONFIG)
    assert len(found.features) == len(order)
    for pair in found.pairs:
        shift = STEP * (order[pair.j] - order[pair.i])
        assert 0 < shift < WIDTH
        moved = found.features[pair.i].xy[pair.matches[:, 0]] - found.features[pair.j].xy[pair.matches[:, 1]]
        assert np.median(np.abs(moved - [shift, 0]).max(1)) < 0.1
    expected = {(a, b) for a in range(7) for b in range(a + 1, 7) if order[b] - order[a] <= 2}
    assert expected <= set(linked(found))
    assert linked(found) == sorted(linked(found))


def test_the_graph_grows_until_it_is_one_component(tmp_path: Path) -> None:
    """One proposal a frame leaves a shuffled strip in pieces; the rounds join them, with a linear number of pairs."""
    order = [int(place) for place in np.random.default_rng(5).permutation(12)]
    prediction = strip(tmp_path, order)
    once = SPARSE.model_copy(update={"pairs": SPARSE.pairs.model_copy(update={"growth_rounds": 0})})
    assert len(set(components(12, linked(found_in(prediction, once))).tolist())) > 1
    grown = found_in(prediction, SPARSE)
    assert len(set(components(12, linked(grown)).tolist())) == 1


def test_more_is_matched_where_the_graph_is_thin(tmp_path: Path) -> None:
    """Two groups of pictures that are most like their own, and next to each other in the capture where they share
    least: without a look at the cut those that share half are never matched."""
    order = [5, 4, 3, 2, 1, 0, 27, 26, 25, 24, 23, 22]
    prediction = strip(tmp_path, order, step=8)
    plan = PairConfig(exhaustive_up_to=2, neighbours=3, sequence_reach=2, weak_matches=0)

    def across(plan: PairConfig) -> dict[tuple[int, int], int]:
        found = found_in(prediction, CONFIG.model_copy(update={"pairs": plan}))
        return {(pair.i, pair.j): len(pair) for pair in found.pairs if pair.i < 6 <= pair.j}

    before, after = (across(plan.model_copy(update={"thin_share": share})) for share in (0.0, 0.05))
    assert before and set(before) < set(after)
    assert max(after.values()) > 2 * max(before.values()), "those that share most"


def test_frames_that_hang_on_few_matches_are_looked_at_more_closely(tmp_path: Path) -> None:
    """Thirty keypoints a picture hold hardly any pair; what was found stays, under its numbers."""
    prediction = strip(tmp_path, [0, 1, 2, 3])
    few = CONFIG.model_copy(update={"features": FeatureConfig(max_features=60)})
    blind = few.model_copy(update={"pairs": PairConfig(weak_matches=0)})
    near, far = found_in(prediction, few), found_in(prediction, blind)
    assert sum(map(len, near.pairs)) > 2 * sum(map(len, far.pairs))
    for close, plain in zip(near.features, far.features, strict=True):
        assert len(plain) <= 60 < len(close) <= 300
        np.testing.assert_array_equal(close.xy[: len(plain)], plain.xy)
        np.testing.assert_array_equal(close.descriptors[: len(plain)], plain.descriptors)
        rows = np.hstack([close.xy, close.scale_px[:, None], close.descriptors])
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_a_capture_that_holds_together_is_not_looked_at_again(tmp_path: Path) -> None:
    found = found_in(strip(tmp_path, [0, 1, 2, 3, 4, 5]), CONFIG)
    assert all(len(features) <= 500 for features in found.features)


def test_few_frames_are_looked_at_more_closely_even_where_they_hold_together(tmp_path: Path) -> None:
    prediction = strip(tmp_path, [0, 1, 2, 3, 4])
    plain = CONFIG.model_copy(update={"pairs": PairConfig(closer_up_to=4)})
    near, far = found_in(prediction, CONFIG), found_in(prediction, plain)
    assert [(pair.i, pair.j) for pair in near.pairs] == [(pair.i, pair.j) for pair in far.pairs]
    assert sum(map(len, near.pairs)) > 1.5 * sum(map(len, far.pairs))
    assert all(len(few) <= 500 < len(many) for few, many in zip(far.features, near.features, strict=True))


def test_the_prior_suggests_pairs_and_changes_nothing_else(tmp_path: Path) -> None:
    prediction = strip(tmp_path, [0, 1, 2, 3])
    rng = np.random.default_rng(1)
    wrong = replace(prediction, cam_from_world=rng.normal(size=(4, 3, 4)))
    for a, b in zip(found_in(prediction, CONFIG).pairs, found_in(wrong, CONFIG).pairs, strict=True):
        np.testing.assert_array_equal(a.matches, b.matches)
        np.testing.assert_array_equal(a.fundamental, b.fundamental)


def test_threads_do_not_change_the_result(tmp_path: Path) -> None:
    prediction = strip(tmp_path, [3, 0, 4, 1, 2])
    one, many = (found_in(prediction, CONFIG.model_copy(update={"threads": threads})) for threads in (1, 4))
    assert linked(one) == linked(many)
    for a, b in zip(one.pairs, many.pairs, strict=True):
        np.testing.assert_array_equal(a.matches, b.matches)
        np.testing.assert_array_equal(a.fundamental, b.fundamental)


def test_blank_frames_stay_alone(tmp_path: Path) -> None:
    found = found_in(strip(tmp_path, [0, 1, 2, 3], blank=(2,)), CONFIG)
    assert len(found.features[2]) == 0
    assert all(2 not in pair for pair in linked(found))
    assert (0, 1) in linked(found)


def test_a_capture_of_blank_frames_has_no_pairs(tmp_path: Path) -> None:
    assert found_in(strip(tmp_path, [0, 1, 2], blank=(0, 1, 2)), CONFIG).pairs == ()


def test_correspondences_among_some_frames_are_those_of_no_others(make_capture: Make) -> None:
    found = make_capture(frames=6, points=100).correspondences
    own = np.arange(6) * 10
    part = replace(found, escalation=Escalation("ALIKED", own)).among(np.array([1, 2, 5]))
    assert part.features == (found.features[1], found.features[2], found.features[5])
    whole = {(pair.i, pair.j): pair for pair in found.pairs}
    assert [(pair.i, pair.j) for pair in part.pairs] == [(0, 1), (0, 2), (1, 2)]
    for pair, ends in zip(part.pairs, [(1, 2), (1, 5), (2, 5)], strict=True):
        np.testing.assert_array_equal(pair.matches, whole[ends].matches)
    assert part.escalation is not None and part.escalation.own.tolist() == [10, 20, 50]
    assert found.among(np.array([0, 3])).escalation is None


def test_a_vanished_photograph_is_named(tmp_path: Path) -> None:
    prediction = strip(tmp_path, [0, 1])
    (tmp_path / "001.png").unlink()
    with pytest.raises(RefinementError, match=r"001\.png"):
        found_in(prediction, CONFIG)


@pytest.mark.skipif(not CASTLE.is_dir(), reason="the shared captures are not here")
def test_real_photographs_match_along_true_epipolar_lines() -> None:
    truth = json.loads((CASTLE / "truth.json").read_text())["images"]
    names = sorted(truth)[:4]
    sizes = [(truth[name]["width"], truth[name]["height"]) for name in names]
    found = found_in(prediction_of([CASTLE / "images" / name for name in names], sizes), RefineConfig(device="cpu"))
    assert len(set(components(4, linked(found)).tolist())) == 1
    errors = []
    for pair in found.pairs:
        (a, b), (K_a, K_b) = ([np.array(truth[names[k]][key]) for k in (pair.i, pair.j)] for key in ("w2c", "K"))
        rotation = b[:, :3] @ a[:, :3].T
        essential = np.cross(np.eye(3), -(b[:, 3] - rotation @ a[:, 3])) @ rotation
        fundamental = np.linalg.inv(K_b).T @ essential @ np.linalg.inv(K_a)
        xy_i, xy_j = (found.features[k].xy[pair.matches[:, n]].astype(float) for n, k in enumerate((pair.i, pair.j)))
        errors.append(sampson_error_px(fundamental, xy_i, xy_j))
    assert np.mean(np.concatenate(errors) < 2) > 0.85
    assert np.median(np.concatenate(errors)) < 0.4
