"""Metres, up and north come out right, from every source, and say how sure they are."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import Sim3, centres, nearest_rotation, transform_points
from da3_pipeline.georegister import GeoregisterConfig, run
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import GpsPosition, MetricScale, Scene, Tracks

Capture = Callable[..., Any]


def anchored(scene: Scene, **options: Any) -> Scene:
    return run(scene, GeoregisterConfig(**options), SilentProgress())


def noise(count: int, horizontal_m: float = 1.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 3)) * [horizontal_m, horizontal_m, 2 * horizontal_m]


def with_network(scene: Scene, metres_per_unit: float, sigma: float = 0.1) -> Scene:
    metric = MetricScale(metres_per_unit, sigma, "da3metric")
    return replace(scene, prediction=replace(scene.prediction, metric=metric))


def extent(scene: Scene) -> float:
    own = centres(scene.cam_from_world)
    return float(np.linalg.norm(own - own.mean(axis=0), axis=1).mean())


def level_error_deg(scene: Scene) -> float:
    """How far the ground, which is level, is from it."""
    ground = scene.tracks.points - scene.tracks.points.mean(axis=0)
    normal = np.linalg.svd(ground)[2][2]
    above = centres(scene.cam_from_world).mean(axis=0)[2] > scene.tracks.points[:, 2].mean()
    return float(np.degrees(np.arccos(min(abs(normal[2]), 1.0)))) if above else 180.0


def test_gps_gives_metres_north_and_up(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    scene = anchored(truth.scene)
    assert scene.metric is not None and scene.metric.metres_per_unit == 1.0
    assert scene.metric.source == "GPS of 12 photos"
    assert 0.005 < scene.metric.relative_sigma < 0.05
    assert scene.up_source == "gps and cameras"
    origin = [scene.figures[f"origin_{name}"] for name in ("latitude_deg", "longitude_deg", "altitude_m")]
    np.testing.assert_allclose(origin[:2], [46.84266, -91.994], atol=2e-4)
    own = centres(scene.cam_from_world)
    np.testing.assert_allclose(own - own.mean(axis=0), truth.centres_m - truth.centres_m.mean(axis=0), atol=3.0)
    assert level_error_deg(scene) < 3
    assert scene.figures["gps_positions_used"] == 12
    assert 0.3 < scene.figures["gps_rms_horizontal_m"] < 2


def elsewhere(scene: Scene, places: dict[int, tuple[float, float]]) -> Scene:
    """The scene with the positions of some photographs on other continents."""
    frames = tuple(
        replace(frame, gps=GpsPosition(*places[k], 30.0)) if k in places else frame
        for k, frame in enumerate(scene.frames)
    )
    chosen = replace(scene.prediction.frames, frames=frames)
    return replace(scene, prediction=replace(scene.prediction, frames=chosen))


def test_positions_on_other_continents_are_named_and_not_used(
    capture: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    truth = capture(gps=noise(12))
    scene = anchored(elsewhere(truth.scene, {1: (-33.9, 151.2), 5: (48.9, 2.3), 9: (0.1, 179.9)}))
    assert scene.metric is not None and scene.metric.source == "GPS of 12 photos"
    assert scene.figures["gps_positions_used"] == 9
    own = centres(scene.cam_from_world)
    np.testing.assert_allclose(own - own.mean(axis=0), truth.centres_m - truth.centres_m.mean(axis=0), atol=3.0)
    (warning,) = [record.getMessage() for record in caplog.records if "GPS" in record.getMessage()]
    assert "3 of 12 positions do not fit" in warning and "009.jpg" in warning and "\n" not in warning


def test_two_halves_on_two_continents_give_no_metres(capture: Capture) -> None:
    """Each half may be the true one: what comes out is defined, and nobody is told a scale that is false."""
    far = {k: (48.8 + 1e-4 * k, 2.3 - 1e-4 * k) for k in range(0, 12, 2)}
    truth = capture(gps=noise(12))
    scene = anchored(elsewhere(truth.scene, far))
    assert np.isfinite(scene.cam_from_world).all()
    if scene.metric is not None:
        assert extent(scene) == pytest.approx(np.linalg.norm(truth.centres_m, axis=1).mean(), rel=0.1)


def test_gps_that_says_nothing_of_the_scale_is_not_reported(capture: Capture) -> None:
    """All but two of the positions are one: receivers do that indoors."""
    here = {k: (48.8, 2.3) for k in range(12)} | {0: (48.80000001, 2.3), 1: (48.8, 2.30000001)}
    scene = anchored(elsewhere(capture(gps=noise(12)).scene, here))
    assert scene.metric is None
    assert scene.figures["gps_positions"] == 3
    assert not {"metres_per_unit_by_gps", "relative_sigma_by_gps"} & set(scene.figures)


def test_everything_moves_together(capture: Capture) -> None:
    scene = anchored(capture(gps=noise(12)).scene)
    tracks, camera = scene.tracks, scene.cameras["phone"]
    for index in range(len(scene.frames)):
        mine = np.flatnonzero(tracks.observation_frame == index)
        points = transform_points(scene.cam_from_world[index], tracks.points[tracks.observation_point[mine]])
        np.testing.assert_allclose(camera.project(points), tracks.observation_xy[mine], atol=1e-6)
        column, row = (tracks.observation_xy[mine] // 4).astype(int).T
        depth = scene.prediction.depth[index][row, column] * scene.depth_scale[index]
        assert np.median(np.abs(depth / points[:, 2] - 1)) < 0.02
    np.testing.assert_allclose(np.linalg.det(scene.cam_from_world[:, :, :3]), 1)


def test_a_measured_distance_wins_over_gps_and_gps_over_the_network(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    scene = with_network(truth.scene, 7.3 * 0.5 / 7.3)
    length = float(np.linalg.norm(truth.centres_m[0] - truth.centres_m[6]))
    by_distance = anchored(scene, distance=(f"000.jpg,006.jpg={length}",))
    assert by_distance.metric is not None and by_distance.metric.source == f"the distance 000.jpg,006.jpg={length}"
    assert extent(by_distance) == pytest.approx(
        np.linalg.norm(truth.centres_m - truth.centres_m.mean(0), axis=1).mean()
    )
    placed = centres(by_distance.cam_from_world).mean(axis=0) - centres(anchored(scene).cam_from_world).mean(axis=0)
    assert np.linalg.norm(placed) < 1e-6  # scaled by one source, placed by the other
    for metric, source in (("auto", "GPS of 12 photos"), ("gps", "GPS"), ("network", "the network (da3metric)")):
        result = anchored(scene, metric=metric)
        assert result.metric is not None and result.metric.source.startswith(source)
    assert {name for name in by_distance.figures if name.startswith("metres_per_unit_by_")} == {
        f"metres_per_unit_by_{kind}" for kind in ("distance", "gps", "network")
    }


def test_network_metres_pass_through_the_depth_scales(capture: Capture) -> None:
    """A unit of the prior is half a metre here; the scene's unit is 7.3 m."""
    truth = capture()
    spread = np.exp(np.random.default_rng(0).normal(0, 0.05, 12))
    scene = replace(with_network(truth.scene, 0.5, 0.12), depth_scale=truth.scene.depth_scale * spread)
    result = anchored(scene)
    assert result.metric is not None
    assert result.metric.relative_sigma == pytest.approx(np.hypot(0.12, 0.05), abs=0.03)
    true_extent = np.linalg.norm(truth.centres_m - truth.centres_m.mean(axis=0), axis=1).mean()
    assert extent(result) == pytest.approx(true_extent, rel=0.06)
    assert level_error_deg(result) < 2 and result.up_source == "cameras"


def test_without_any_source_the_unit_stays_and_up_is_the_cameras(capture: Capture) -> None:
    truth = capture()
    scene = anchored(truth.scene)
    assert scene.metric is None and scene.up_source == "cameras"
    assert level_error_deg(scene) < 2
    assert 0 < scene.figures["up_sigma_deg"] < 3
    assert extent(scene) == pytest.approx(extent(truth.scene))
    np.testing.assert_array_equal(scene.depth_scale, truth.scene.depth_scale)


def test_metric_none_keeps_the_unit_whatever_is_there(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    scene = anchored(truth.scene, metric="none")
    assert scene.metric is None and extent(scene) == pytest.approx(extent(truth.scene))
    assert "origin_latitude_deg" not in scene.figures and level_error_deg(scene) < 3


@pytest.mark.parametrize("known", [1, 12])
def test_given_poses_keep_their_world(capture: Capture, known: int) -> None:
    truth = capture(gps=noise(12))
    frames = tuple(
        replace(frame, known_cam_from_world=truth.scene.cam_from_world[k] if k < known else None)
        for k, frame in enumerate(truth.scene.frames)
    )
    given = replace(
        truth.scene,
        prediction=replace(truth.scene.prediction, frames=replace(truth.scene.prediction.frames, frames=frames)),
    )
    scene = anchored(given)
    np.testing.assert_array_equal(scene.cam_from_world, given.cam_from_world)
    np.testing.assert_array_equal(scene.tracks.points, given.tracks.points)
    assert scene.up_source is None and scene.metric is not None
    assert scene.metric.metres_per_unit == pytest.approx(7.3, rel=0.05)
    unmeasured = anchored(given, metric="none").metric
    assert unmeasured is not None and unmeasured.source == "given poses" and np.isnan(unmeasured.relative_sigma)


def test_photographs_too_close_together_say_nothing(capture: Capture) -> None:
    truth = capture(radius_m=1.0, gps=noise(12, 4.0))
    scene = anchored(truth.scene)
    assert scene.metric is None and scene.up_source == "cameras"
    assert scene.figures["relative_sigma_by_gps"] > 0.2
    with pytest.raises(UsageError, match=r"--metric gps.*uncertain by"):
        anchored(truth.scene, metric="gps")


@pytest.mark.parametrize(("metric", "why"), [("gps", "no GPS positions"), ("network", "does not know metres")])
def test_a_source_that_is_absent_cannot_be_asked_for(capture: Capture, metric: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        anchored(capture().scene, metric=metric)


def test_sources_that_contradict_each_other_are_named(capture: Capture, caplog: pytest.LogCaptureFixture) -> None:
    truth = capture(gps=noise(12))
    with caplog.at_level(logging.WARNING):
        scene = anchored(with_network(truth.scene, 1.5, 0.05))
    assert len(caplog.records) == 1
    assert "GPS of 12 photos" in caplog.text and "the network" in caplog.text
    assert scene.figures["scale_disagreement_sigmas"] > 2
    assert scene.figures["metres_per_unit_by_network"] == pytest.approx(3, rel=0.05)
    with caplog.at_level(logging.WARNING):
        anchored(with_network(truth.scene, 0.5))
    assert len(caplog.records) == 1


def test_frames_without_a_pose_stay_without(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    poses, scales = truth.scene.cam_from_world.copy(), truth.scene.depth_scale.copy()
    poses[3], scales[3] = np.nan, np.nan
    scene = anchored(replace(truth.scene, cam_from_world=poses, depth_scale=scales))
    assert np.isnan(scene.cam_from_world[3]).all() and np.isnan(scene.depth_scale[3])
    assert np.isfinite(np.delete(scene.cam_from_world, 3, axis=0)).all()
    assert scene.metric is not None and scene.metric.source == "GPS of 11 photos"


def test_no_pose_at_all_is_left_as_it_is(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    lost = replace(
        truth.scene,
        cam_from_world=np.full((12, 3, 4), np.nan),
        pose_source=("none",) * 12,
        depth_scale=np.full(12, np.nan),
        tracks=Tracks.empty(),
    )
    assert anchored(lost) is lost


def test_equal_positions_are_one_observation(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    here = truth.scene.frames[0].gps

    def placed(positions: list[GpsPosition | None]) -> Scene:
        frames = tuple(replace(f, gps=gps) for f, gps in zip(truth.scene.frames, positions, strict=True))
        prediction = truth.scene.prediction
        return replace(truth.scene, prediction=replace(prediction, frames=replace(prediction.frames, frames=frames)))

    assert anchored(placed([here] * 12)).metric is None
    assert anchored(placed([here, *[None] * 11])).metric is None
    two = anchored(placed([here, *[None] * 5, truth.scene.frames[6].gps, *[None] * 5]))
    assert two.metric is not None and two.metric.source == "GPS of 2 photos"
    assert two.metric.relative_sigma == pytest.approx(
        4 * np.sqrt(2) * np.sqrt(2) / 80, rel=0.2
    )  # widened as for two degrees of freedom


def test_nothing_is_changed_in_place(capture: Capture) -> None:
    truth = capture(gps=noise(12))
    before = truth.scene.cam_from_world.copy(), truth.scene.tracks.points.copy(), truth.scene.depth_scale.copy()
    first, second = anchored(truth.scene), anchored(truth.scene)
    for array, old in zip(
        (truth.scene.cam_from_world, truth.scene.tracks.points, truth.scene.depth_scale), before, strict=True
    ):
        np.testing.assert_array_equal(array, old)
    np.testing.assert_array_equal(first.cam_from_world, second.cam_from_world)


def test_the_world_that_a_scene_comes_in_does_not_matter(capture: Capture) -> None:
    scene = capture(gps=noise(12)).scene
    rng = np.random.default_rng(4)
    other = Sim3(0.03, nearest_rotation(rng.normal(size=(3, 3))), rng.normal(0, 20, 3))
    elsewhere = replace(
        scene,
        cam_from_world=other.apply_to_cameras(scene.cam_from_world),
        tracks=replace(scene.tracks, points=other.apply(scene.tracks.points)),
        depth_scale=scene.depth_scale * other.scale,
    )
    one, two = anchored(scene), anchored(elsewhere)
    np.testing.assert_allclose(one.cam_from_world, two.cam_from_world, atol=1e-5)
    np.testing.assert_allclose(one.tracks.points, two.tracks.points, atol=1e-5)
    np.testing.assert_allclose(one.depth_scale, two.depth_scale, rtol=1e-6)
    assert one.metric is not None and two.metric is not None
    assert one.metric.relative_sigma == pytest.approx(two.metric.relative_sigma, rel=1e-4)
