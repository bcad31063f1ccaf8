"""A scene's figures: perfect answers are perfect, known errors give the figures that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.datasets.contract import GeometryScene
from da3_pipeline.benchmark.datasets.rendered import RENDERED, render_scene
from da3_pipeline.benchmark.geometry import evaluation
from da3_pipeline.benchmark.geometry.evaluation import SceneFigures, evaluate
from da3_pipeline.benchmark.methods.contract import DenseViews, Estimate
from da3_pipeline.benchmark.metrics.dtu import DtuObserved
from da3_pipeline.errors import MissingExtraError
from da3_pipeline.files.strict_json import finite
from da3_pipeline.geometry import Camera, PixelMap, Sim3

WORLD = Sim3(0.2, Rotation.from_euler("xyz", [1.0, -0.5, 2.0]).as_matrix(), np.array([3.0, -1.0, 2.0]))
"""From the truth's world to that of a method."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> GeometryScene:
    root = tmp_path_factory.mktemp("rendered")
    return RENDERED.read(root, render_scene(root, "room", views=4, size=(96, 72)))


def perfect(scene: GeometryScene, scale: float = WORLD.scale) -> Estimate:
    """The truth in another world; `scale`: of its depth, which goes with the poses where it is that of the world."""
    depth = np.stack([scale * told() for view in scene.views if (told := view.depth) is not None]).astype(np.float32)
    height, width = depth.shape[1:]
    cameras = tuple(Camera.from_matrix(view.intrinsics, width, height) for view in scene.views)
    maps = (PixelMap((1.0, 1.0), (0.0, 0.0)),) * len(scene)
    dense = DenseViews(depth, maps, cameras, {view: view for view in range(len(scene))})
    return Estimate(WORLD.apply_to_cameras(scene.cam_from_world), dense, passed=True)


def test_a_perfect_answer_in_another_world_is_perfect(scene: GeometryScene) -> None:
    found = evaluate(scene, perfect(scene))
    for figures in (found.auc, found.strict_auc, found.published_auc, found.rra, found.rta):
        assert set(figures) == {"1", "3", "5", "15", "30"}
    assert min([*found.auc.values(), *found.strict_auc.values(), *found.rra.values()]) == 100
    assert (found.views, found.registered, found.wrong, found.cell) == (4, 4, "", "right and passed")
    assert found.ate is not None and found.ate < 1e-6 and found.rpe_deg is not None and found.rpe_deg < 1e-4
    assert found.depth is not None and found.depth["delta_1"] == 100 and found.depth["abs_rel"] < 1e-6
    assert found.notes == [] or found.unposed is None


def test_surfaces_of_a_perfect_answer_are_the_true_ones(scene: GeometryScene) -> None:
    pytest.importorskip("open3d")
    found = evaluate(scene, perfect(scene))
    assert found.unposed is not None and found.posed is not None
    assert found.posed["f1"] > 0.97 and found.unposed["f1"] > 0.97  # pixels of a small picture are large
    far = evaluate(scene, perfect(scene, 1.5 * WORLD.scale))  # poses are right, depth is half as far again
    assert far.unposed is not None and far.unposed["f1"] < 0.3 and far.auc["1"] == 100
    assert far.depth is not None and far.depth["abs_rel"] < 1e-6  # but for its scale it is right


def test_depth_errors_are_those_that_were_made(scene: GeometryScene) -> None:
    """Half of the maps a fifth too far: no scale for the scene mends that, a scale for each does."""
    right = perfect(scene)
    assert right.dense is not None
    dense = replace(right.dense, depth=right.dense.depth * np.array([1, 1, 1, 1.5], np.float32)[:, None, None])
    found = evaluate(scene, replace(right, dense=dense))
    assert found.depth is not None
    assert found.depth["delta_1"] == pytest.approx(75, abs=2) and found.depth["scale_shift_delta_1"] == 100
    assert found.depth["abs_rel"] == pytest.approx(0.125, abs=0.02)


def test_depth_alone_has_a_scale_for_each_map_and_no_poses(scene: GeometryScene) -> None:
    right = perfect(scene)
    assert right.dense is not None
    factors = np.array([1, 2, 3, 4], np.float32)[:, None, None]
    singly = replace(right.dense, depth=right.dense.depth * factors / np.float32(WORLD.scale))
    nothing = np.full((4, 3, 4), np.nan)
    found = evaluate(scene, Estimate(nothing, singly, has_poses=False))
    assert found.depth is not None and "abs_rel" not in found.depth and "metric_abs_rel" not in found.depth
    assert found.depth["map_abs_rel"] < 1e-6 and found.depth["map_delta_1"] == 100
    assert (found.registered, found.auc["30"], found.unposed, found.wrong) == (None, None, None, None)
    metric = evaluate(scene, Estimate(nothing, singly, has_poses=False, in_metres=True)).depth
    assert metric is not None and metric["metric_abs_rel"] == pytest.approx((0 + 1 + 2 + 3) / 4, abs=1e-3)
    assert metric["metric_delta_1"] == 25


def test_a_missing_pose_costs_its_pairs_and_no_surface(scene: GeometryScene) -> None:
    one = perfect(scene)
    poses = one.cam_from_world.copy()
    poses[2] = np.nan
    found = evaluate(scene, replace(one, cam_from_world=poses, passed=False))
    assert found.registered == 3 and found.auc["30"] == 50.0 and found.cell == "wrong and flagged"
    aside = evaluate(scene, replace(one, cam_from_world=poses, set_aside=frozenset({2})))
    assert aside.cell == "right and passed" and aside.auc["30"] == 50.0


def test_no_answer_has_figures_too(scene: GeometryScene) -> None:
    found = evaluate(scene, Estimate(np.full((4, 3, 4), np.nan)))
    assert (found.registered, found.auc["30"], found.ate, found.depth, found.cell) == (0, 0.0, None, None, None)
    assert SceneFigures.of(finite(found.__dict__) | {"of a later version": 1}).auc == found.auc


def test_without_open3d_poses_are_judged_all_the_same(scene: GeometryScene, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*arguments: object) -> None:
        raise MissingExtraError("fusing", "surfaces")

    monkeypatch.setattr(evaluation, "measure_surface", absent)
    found = evaluate(scene, perfect(scene))
    assert found.unposed is None and found.posed is None and found.auc["1"] == 100
    assert "da3-pipeline[surfaces]" in found.notes[0]


def test_dtu_is_judged_by_its_own_protocol(scene: GeometryScene) -> None:
    """A cloud against itself moved by half a unit."""
    box = np.array([[-50.0, -50, -50], [50, 50, 50]])
    seen = DtuObserved(np.ones((101, 101, 101), bool), box, 1.0, np.array([0.0, 0, 0, 1]))
    surface: Callable[[], np.ndarray] | None = scene.surface
    assert surface is not None
    dtu = replace(scene, settings=None, dtu=lambda: seen, surface=lambda: surface() + np.array([0, 0, 0.5]))
    found = evaluate(dtu, perfect(scene))
    assert found.unposed is not None and 0.05 < found.unposed["chamfer"] < 0.5 and "f1" not in found.unposed
