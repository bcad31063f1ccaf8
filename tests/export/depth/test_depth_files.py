"""Depth maps of the data set: thousandths of a unit over the whole image, zero where nothing is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export.depth.depth_files import depth_in_image, write_depths
from da3_pipeline.export.depth.depth_views import CorrectedDepth, DepthMap, DepthView, RecentMaps
from da3_pipeline.export.ignored import PixelSet
from da3_pipeline.export.nerfstudio import PosedImage
from da3_pipeline.geometry import Camera, PixelMap, identity

CAMERA = Camera.pinhole(20, 12, 15.0)
RAMP = np.arange(1, 61, dtype=np.float32).reshape(6, 10)


def view_of(pixel_map: PixelMap, depth: np.ndarray = RAMP) -> DepthView:
    """What its map does not trust is the pixel in row 2, column 9."""
    known = np.ones(depth.shape, bool)
    known[2, 9] = False
    made = DepthMap(CorrectedDepth(depth[None], 0, 1.0, pixel_map, CAMERA), PixelSet(known), RecentMaps(1))
    return DepthView(0, made, np.nan, np.nan, pixel_map, CAMERA, identity(1)[0])


def image_of(name: str = "a.png") -> PosedImage:
    return PosedImage(name, 1, 1, CAMERA, identity(1)[0])


def expected() -> np.ndarray:
    truth = RAMP.copy()
    truth[2, 9] = 0
    return truth


def test_a_map_of_the_whole_image_is_written_as_it_is() -> None:
    np.testing.assert_array_equal(
        depth_in_image(view_of(PixelMap((2.0, 2.0), (0.0, 0.0))), image_of(), None), expected()
    )


def test_where_the_map_covers_a_part_the_rest_is_unknown() -> None:
    """Two of its pixels to the right, one up: their columns come from the left, their rows from below."""
    found = depth_in_image(view_of(PixelMap((2.0, 2.0), (4.0, -2.0))), image_of(), None)
    shifted = np.zeros((6, 10))
    shifted[:5, 2:] = expected()[1:, :8]
    np.testing.assert_array_equal(found, shifted)


def test_what_a_lens_bends_is_looked_up_where_it_was() -> None:
    lens: Any = SimpleNamespace(original=lambda pixels: pixels + np.array([2.0, 0.0]))
    moved = np.zeros((6, 10))
    moved[:, :9] = expected()[:, 1:]
    np.testing.assert_array_equal(depth_in_image(view_of(PixelMap((2.0, 2.0), (0.0, 0.0))), image_of(), lens), moved)


@pytest.mark.parametrize(("scale", "shape"), [((2.1, 2.1), (6, 10)), ((1.9, 1.9), (6, 11)), ((50.0, 50.0), (1, 1))])
def test_the_size_is_about_that_of_the_prediction(scale: tuple[float, float], shape: tuple[int, int]) -> None:
    assert depth_in_image(view_of(PixelMap(scale, (0.0, 0.0))), image_of(), None).shape == shape


def test_every_image_has_a_file_and_those_without_a_view_know_nothing(tmp_path: Path) -> None:
    images = [image_of("walk/1.png"), image_of("walk/b/2.jpg")]
    paths = write_depths(tmp_path, images, [None, view_of(PixelMap((2.0, 2.0), (0.0, 0.0)))], [None, None])
    assert paths == {"walk/1.png": "depths/walk/1.npy", "walk/b/2.jpg": "depths/walk/b/2.npy"}
    unknown, known = (np.load(tmp_path / path) for path in paths.values())
    assert unknown.dtype == known.dtype == np.float32
    np.testing.assert_array_equal(unknown, np.zeros((6, 10)))
    np.testing.assert_array_equal(known, 1000 * expected())
    write_depths(tmp_path, images[:1], [None], [None])
    assert np.load(tmp_path / paths["walk/1.png"]).shape == (1, 1)
