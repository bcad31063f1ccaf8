"""Which row of a predictions file belongs to which frame, and where its pixels lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.errors import InferenceError
from da3_pipeline.infer.config import ViewConfig
from da3_pipeline.infer.from_file import assign, views_from_file, whole_image_map
from da3_pipeline.infer.prediction_file import PredictionFile
from da3_pipeline.infer.preprocess import common_layouts
from da3_pipeline.infer.views import RawViews
from da3_pipeline.types import Frame


def frame(name: str, width: int = 400, height: int = 200) -> Frame:
    return Frame(name, Path(name), width, height, "camera", name)


@pytest.fixture
def file_of(true_views: Callable[..., RawViews]) -> Callable[..., PredictionFile]:
    def make(*names: str, count: int | None = None) -> PredictionFile:
        return PredictionFile(Path("p.npz"), true_views(count or len(names)), names or None, None)

    return make


def test_without_names_the_order_counts(file_of: Callable[..., PredictionFile]) -> None:
    assert assign(file_of(count=2), [frame("a"), frame("b")]) == [0, 1]
    with pytest.raises(InferenceError, match="has 3 frames without names, but 2 frames were selected"):
        assign(file_of(count=3), [frame("a"), frame("b")])


def test_full_names_go_before_last_parts_and_these_before_stems(file_of: Callable[..., PredictionFile]) -> None:
    file = file_of("x/1.jpg", "elsewhere/2.jpg", "3.png", "unused.jpg")
    frames = [frame("y/3.jpg"), frame("x/1.jpg"), frame("x/2.jpg"), frame("x/4.jpg")]
    assert assign(file, frames) == [2, 0, 1, None]


def test_a_last_part_that_occurs_twice_decides_nothing(file_of: Callable[..., PredictionFile]) -> None:
    frames = [frame("a/1.jpg"), frame("b/1.jpg"), frame("b/2.jpg")]
    assert assign(file_of("a/1.jpg", "c/1.jpg", "2.jpg"), frames) == [0, None, 2]


def test_windows_separators_match(file_of: Callable[..., PredictionFile]) -> None:
    assert assign(file_of("room\\1.jpg", "attic\\1.jpg"), [frame("attic/1.jpg"), frame("room/1.jpg")]) == [1, 0]


def test_no_common_name_is_an_error(file_of: Callable[..., PredictionFile]) -> None:
    with pytest.raises(InferenceError, match=r"none of its names .*'z.jpg'.* is a selected frame .*'a.jpg'"):
        assign(file_of("z.jpg"), [frame("a.jpg")])


def test_frames_that_the_file_lacks_are_dropped_with_a_reason(file_of: Callable[..., PredictionFile]) -> None:
    file = file_of("b", "a")
    kept, views, maps, dropped = views_from_file(file, [frame("a"), frame("new"), frame("b")])
    assert [one.name for one in kept] == ["a", "b"]
    np.testing.assert_array_equal(views.depth, file.views.depth[[1, 0]])
    assert len(maps) == 2
    assert [(one.frame, "not in the predictions file" in one.reason) for one in dropped] == [("new", True)]


@given(width=st.integers(300, 6000), height=st.integers(300, 6000), resolution_px=st.sampled_from([252, 336, 504, 700]))
def test_the_depth_map_of_a_resized_photograph_covers_it(width: int, height: int, resolution_px: int) -> None:
    if max(width, height) > 2 * min(width, height):
        width = height
    plan = common_layouts([(width, height)], resolution_px, "upper_bound_resize", ViewConfig())[0]
    found = whole_image_map(frame("a", width, height), *plan.size)
    np.testing.assert_allclose(found.scale, plan.pixel_map.scale, rtol=1e-12)
    assert found.offset == (0.0, 0.0)


def test_a_depth_map_of_another_shape_is_a_centred_crop() -> None:
    layouts = common_layouts([(400, 300), (300, 400)], 504, "upper_bound_resize", ViewConfig())
    for plan, size in zip(layouts, [(400, 300), (300, 400)], strict=True):
        found = whole_image_map(frame("a", *size), *plan.size)
        np.testing.assert_allclose(found.scale, plan.pixel_map.scale, rtol=1e-12)
        np.testing.assert_allclose(found.offset, plan.pixel_map.offset, atol=1e-9)
