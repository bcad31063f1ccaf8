"""From photographs to network size and back: published numbers, exact pixel maps."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.imageio import UnreadableImageError
from da3_pipeline.infer.config import ResizeMethod, ViewConfig
from da3_pipeline.infer.frame_reader import FrameReader
from da3_pipeline.infer.preprocess import PATCH_PX, common_layouts, layout, normalise, read_view, resample

METHODS = get_args(ResizeMethod)
VIEWS = ViewConfig()
DATA = Path(__file__).parents[1] / "data" / "model"

sizes = st.tuples(st.integers(1, 6000), st.integers(1, 6000))
photograph_sizes = st.tuples(st.integers(200, 6000), st.integers(200, 6000)).filter(lambda s: max(s) <= 2 * min(s))


def _golden(stem: str) -> dict[str, NDArray[np.generic]]:
    """Photographs and what the published code made of them, every seventh pixel."""
    with np.load(DATA / f"{stem}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("resolution_px", [504, 224])
def test_equals_the_published_preprocessing(method: ResizeMethod, resolution_px: int) -> None:
    reference = _golden("unit_preproc")
    key = f"{method}_{resolution_px}"
    images = [reference["imgs"][0].astype(np.uint8)] * 2
    layouts = common_layouts([(640, 480)] * 2, resolution_px, method, VIEWS)
    network = normalise(np.stack([resample(image, plan) for image, plan in zip(images, layouts, strict=True)]))
    assert network.shape == tuple(reference[f"{key}_shape"])
    np.testing.assert_array_equal(network[0, :, ::7, ::7], reference[f"{key}_t"])
    original = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    for plan, expected in zip(layouts, reference[f"{key}_K"], strict=True):
        np.testing.assert_allclose(plan.pixel_map.intrinsics_to_network(original), expected, rtol=1e-6)


def test_mixed_orientations_are_cropped_as_published() -> None:
    reference = _golden("unit_preproc_mixed")
    images = [reference["mixed0"].astype(np.uint8), reference["mixed1"].astype(np.uint8)]
    layouts = common_layouts([(400, 300), (300, 400)], 504, "upper_bound_resize", VIEWS)
    network = normalise(np.stack([resample(image, plan) for image, plan in zip(images, layouts, strict=True)]))
    np.testing.assert_array_equal(network[:, :, ::7, ::7], reference["mixed_t"])
    original = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    for plan, expected in zip(layouts, reference["mixed_K"], strict=True):
        np.testing.assert_allclose(plan.pixel_map.intrinsics_to_network(original), expected, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("source", [(1024, 683), (683, 1024), (90, 60), (4032, 3024)])
def test_the_pixel_map_finds_a_spot_of_the_network_view_in_the_photograph(
    method: ResizeMethod, source: tuple[int, int]
) -> None:
    width, height = source
    plan = common_layouts([source, (700, 700)], 224, method, VIEWS)[0]
    to_original = plan.pixel_map.to_original(np.array([[0.0, 0.0], plan.size]))
    middle = to_original.mean(0) + np.array([0.13, -0.11]) * (to_original[1] - to_original[0])
    radius = 3.0 * max((*plan.pixel_map.scale, 1.0))
    x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
    spot = 255 * np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * radius**2))
    view = resample(np.repeat(spot.round().astype(np.uint8)[..., None], 3, axis=2), plan)[..., 0].astype(float)
    columns, rows = np.arange(view.shape[1]) + 0.5, np.arange(view.shape[0])[:, None] + 0.5
    centroid = np.array([(view * columns).sum(), (view * rows).sum()]) / view.sum()
    found = plan.pixel_map.to_original(centroid)
    assert np.abs(found - middle).max() < 0.05 * max(plan.pixel_map.scale)


@given(source=sizes, resolution_px=st.integers(28, 800), method=st.sampled_from(METHODS))
def test_every_photograph_gets_whole_patches(source: tuple[int, int], resolution_px: int, method: ResizeMethod) -> None:
    plan = layout(source, resolution_px, method)
    assert all(length >= PATCH_PX and length % PATCH_PX == 0 for length in plan.size)
    resized = plan.resizes[-1]
    assert all(corner >= 0 for corner in plan.corner)
    assert all(c + s <= full for c, s, full in zip(plan.corner, plan.size, resized, strict=True))


@given(source=photograph_sizes, resolution_px=st.integers(100, 800))
def test_without_a_crop_the_view_covers_the_photograph_exactly(source: tuple[int, int], resolution_px: int) -> None:
    plan = layout(source, resolution_px, "upper_bound_resize")
    corners = plan.pixel_map.to_original(np.array([[0.0, 0.0], plan.size]))
    np.testing.assert_allclose(corners, [[0, 0], source], rtol=1e-12)


@given(sources=st.lists(sizes, min_size=1, max_size=6), method=st.sampled_from(METHODS))
def test_all_views_of_a_capture_have_one_size_inside_their_photographs(
    sources: list[tuple[int, int]], method: ResizeMethod
) -> None:
    layouts = common_layouts(sources, 252, method, VIEWS)
    assert len({plan.size for plan in layouts}) == 1
    for plan in layouts:
        low, high = plan.pixel_map.to_original(np.array([[0.0, 0.0], plan.size]))
        assert (low >= -1e-9).all()
        assert (high <= np.array(plan.source) * (1 + 1e-9)).all()


def test_a_panorama_does_not_shrink_the_view_of_the_other_photographs() -> None:
    layouts = common_layouts([(4000, 3000), (20000, 2000), (4000, 3000)], 504, "upper_bound_resize", VIEWS)
    assert layouts[0].size == layouts[1].size == (504, 378)
    assert layouts[0].kept_share == 1.0
    panorama = layouts[1].pixel_map
    np.testing.assert_allclose(panorama.scale[0], panorama.scale[1], rtol=0.01)
    np.testing.assert_allclose(panorama.to_original(np.array([252.0, 189.0])), [10000, 1000], atol=5)


def test_panoramas_alone_are_taken_whole() -> None:
    layouts = common_layouts([(20000, 2000)] * 2, 504, "upper_bound_resize", VIEWS)
    assert layouts[0].size == (504, 56)
    assert layouts[0].kept_share == 1.0


def test_reads_in_order_and_passes_errors_on(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        Image.new("RGB", (40, 30), (10 * index, 0, 0)).save(path)
    paths[1].write_bytes(b"no photograph")
    Image.new("RGB", (30, 40)).save(paths[2])
    layouts = common_layouts([(40, 30)] * 4, 28, "upper_bound_resize", VIEWS)
    with FrameReader(paths, layouts, VIEWS, threads=2) as reader:
        views = [reader.get(frame) for frame in range(4)]
    assert isinstance(views[1], UnreadableImageError)
    assert isinstance(views[2], UnreadableImageError)
    assert "40 x 30 px when it was listed" in views[2].reason
    first, last = views[0], views[3]
    assert not isinstance(first, OSError)
    assert not isinstance(last, OSError)
    assert first.shape == last.shape == (28, 28, 3)
    assert (first == 0).all()
    assert (last[..., 0] == 30).all()


def test_reduced_decoding_keeps_the_picture_in_place(tmp_path: Path) -> None:
    x, y = np.meshgrid(np.linspace(0, 1, 2400), np.linspace(0, 1, 1600))
    picture = np.stack([255 * x, 255 * y, 127 + 120 * np.sin(9 * x) * np.cos(7 * y)], axis=2).astype(np.uint8)
    path = tmp_path / "large.jpg"
    Image.fromarray(picture).save(path, quality=97, subsampling=0)
    plan = common_layouts([(2400, 1600)], 252, "upper_bound_resize", VIEWS)[0]
    view = read_view(path, plan, VIEWS)
    assert not isinstance(view, OSError)
    difference = view.astype(float) - resample(picture, plan)
    assert np.abs(difference).mean() < 1.0
    assert np.abs(difference.mean((0, 1))).max() < 0.5
