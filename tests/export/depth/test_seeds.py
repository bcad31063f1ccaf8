"""Seed points lie on the true surface, matched ones first, and never too many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.depth.seeds import Seeds, _dense_enough, _first_in_voxel, _thinned, seed_points
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.types import Scene, Tracks


def colour_at(frame: int, pixels: np.ndarray) -> np.ndarray:
    return np.full((len(pixels), 3), 10 * frame, np.uint8)


def build(scene: Scene, **options: float | bool) -> Seeds:
    config = ExportConfig(**options)  # type: ignore[arg-type]
    frames = range(len(scene.frames))
    views, _ = trusted_depth(scene, frames, IgnoredPixels(scene, frames, {}), config)
    return seed_points(scene.tracks, np.ones(len(scene.tracks), bool), views, colour_at, config)


def test_seeds_are_on_the_surface_with_the_matched_points_first(room: Any) -> None:
    scene = room()
    seeds = build(scene)
    assert seeds.matched == len(scene.tracks)
    np.testing.assert_array_equal(seeds.points[: seeds.matched], scene.tracks.points)
    np.testing.assert_array_equal(seeds.colours[: seeds.matched], room.paint(scene.tracks.points))
    assert len(seeds.points) > 5000
    assert room.distance_to_surface(seeds.points).max() < 5e-3


@pytest.mark.parametrize("limit", [0, 50, 2000, 5000])
def test_limit_holds(room: Any, limit: int) -> None:
    seeds = build(room(), max_seed_points=limit)
    assert len(seeds.points) == len(seeds.colours) <= limit
    assert len(seeds.points) > 0.5 * limit or limit == 0


def test_too_many_matched_points_leave_the_most_seen(room: Any) -> None:
    scene = room()
    seeds = build(scene, max_seed_points=50)
    lengths = np.bincount(scene.tracks.observation_point)
    chosen = [np.flatnonzero((scene.tracks.points == point).all(axis=1))[0] for point in seeds.points]
    assert seeds.matched == 50
    assert lengths[chosen].min() >= np.sort(lengths)[-50:].min()


def test_depth_seeds_can_be_turned_off(room: Any) -> None:
    scene = room()
    assert len(build(scene, depth_seeds=False).points) == len(scene.tracks)


def test_seeds_are_spread_evenly(room: Any) -> None:
    """One a voxel: no two depth seeds of six overlapping views lie on top of each other."""
    seeds = build(room(), max_seed_points=3000)
    depth_only = seeds.points[seeds.matched :]
    cells = np.floor(depth_only / 0.02)
    assert len(np.unique(cells, axis=0)) > 0.97 * len(depth_only)


def test_a_view_that_others_contradict_adds_no_floaters(room: Any) -> None:
    """Without tracks nothing says that a view's depth is wrong but the other views."""
    scene = replace(room(), tracks=Tracks.empty())
    depth = scene.prediction.depth.copy()
    depth[2] *= 0.6
    seeds = build(replace(scene, prediction=replace(scene.prediction, depth=depth)))
    distance = room.distance_to_surface(seeds.points)
    assert len(seeds.points) > 3000
    assert np.mean(distance > 0.1) < 0.02


def test_colours_come_from_the_lifted_pixels(room: Any) -> None:
    scene = replace(room(), tracks=Tracks.empty())
    seeds = build(scene)
    assert set(np.unique(seeds.colours).tolist()) == {0, 10, 20, 30, 40, 50}


def test_no_views_and_no_tracks(room: Any) -> None:
    scene = replace(room(), tracks=Tracks.empty(), depth_scale=np.full(6, np.nan))
    assert build(scene).points.shape == (0, 3)


@pytest.mark.parametrize(
    ("novelty", "points", "topped_up"),
    [
        ([0.5, 0.5, 0.5, 0.1, 0.1, 0.5], 1000, True),  # it knows what the tracks do not say
        ([0.1, 0.0, -0.2, 0.1, 0.5, 0.1], 1000, False),  # it does not
        ([0.1, 0.0, -0.2, 0.1, 0.5, 0.1], 400, True),  # but it is needed
        ([np.nan] * 6, 1000, True),  # too few tracks to tell
        ([0.0] * 5 + [np.nan], 1000, True),  # in one frame
    ],
)
def test_depth_that_says_no_more_than_the_tracks_gives_seeds_only_where_they_are_few(
    room: Any, novelty: list[float], points: int, topped_up: bool
) -> None:
    scene = room()
    frames = range(len(scene.frames))
    views, _ = trusted_depth(scene, frames, IgnoredPixels(scene, frames, {}), ExportConfig())
    views = [replace(view, novelty=value) for view, value in zip(views, novelty, strict=True)]
    chosen = np.resize(np.arange(len(scene.tracks)), points)
    none = np.zeros(0, np.int64)
    given = (scene.tracks.points[chosen], scene.tracks.colours[chosen], scene.tracks.point_error_px[chosen])
    tracks = Tracks(*given, none, none, np.zeros((0, 2)))
    seeds = seed_points(tracks, np.ones(points, bool), views, colour_at, ExportConfig())
    assert (len(seeds.points) > seeds.matched) == topped_up


def test_exact_depth_is_news_and_a_surface_through_the_tracks_is_not(room: Any) -> None:
    scene = room()
    frames = range(len(scene.frames))
    flat = np.full_like(scene.prediction.depth, np.median(scene.prediction.depth))
    novelty = {}
    for name, depth in (("exact", scene.prediction.depth), ("flat", flat)):
        given = replace(scene, prediction=replace(scene.prediction, depth=depth))
        config = ExportConfig(max_depth_disagreement=0.99)
        views, _ = trusted_depth(given, frames, IgnoredPixels(given, frames, {}), config)
        novelty[name] = [view.novelty for view in views]
    assert min(novelty["exact"]) > 0.5
    assert max(novelty["flat"]) < 0.1


def test_voxels_are_told_apart_however_far_the_points_lie() -> None:
    """Numbered one after the other, the cubes of so wide a world would not fit into 64 bits."""
    edge = 2.0**32 - 1
    near, far = np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.2, 0.3], [1, 0, 1.0]]), np.array([[0, edge, edge]])
    np.testing.assert_array_equal(_first_in_voxel(near, 1.0), [0, 1, 3])
    np.testing.assert_array_equal(_first_in_voxel(np.concatenate([near, far]), 1.0), [0, 1, 3, 4])


def test_an_even_sheet_is_kept_to_its_border_and_a_lone_point_is_not() -> None:
    """All spacings are the same, so that nothing but the least spread says what is usual."""
    sheet = np.stack([*np.indices((20, 20)).reshape(2, -1), np.zeros(400)], axis=1)
    config = ExportConfig().seeds
    assert (~_dense_enough(sheet, config)).sum() <= 4, "but for the corners"
    kept = _dense_enough(np.concatenate([sheet, [[10.0, 10.0, 40.0]]]), config)
    assert kept[:400].sum() >= 396 and not kept[400]
    assert _dense_enough(sheet[:2], config).all()


def test_a_surface_of_too_many_points_keeps_about_as_many_as_are_wanted() -> None:
    """Voxels grow with the square root of what is too much, for that is how their number falls on a surface."""
    sheet = np.stack([*np.indices((100, 100)).reshape(2, -1), np.zeros(10_000)], axis=1)
    kept = _thinned(sheet, 0, 1.0, ExportConfig(max_seed_points=500))
    assert 300 < len(kept) <= 500
    assert len(np.unique(sheet[kept] // 20, axis=0)) == 25, "all over it"
