"""Depth that is made when it is asked for is the same however it is asked for, and is not held for all frames."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.config import ConsistencyConfig, DepthConfig
from da3_pipeline.export.depth.consistency import Overlap
from da3_pipeline.export.depth.depth_fit import DepthFit
from da3_pipeline.export.depth.depth_views import CorrectedDepth, DepthMap, DepthView, RecentMaps
from da3_pipeline.export.depth.seeds import seed_points
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels, PixelSet
from da3_pipeline.geometry import Camera, PixelMap
from da3_pipeline.types import Scene, Tracks

FRAMES = 24
NOTHING = np.zeros((1, 1, 1), np.float32)
CORRECTED = CorrectedDepth(NOTHING, 0, 1.0, PixelMap((1.0, 1.0), (0.0, 0.0)), Camera.pinhole(1, 1, 1.0))


def names(count: int) -> tuple[str, ...]:
    return tuple(f"{k:02d}.png" for k in range(count))


def views_of(scene: Scene, **options: Any) -> list[DepthView]:
    frames, config = range(len(scene.frames)), ExportConfig(depth=DepthConfig(**options))
    return trusted_depth(scene, frames, IgnoredPixels(scene, frames, {}), config)[0]


def tilted(scene: Scene) -> Scene:
    """Depth that a fit corrects, so that what is made is not what the prior has."""
    depth = scene.prediction.depth**1.2 * np.exp(np.linspace(-0.3, 0.3, scene.prediction.depth.shape[2]))
    return replace(scene, prediction=replace(scene.prediction, depth=depth.astype(np.float32)))


@pytest.mark.parametrize("share", [0.001, 0.9])
def test_some_pixels_are_what_the_whole_map_has_there(room: Any, share: float) -> None:
    scene = tilted(room(names=names(3)))
    kept, fresh = views_of(scene, maps_in_memory=32)[0], views_of(scene, maps_in_memory=1)[0]
    whole = kept.map.whole()
    rows, columns = np.random.default_rng(0).integers(0, whole.shape, (int(share * whole.size), 2)).T
    np.testing.assert_allclose(fresh.map[rows, columns], whole[rows, columns], rtol=1e-6)
    np.testing.assert_array_equal(np.isfinite(whole), fresh.map.known())
    np.testing.assert_array_equal(fresh.map[rows[None], columns[None]][0], fresh.map[rows, columns])


def test_seeds_do_not_depend_on_how_many_maps_are_held(room: Any) -> None:
    scene = tilted(room(names=names(8), track_count=300))
    made = []
    for maps in (1, 32):
        views = views_of(scene, maps_in_memory=maps)
        colours = lambda frame, pixels: np.full((len(pixels), 3), frame, np.uint8)  # noqa: E731
        config = ExportConfig(max_seed_points=4000)
        made.append(seed_points(scene.tracks, np.ones(len(scene.tracks), bool), views, colours, config))
    assert len(made[0].points) > 2000
    np.testing.assert_allclose(made[0].points, made[1].points, rtol=1e-6)
    np.testing.assert_array_equal(made[0].colours, made[1].colours)


def test_views_hold_bits_and_not_depth(room: Any) -> None:
    scene = room(names=names(FRAMES), track_count=300)
    every_map = scene.prediction.depth.nbytes
    tracemalloc.start()
    views = views_of(scene, maps_in_memory=2)
    for view in views:
        assert np.isfinite(view.map.whole()).any()
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(views) == FRAMES
    assert held < every_map / 3


def test_confidence_is_sampled_where_frames_are_many(room: Any) -> None:
    scene = room()
    ramp = np.broadcast_to(np.linspace(0, 1, 120), scene.prediction.conf.shape).astype(np.float32)
    ranked = replace(scene, prediction=replace(scene.prediction, conf=ramp))
    exact, sparse = views_of(ranked, sample_stride=1), views_of(ranked, sample_stride=1, most_samples=2000)
    lowest = [np.nonzero(view.map.known())[1].min() for view in (*exact, *sparse)]
    assert np.ptp(lowest) <= 4 and 40 < min(lowest) < 52  # 40 % of 120 columns


def test_pixel_sets_are_masks() -> None:
    mask = np.random.default_rng(0).integers(0, 2, (13, 7)).astype(bool)
    np.testing.assert_array_equal(PixelSet(mask).mask(), mask)
    assert PixelSet(mask).shape == (13, 7)


def test_neighbours_see_the_surface_with_parallax_and_are_never_the_view_itself(room: Any) -> None:
    views = views_of(room(names=names(FRAMES), track_count=300))
    overlap = Overlap(views, ConsistencyConfig())
    for position, view in enumerate(views):
        found = overlap.of(position, 4)
        assert len(found) == 4 and view not in found
        apart = [abs(other.frame - view.frame) for other in found]
        assert min(apart) >= 2  # 2.5 degrees a frame around the ball: full parallax needs some


def test_of_many_views_those_that_show_the_same_place_are_looked_at(room: Any) -> None:
    """Every second frame is of another room, far away."""
    scene = replace(room(names=names(FRAMES)), tracks=Tracks.empty())
    poses = scene.cam_from_world.copy()
    poses[1::2, :, 3] -= poses[1::2, :, :3] @ [100.0, 0.0, 0.0]
    views = views_of(replace(scene, cam_from_world=poses))
    few, every = Overlap(views, ConsistencyConfig(candidates=6)), Overlap(views, ConsistencyConfig())
    for position in range(FRAMES):
        for found in (few.of(position, 3), every.of(position, 3)):
            assert len(found) == 3 and views[position] not in found
            assert all((other.frame - position) % 2 == 0 for other in found)
    assert [view.frame for view in few.of(0, 100)] != [view.frame for view in every.of(0, 100)]


def test_views_without_trusted_depth_have_no_neighbours(room: Any) -> None:
    views = views_of(room())
    blank = replace(views[2], map=DepthMap(CORRECTED, PixelSet(np.zeros(views[2].map.shape, bool)), RecentMaps(1)))
    overlap = Overlap([*views[:2], blank, *views[3:]], ConsistencyConfig())
    assert overlap.of(2, 4) == [] and len(overlap.of(0, 4)) == 4


def ramp(shape: tuple[int, int] = (8, 12), recent: RecentMaps | None = None, **limits: float) -> DepthMap:
    """Depth that rises by one from pixel to pixel, all of it trusted."""
    depth = np.arange(1, 1 + shape[0] * shape[1], dtype=np.float32).reshape(1, *shape)
    fit = DepthFit((0.0,), 0.0, None, 0.0, 0.0) if limits else None
    whole_image = Camera.pinhole(shape[1], shape[0], 10.0)
    corrected = CorrectedDepth(depth, 0, 1.0, PixelMap((1.0, 1.0), (0.0, 0.0)), whole_image, fit, **limits)
    return DepthMap(corrected, PixelSet(np.ones(shape, bool)), recent or RecentMaps(4))


def test_a_fits_depth_nearer_or_farther_than_it_knows_is_unknown() -> None:
    values = ramp(nearest=10.0, farthest=50.0).whole().ravel()
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(values)) + 1, np.arange(10, 51))


def test_the_maps_that_were_asked_for_last_are_held() -> None:
    recent = RecentMaps(2)
    first, second, third = (ramp(recent=recent) for _ in range(3))
    whole = first.whole()
    second.whole()
    assert first.whole() is whole, "two are held"
    third.whole()
    assert recent.find(first) is whole and recent.find(second) is None and recent.find(third) is not None


def test_a_few_pixels_are_made_by_themselves_and_many_with_the_whole_map() -> None:
    recent = RecentMaps(4)
    some = ramp(recent=recent)
    rows, columns = np.array([0, 7, 3]), np.array([0, 11, 5])
    np.testing.assert_array_equal(some[rows, columns], [1, 96, 42])
    assert recent.find(some) is None
    many = np.indices((8, 2)).reshape(2, -1)
    np.testing.assert_array_equal(some[many[0], many[1]], 1 + 12 * many[0] + many[1])
    assert recent.find(some) is not None
