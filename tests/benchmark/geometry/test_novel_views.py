"""Views that no method was given: right poses and points show them, wrong ones less, none at all is black."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.datasets.contract import GeometryScene, with_targets
from da3_pipeline.benchmark.datasets.rendered import RENDERED, render_scene
from da3_pipeline.benchmark.geometry.novel_views import NovelViewOptions, measure_novel_views
from da3_pipeline.benchmark.methods.contract import DenseViews, Estimate
from da3_pipeline.geometry import Camera, PixelMap, Sim3, invert, transform_points

WORLD = Sim3(0.2, Rotation.from_euler("xyz", [1.0, -0.5, 2.0]).as_matrix(), np.array([3.0, -1.0, 2.0]))
QUICK = NovelViewOptions(seeds=1500, iterations=40, gaussians=500)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> GeometryScene:
    """Four given views and three targets."""
    root = tmp_path_factory.mktemp("rendered")
    return with_targets(RENDERED.read(root, render_scene(root, "room", views=7, size=(64, 48))))


def perfect(scene: GeometryScene) -> Estimate:
    """Poses and depth of the truth, in another world."""
    depth = np.stack([WORLD.scale * told() for view in scene.views if (told := view.depth)]).astype(np.float32)
    cameras = tuple(Camera.from_matrix(view.intrinsics, 64, 48) for view in scene.views)
    maps = (PixelMap((1.0, 1.0), (0.0, 0.0)),) * len(scene)
    dense = DenseViews(depth, maps, cameras, {view: view for view in range(len(scene))})
    return Estimate(WORLD.apply_to_cameras(scene.cam_from_world), dense)


def psnr(scene: GeometryScene, estimate: Estimate) -> float:
    found = measure_novel_views(scene, estimate, QUICK)
    assert found is not None and found["psnr_db"] is not None and found["ssim"] is not None
    assert -1 <= found["ssim"] <= 1 and "lpips" in found
    return found["psnr_db"]


def test_what_has_nothing_to_show_is_black(scene: GeometryScene) -> None:
    assert (len(scene), len(scene.targets)) == (4, 3)
    means = [np.mean((view.image() / 255.0) ** 2) for view in scene.targets]
    expected = float(np.mean([-10 * np.log10(mean) for mean in means]))
    for nothing in (Estimate(scene.cam_from_world), Estimate(np.full((4, 3, 4), np.nan))):
        assert psnr(scene, nothing) == pytest.approx(expected, abs=1e-3)
    assert measure_novel_views(replace(scene, targets=()), perfect(scene), QUICK) is None


def test_depth_and_points_show_the_targets_and_wrong_depth_does_not(scene: GeometryScene) -> None:
    right, black = perfect(scene), psnr(scene, Estimate(scene.cam_from_world))
    assert right.dense is not None
    from_depth = psnr(scene, right)
    flat = replace(right.dense, depth=np.full_like(right.dense.depth, 20 * WORLD.scale))
    assert from_depth > black + 6 and from_depth > psnr(scene, replace(right, dense=flat)) + 2
    places, colours = [], []
    for view in scene.views:
        assert view.depth is not None
        depth = view.depth().astype(np.float64)
        row, column = np.nonzero(np.isfinite(depth))
        rays = np.linalg.solve(view.intrinsics, np.stack([column + 0.5, row + 0.5, np.ones(len(row))])).T
        places.append(transform_points(invert(view.cam_from_world), rays * depth[row, column, None]))
        colours.append(view.image()[row, column])
    points = WORLD.apply(np.concatenate(places))
    matched = replace(right, dense=None, points=points, colours=np.concatenate(colours))
    assert psnr(scene, matched) == pytest.approx(from_depth, abs=1.5)
