"""Tracks that lose observations are measured again by those that are left; the others pass as they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from da3_pipeline.export.tracks import reprojection_errors_px, tracks_seen_in
from da3_pipeline.types import Scene


def moved_aside(room: Any) -> tuple[Scene, np.ndarray]:
    """A scene whose observations are off by known distances, and these; its points say that they are off by 7 px."""
    scene = room()
    tracks = scene.tracks
    off_px = np.random.default_rng(0).uniform(0.5, 3.0, len(tracks.observation_frame))
    angle = np.random.default_rng(1).uniform(0, 2 * np.pi, len(off_px))
    moved = tracks.observation_xy + off_px[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    told = np.full(len(tracks), 7.0)
    return replace(scene, tracks=replace(tracks, observation_xy=moved, point_error_px=told)), off_px


def test_errors_are_the_distances_to_the_projections(room: Any) -> None:
    scene, off_px = moved_aside(room)
    np.testing.assert_allclose(reprojection_errors_px(scene), off_px, atol=1e-6)
    assert np.isnan(reprojection_errors_px(replace(scene, cameras={}))).all()


def test_what_lost_observations_is_measured_by_those_that_are_left(room: Any) -> None:
    scene, off_px = moved_aside(room)
    tracks = scene.tracks
    left = tracks_seen_in(scene, range(4))
    stays = tracks.observation_frame < 4
    points = np.unique(tracks.observation_point[stays])
    total, count = (np.bincount(tracks.observation_point[stays], some) for some in (off_px[stays], None))
    lost = np.bincount(tracks.observation_point[~stays], minlength=len(tracks)) > 0
    assert 0 < lost[points].sum() < len(points)
    expected = np.where(lost[points], total[points] / count[points], 7.0)
    np.testing.assert_allclose(left.point_error_px, expected, atol=1e-6)
    np.testing.assert_array_equal(left.points, tracks.points[points])
    np.testing.assert_array_equal(left.points[left.observation_point], tracks.points[tracks.observation_point[stays]])
    assert (tracks_seen_in(scene, range(6)).point_error_px == 7.0).all()
