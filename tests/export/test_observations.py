"""Every image gets observations, and those that depth made are told from those that were measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.export.observations import ModelTracks, _projections, model_tracks
from da3_pipeline.geometry import centres, transform_points
from da3_pipeline.types import Scene, Tracks

ALL = range(6)


def build(scene: Scene, frames: range = ALL) -> ModelTracks:
    ignored = IgnoredPixels(scene, frames, {})
    views, _ = trusted_depth(scene, frames, ignored, ExportConfig())
    return model_tracks(scene, frames, views, ignored, ExportConfig())


def without(tracks: Tracks, frame: int) -> Tracks:
    keep = tracks.observation_frame != frame
    return replace(
        tracks,
        observation_point=tracks.observation_point[keep],
        observation_frame=tracks.observation_frame[keep],
        observation_xy=tracks.observation_xy[keep],
    )


def errors_px(scene: Scene, tracks: Tracks) -> np.ndarray:
    errors = np.zeros(len(tracks.observation_point))
    for k, pose in enumerate(scene.cam_from_world):
        mine = tracks.observation_frame == k
        pixels = scene.cameras["phone"].project(transform_points(pose, tracks.points[tracks.observation_point[mine]]))
        errors[mine] = np.linalg.norm(pixels - tracks.observation_xy[mine], axis=1)
    return errors


def test_measured_tracks_pass_unchanged(room: Any) -> None:
    scene = room()
    model = build(scene)
    assert model.measured.all() and (model.source == -1).all()
    np.testing.assert_array_equal(model.tracks.points, scene.tracks.points)
    np.testing.assert_array_equal(model.tracks.observation_xy, scene.tracks.observation_xy)


def test_observations_in_frames_that_are_left_out_go(room: Any) -> None:
    scene = room()
    model = build(scene, range(3))
    assert set(model.tracks.observation_frame.tolist()) == {0, 1, 2}
    assert np.bincount(model.tracks.observation_point, minlength=len(model.tracks)).min() >= 1


def test_without_any_tracks_depth_gives_multi_view_ones_on_the_true_surface(room: Any) -> None:
    scene = replace(room(), tracks=Tracks.empty())
    model = build(scene)
    tracks = model.tracks
    assert not model.measured.any() and (model.source >= 0).all()
    lengths = np.bincount(tracks.observation_point, minlength=len(tracks))
    assert (np.bincount(tracks.observation_frame, minlength=6) >= 100).all()
    assert (lengths >= 2).all() and lengths.mean() > 3
    assert room.distance_to_surface(tracks.points).max() < 3e-3
    assert errors_px(scene, tracks).max() < 1e-6
    assert tracks.point_error_px.max() < 1.0
    pairs = np.stack([tracks.observation_point, tracks.observation_frame])
    assert len(np.unique(pairs, axis=1).T) == pairs.shape[1]


def test_occluded_views_do_not_confirm_a_point(room: Any) -> None:
    """Points on the back wall are hidden by the ball in some views: no observation may go through it."""
    scene = replace(room(), tracks=Tracks.empty())
    tracks = build(scene).tracks
    for point, frame in zip(tracks.observation_point, tracks.observation_frame, strict=True):
        centre = -scene.cam_from_world[frame, :, :3].T @ scene.cam_from_world[frame, :, 3]
        ray = tracks.points[point] - centre
        along = np.clip(-(centre @ ray) / (ray @ ray), 0, 0.98)
        assert np.linalg.norm(centre + along * ray) > 0.75


def test_a_frame_with_a_prior_pose_only_is_tied_in_by_its_depth(room: Any) -> None:
    scene = room()
    scene = replace(scene, tracks=without(scene.tracks, 4))
    model = build(scene)
    mine = model.tracks.observation_frame == 4
    assert mine.sum() >= 100 and not model.measured[mine].any()
    assert (model.source[model.tracks.observation_point[mine]] == 4).all()
    assert model.measured.sum() == len(scene.tracks.observation_point)
    assert room.distance_to_surface(model.tracks.points).max() < 3e-3


def test_a_frame_without_depth_scale_sees_the_points_of_others(room: Any) -> None:
    scene = room()
    scales = scene.depth_scale.copy()
    scales[4] = np.nan
    scene = replace(scene, tracks=without(scene.tracks, 4), depth_scale=scales)
    model = build(scene)
    mine = model.tracks.observation_frame == 4
    assert mine.sum() >= 100 and not model.measured[mine].any()
    assert (model.source == -1).all()
    assert errors_px(scene, model.tracks).max() < 1e-6


def test_nothing_known_gives_nothing(room: Any) -> None:
    scene = replace(room(), tracks=Tracks.empty(), depth_scale=np.full(6, np.nan))
    assert len(build(scene).tracks) == 0


def test_frames_without_depth_see_what_was_seen_from_the_likest_direction(room: Any) -> None:
    """In their own image, which is wider than high, and of all points in it those whose ray turns least."""
    scene = room()
    ignored = IgnoredPixels(scene, ALL, {})
    tracks = scene.tracks
    first = np.unique(tracks.observation_point, return_index=True)[1]
    places = centres(scene.cam_from_world)
    seen_from = places[tracks.observation_frame[first]]
    pixels = scene.cameras["phone"].project(transform_points(scene.cam_from_world[4], tracks.points))
    inside = ((pixels >= 0) & (pixels <= [240, 160])).all(axis=1)
    taken, at = _projections(scene, tracks.points, seen_from, 4, ignored, 10_000)
    np.testing.assert_array_equal(np.sort(taken), np.flatnonzero(inside))
    np.testing.assert_allclose(at, pixels[taken])
    few, _ = _projections(scene, tracks.points, seen_from, 4, ignored, 40)
    before, now = (tracks.points - some for some in (seen_from, places[4]))
    cosine = (before * now).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(now, axis=1)
    assert cosine[few].min() >= np.sort(cosine[inside])[-40] - 1e-12
