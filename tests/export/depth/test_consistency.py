"""What other views say of a point: on their surface, in front of it, behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from da3_pipeline.export import ExportConfig
from da3_pipeline.export.config import ConsistencyConfig
from da3_pipeline.export.depth.consistency import Support, _parallax, support
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.types import Scene


def asked(scene: Scene, factor: float) -> Support:
    """Two neighbours of a view, about its points moved along their rays to `factor` times their depth."""
    frames = range(len(scene.frames))
    views, _ = trusted_depth(scene, frames, IgnoredPixels(scene, frames, {}), ExportConfig())
    view = views[4]
    rows, columns = np.nonzero(view.map.known())
    rows, columns = rows[::7], columns[::7]
    rays = view.camera.unproject(view.pixels(rows, columns))
    points = view.lift(rays, factor * view.map[rows, columns].astype(np.float64))
    return support(view, points, [views[3], views[5]], ConsistencyConfig())


def test_points_on_the_surface_are_confirmed_and_clear(mixed: Scene) -> None:
    answer = asked(mixed, 1.0)
    assert answer.seen.mean() > 0.5
    assert answer.agrees[answer.seen].any(axis=1).mean() > 0.97
    assert answer.clear.mean() > 0.99


@pytest.mark.parametrize("factor", [0.6, 0.8])
def test_points_that_others_see_through_are_contradicted(mixed: Scene, factor: float) -> None:
    answer = asked(mixed, factor)
    assert answer.agrees[answer.seen].any(axis=1).mean() < 0.05
    assert answer.clear[answer.seen].mean() < 0.1
    assert answer.clear[~answer.seen].all()


def test_points_behind_the_surface_are_neither(mixed: Scene) -> None:
    """Hidden from the others: they have nothing to say against them."""
    answer = asked(mixed, 1.3)
    assert answer.seen.mean() > 0.5
    assert answer.agrees[answer.seen].any(axis=1).mean() < 0.05
    assert answer.clear.mean() > 0.95


def test_neighbours_answer_at_the_points_pixels(mixed: Scene, room: Any) -> None:
    answer = asked(mixed, 1.0)
    known = answer.agrees.all(axis=1)
    assert known.sum() > 50
    sizes = np.array([(mixed.cameras[mixed.frames[k].camera_id].width, 0) for k in (3, 5)])[:, 0]
    assert sizes[0] == sizes[1]  # both of the other device
    assert (answer.pixels[known][:, :, 0] <= sizes).all() and (answer.depth[known] > 0).all()


def test_neighbours_weigh_by_the_angle_of_the_median_ray() -> None:
    """From ten units away: 4 degrees are half of what tells depths apart, 20 more than enough, none a tenth's worth."""
    points = np.zeros((5, 3))
    angles = np.radians([0.0, 4.0, 20.0, 180.0])
    others = 30 * np.stack([np.sin(angles), 0 * angles, -np.cos(angles)], axis=1)
    weights = _parallax(points, np.array([0.0, 0.0, -10.0]), others, ConsistencyConfig())
    np.testing.assert_allclose(weights, [0.1, 0.5, 1.0, 1.0])
