"""Depth in scene units, free of edges, and judged against the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.config import DepthConfig
from da3_pipeline.export.depth.depth_views import DepthView, bilinear
from da3_pipeline.export.depth.trusted_depth import depth_novelty, trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.geometry import transform_points
from da3_pipeline.types import Scene, Tracks

ALL = range(6)


def trusted(scene: Scene, frames: Sequence[int], config: ExportConfig) -> tuple[list[DepthView], list[int]]:
    """Where nothing is masked or cropped away."""
    return trusted_depth(scene, frames, IgnoredPixels(scene, frames, {}), config)


def with_depth(scene: Scene, depth: np.ndarray) -> Scene:
    return replace(scene, prediction=replace(scene.prediction, depth=depth.astype(np.float32)))


def test_lifted_points_lie_on_the_surface(room: Any) -> None:
    """Half a pixel off would put them up to 2 cm away on the ball."""
    scene = room()
    views, refused = trusted(scene, ALL, ExportConfig())
    assert refused == [] and len(views) == 6
    for view in views:
        rows, columns = np.nonzero(np.isfinite(view.map.whole()))
        assert len(rows) > 0.3 * view.map.whole().size
        assert room.distance_to_surface(view.world_points(rows, columns)).max() < 3e-3
        assert view.disagreement < 5e-3


def test_edges_and_border_are_taken_out_and_slopes_are_not(room: Any) -> None:
    scene = room()
    view = trusted(scene, [2], ExportConfig())[0][0]
    truth = scene.prediction.depth[2] * 3
    jump = ndimage.maximum_filter(truth, 3) / ndimage.minimum_filter(truth, 3) > 1.2
    assert jump.any()
    assert not np.isfinite(view.map.whole()[jump]).any()
    assert not np.isfinite(view.map.whole()[[0, -1]]).any() and not np.isfinite(view.map.whole()[:, [0, -1]]).any()
    far_from_jumps = ~ndimage.binary_dilation(jump, iterations=5)
    far_from_jumps[:4] = far_from_jumps[-4:] = far_from_jumps[:, :4] = far_from_jumps[:, -4:] = False
    assert np.isfinite(view.map.whole()[far_from_jumps]).mean() > 0.9


def test_confidence_is_relative_to_the_scene(room: Any) -> None:
    scene = room()
    ramp = np.broadcast_to(np.linspace(0, 1, 120), scene.prediction.conf.shape).astype(np.float32)
    for factor in (1.0, 1e-4):
        ranked = replace(scene, prediction=replace(scene.prediction, conf=ramp * np.float32(factor)))
        views = trusted(ranked, ALL, ExportConfig(min_confidence_percentile=50))[0]
        columns = np.concatenate([np.nonzero(np.isfinite(view.map.whole()))[1] for view in views])
        assert 55 <= columns.min() <= 64


def test_smoothly_wrong_depth_is_corrected_by_the_tracks(room: Any) -> None:
    scene = room()
    tilt = np.exp(np.linspace(-0.3, 0.3, 120))
    views, refused = trusted(with_depth(scene, scene.prediction.depth**1.2 * tilt), ALL, ExportConfig())
    assert refused == []
    for view in views:
        rows, columns = np.nonzero(np.isfinite(view.map.whole()))
        assert np.median(room.distance_to_surface(view.world_points(rows, columns))) < 0.02


def test_garbage_depth_is_refused(room: Any) -> None:
    scene = room()
    rng = np.random.default_rng(0)
    depth = scene.prediction.depth.copy()
    coarse = rng.normal(0, 0.8, (16, 24))
    depth[3] *= np.exp(ndimage.zoom(coarse, (80 / 16, 120 / 24), order=1))
    views, refused = trusted(with_depth(scene, depth), ALL, ExportConfig())
    assert refused == [3]
    assert [view.frame for view in views] == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("factor", [0.05, 6.0])
def test_depth_far_outside_that_of_the_tracks_is_a_guess(room: Any, factor: float) -> None:
    """A smooth patch that no track is seen in, much nearer or farther than all tracks, is not trusted."""
    scene = room()
    tracks, depth = scene.tracks, scene.prediction.depth.copy()
    patch = (slice(20, 50), slice(70, 110))
    columns, rows = (tracks.observation_xy / 2).T
    seen_there = (rows > 18) & (rows < 52) & (columns > 68) & (columns < 112)
    kept = ~seen_there
    given = (tracks.observation_point[kept], tracks.observation_frame[kept], tracks.observation_xy[kept])
    depth[(slice(None), *patch)] = factor * np.median(depth)
    scene = replace(scene, tracks=Tracks(tracks.points, tracks.colours, tracks.point_error_px, *given))
    views, refused = trusted(with_depth(scene, depth), ALL, ExportConfig())
    assert len(views) == 6 and refused == []
    for view in views:
        assert not view.map.known()[patch].any()
        assert view.map.known().mean() > 0.3
    lenient = ExportConfig(depth=DepthConfig(extrapolation=50.0))
    assert all(view.map.known()[patch].mean() > 0.5 for view in trusted(with_depth(scene, depth), ALL, lenient)[0])


@pytest.mark.parametrize("scale", [np.nan, 0.0, -1.0])
def test_frames_without_a_scale_contribute_nothing(room: Any, scale: float) -> None:
    scene = room()
    scales = scene.depth_scale.copy()
    scales[1] = scale
    views, refused = trusted(replace(scene, depth_scale=scales), ALL, ExportConfig())
    assert 1 not in [view.frame for view in views] and refused == []


def test_unknown_depth_is_unknown(room: Any) -> None:
    scene = room()
    depth = scene.prediction.depth.copy()
    depth[0, 20:60, 30:90] = 0
    depth[1, 20:60, 30:90] = np.nan
    views, _ = trusted(with_depth(scene, depth), [0, 1], ExportConfig())
    assert all(not np.isfinite(view.map.whole()[20:60, 30:90]).any() for view in views)


def test_without_tracks_depth_is_taken_as_it_is(room: Any) -> None:
    scene = replace(room(), tracks=Tracks.empty())
    views, refused = trusted(scene, ALL, ExportConfig())
    assert len(views) == 6 and refused == []
    assert all(np.isnan(view.disagreement) for view in views)


def test_looking_points_up_gives_their_depth_and_the_surface_in_front(room: Any) -> None:
    scene = room()
    view = trusted(scene, [2], ExportConfig())[0][0]
    centre = view.centre
    on_ball = np.array([0.0, 0.0, -0.8])
    behind_ball = on_ball + (on_ball - centre) * 1.5
    behind_camera = centre - (on_ball - centre)
    points = np.array([on_ball, behind_ball, behind_camera])
    expected, found, pixels = view.look_up(points)
    np.testing.assert_allclose(expected, transform_points(view.cam_from_world, points)[:, 2])
    assert found[0] == pytest.approx(expected[0], rel=2e-3)
    assert found[1] == pytest.approx(expected[0], rel=2e-3)
    assert np.isnan(found[2]) and np.isnan(pixels[2]).all()


def test_bilinear_is_exact_on_a_plane_and_spreads_nan() -> None:
    rows, columns = np.indices((6, 9))
    plane = (2 * (columns + 0.5) + 3 * (rows + 0.5)).astype(np.float32)
    inside = np.random.default_rng(0).uniform([0.5, 0.5], [8.5, 5.5], (50, 2))
    np.testing.assert_allclose(bilinear(plane, inside), inside @ [2, 3], rtol=1e-6)
    assert np.isnan(bilinear(plane, np.array([[-0.1, 2.0], [2.0, 6.1]]))).all()
    plane[3, 4] = np.nan
    values = bilinear(plane, np.array([[4.5, 3.5], [4.1, 3.9], [3.4, 3.5], [6.0, 3.5]]))
    assert np.isnan(values[:2]).all() and np.isfinite(values[2:]).all()


def test_bilinear_of_a_single_pixel() -> None:
    assert bilinear(np.full((1, 1), 7, np.float32), np.array([[0.2, 0.9]])) == pytest.approx(7)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_the_border_is_as_wide_as_told(room: Any, share: float) -> None:
    """Of 80 rows, the shorter side."""
    scene = with_depth(replace(room(), tracks=Tracks.empty()), np.full((6, 80, 120), 1.0))
    known = trusted(scene, ALL, ExportConfig(depth=DepthConfig(border_share=share)))[0][0].map.known()
    width = round(80 * share)
    expected = np.zeros((80, 120), bool)
    expected[width:-width, width:-width] = True
    np.testing.assert_array_equal(known, expected)


def test_novelty_is_the_median_of_those_that_can_tell(room: Any) -> None:
    views = trusted(room(), ALL, ExportConfig())[0]
    told = [
        replace(view, novelty=value) for view, value in zip(views, [0.1, np.nan, 0.4, 0.2, np.nan, 0.9], strict=True)
    ]
    assert depth_novelty(told) == pytest.approx(0.3)
    assert np.isnan(depth_novelty([replace(view, novelty=np.nan) for view in views])) and np.isnan(depth_novelty([]))
