"""Scenes of our own: what is rendered is consistent, found again, and the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from da3_pipeline.benchmark.datasets.rendered import RENDERED, RENDERED_KINDS, render_scene
from da3_pipeline.geometry import invert, transform_points


@pytest.mark.parametrize("kind", sorted(RENDERED_KINDS))
def test_depth_and_poses_agree_on_one_surface(kind: str, tmp_path: Path) -> None:
    """Points of one view lie on the surface of the others, where these see them."""
    name = render_scene(tmp_path, kind, seed=1, views=4, size=(64, 48))
    assert RENDERED.scenes(tmp_path) == (name,)
    scene = RENDERED.read(tmp_path, name)
    assert (len(scene), scene.views[0].image().shape) == (4, (48, 64, 3))
    clouds = []
    for view in scene.views:
        assert view.depth is not None
        depth = view.depth().astype(float)
        row, column = np.nonzero(depth < 30)
        assert len(row) > 0.3 * depth.size
        rays = np.linalg.solve(view.intrinsics, np.stack([column + 0.5, row + 0.5, np.ones(len(row))])).T
        clouds.append(transform_points(invert(view.cam_from_world), rays * depth[row, column, None]))
    spacing = np.median(cKDTree(clouds[0]).query(clouds[0], k=2)[0][:, 1])
    apart, _ = cKDTree(clouds[1]).query(clouds[0])
    assert np.median(apart) < 3 * spacing
    assert scene.surface is not None
    to_surface, _ = cKDTree(scene.surface()).query(clouds[2])
    assert to_surface.max() < 0.02


def test_a_scene_that_is_there_is_not_rendered_again(tmp_path: Path) -> None:
    name = render_scene(tmp_path, "room", views=2, size=(32, 24))
    picture = tmp_path / name / "images" / "0000.png"
    before = picture.read_bytes()
    picture.write_bytes(before + b"!")
    render_scene(tmp_path, "room", views=2, size=(32, 24))
    assert picture.read_bytes() == before + b"!"
    render_scene(tmp_path / "again", "room", views=2, size=(32, 24))
    assert (tmp_path / "again" / name / "images" / "0000.png").read_bytes() == before
