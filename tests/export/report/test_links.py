"""Which images share points, and where a scene would part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from da3_pipeline.export.config import ReportConfig
from da3_pipeline.export.report.drawing import MAP_SIZE
from da3_pipeline.export.report.links import drawn_links, link_graph, thin_places_document
from da3_pipeline.geometry import centres
from da3_pipeline.types import Scene, Tracks

CONFIG = ReportConfig()


def seen_by(frames: np.ndarray, scene: Scene) -> set[int]:
    return set(scene.tracks.observation_point[np.isin(scene.tracks.observation_frame, frames)].tolist())


def without(scene: Scene, lost: np.ndarray) -> Scene:
    """The scene without these observations (K,)."""
    tracks = scene.tracks
    kept = [part[~lost] for part in (tracks.observation_point, tracks.observation_frame, tracks.observation_xy)]
    return replace(scene, tracks=Tracks(tracks.points, tracks.colours, tracks.point_error_px, *kept))


def parted(scene: Scene, bridges: int) -> Scene:
    """The first three frames and the others see no point in common but so many."""
    near, far = seen_by(np.arange(3), scene), seen_by(np.arange(3, 6), scene)
    common = np.array(sorted(near & far))
    assert len(common) > bridges
    cut = np.isin(scene.tracks.observation_point, common[bridges:])
    return without(scene, cut & (scene.tracks.observation_frame < 3))


def test_links_carry_the_points_that_both_see(room: Any) -> None:
    scene = room()
    graph = link_graph(scene, CONFIG)
    assert graph is not None and len(graph.links) >= 5
    for (a, b), points in zip(graph.links, graph.points, strict=True):
        assert points == len(seen_by(a, scene) & seen_by(b, scene)) > 0
    assert graph.thin == () and graph.alone == () and graph.groups == 1


@pytest.mark.parametrize("bridges", [1, 7])
def test_a_thin_place_is_where_the_scene_was_cut(room: Any, bridges: int) -> None:
    scene = parted(room(), bridges)
    graph = link_graph(scene, CONFIG)
    assert graph is not None and graph.weakest == bridges
    (place,) = graph.thin
    assert (place.points, place.smaller, place.larger) == (bridges, 3, 3)
    assert {place.a < 3, place.b < 3} == {True, False}
    (told,) = thin_places_document(graph, [frame.name for frame in scene.frames])
    assert told["points"] == bridges and told["images"] == [3, 3]
    assert set(told["between"]) == {scene.frames[place.a].name, scene.frames[place.b].name}


def test_groups_and_images_that_share_nothing_are_counted(room: Any) -> None:
    scene = parted(room(), 0)
    lonely = without(scene, scene.tracks.observation_frame == 5)
    graph = link_graph(lonely, CONFIG)
    assert graph is not None and graph.groups == 2 and graph.alone == (5,) and graph.thin == ()
    posed = np.isfinite(lonely.cam_from_world).all(axis=(1, 2))
    assert drawn_links(graph, centres(lonely.cam_from_world), posed).alone.count("M") == 1


def test_nothing_seen_twice_is_no_graph(room: Any) -> None:
    scene = room()
    assert link_graph(replace(scene, tracks=Tracks.empty()), CONFIG) is None
    assert link_graph(without(scene, scene.tracks.observation_frame > 0), CONFIG) is None


def test_the_drawing_is_within_its_frame_and_numbers_the_places(room: Any) -> None:
    scene = parted(room(), 2)
    graph = link_graph(scene, CONFIG)
    assert graph is not None
    drawn = drawn_links(graph, centres(scene.cam_from_world), np.ones(6, bool))
    places = np.array([part.split("h")[0].split() for part in drawn.frames.split("M")[1:]], float)
    assert len(places) == 6 and (places >= 0).all() and (places <= MAP_SIZE).all()
    assert np.ptp(places[:, 0]) > 0.8 * MAP_SIZE[0]  # cameras on an arc fill its width
    ((path, x, y),) = drawn.thin
    ends = np.array([part.split() for part in path[1:].split("L")], float)
    assert (x, y) == pytest.approx(ends.mean(axis=0), abs=0.1)
