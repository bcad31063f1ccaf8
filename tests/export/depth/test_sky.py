"""Sky is masked to the pixel, never becomes a point, and cannot break a trainer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.errors import ExportError
from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export.depth.sky import sky_in_image
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels
from da3_pipeline.export.ply import read_ply
from da3_pipeline.export.tracks import usable_tracks
from da3_pipeline.geometry import PixelMap
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Scene, Tracks

HORIZON = 28  # of 80 rows of a depth map, each two pixels of the image


def with_sky(scene: Scene, sky: np.ndarray | None) -> Scene:
    return replace(scene, prediction=replace(scene.prediction, sky=sky))


def upper_part(scene: Scene, rows: int = HORIZON) -> Scene:
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[:, :rows] = True
    return with_sky(scene, sky)


def mask(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


def test_masks_stand_beside_every_image_white_where_it_is_used(room: Any, tmp_path: Path) -> None:
    names = ("a b/é.png", "a b/2.png", "3.jpg")
    scene = upper_part(room(names=names))
    sky = scene.prediction.sky.copy()
    sky[1] = False
    result = run(with_sky(scene, sky), ExportConfig(), SilentProgress(), tmp_path / "out")
    document = json.loads((tmp_path / "out" / "transforms.json").read_text(encoding="utf-8"))
    assert [frame["mask_path"] for frame in document["frames"]] == [f"masks/{name}.png" for name in names]
    for index, frame in enumerate(document["frames"]):
        picture = mask(tmp_path / "out" / frame["mask_path"])
        assert picture.shape == (160, 240)
        expected = np.full((160, 240), 255)
        expected[: 0 if index == 1 else 2 * HORIZON] = 0
        np.testing.assert_array_equal(picture, expected)
    files = [p.relative_to(tmp_path / "out" / "masks").as_posix() for p in (tmp_path / "out" / "masks").rglob("*.png")]
    assert sorted(files) == sorted(f"{name}.png" for name in names)
    assert result.figures["masks"] == 3
    assert result.figures["sky_share"] == pytest.approx(2 / 3 * HORIZON / 80)


@pytest.mark.parametrize("known", [False, True])
def test_without_sky_there_are_no_masks(room: Any, tmp_path: Path, known: bool) -> None:
    scene = room(names=("a.png", "b.png"), track_count=100)
    scene = with_sky(scene, np.zeros(scene.prediction.depth.shape, bool) if known else None)
    result = run(scene, ExportConfig(), SilentProgress(), tmp_path / "out")
    assert not (tmp_path / "out" / "masks").exists() and result.figures["masks"] == 0
    assert "mask_path" not in (tmp_path / "out" / "transforms.json").read_text()


def test_a_later_run_without_sky_takes_the_masks_away(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png"), track_count=100)
    run(upper_part(scene), ExportConfig(), SilentProgress(), tmp_path / "out")
    assert (tmp_path / "out" / "masks").exists()
    run(scene, ExportConfig(), SilentProgress(), tmp_path / "out")
    assert not (tmp_path / "out" / "masks").exists()


def test_sky_gives_no_seeds_and_no_tracks(room: Any, tmp_path: Path) -> None:
    """What is lifted and what is matched projects below the horizon, or is seen from elsewhere below it."""
    scene = upper_part(room())
    for tracks in (scene.tracks, Tracks.empty()):
        result = run(replace(scene, tracks=tracks), ExportConfig(), SilentProgress(), tmp_path / f"out{len(tracks)}")
        document = json.loads((result.folder / "transforms.json").read_text())
        seeds, _ = read_ply(result.folder / "sparse_pc.ply")
        assert len(seeds) > 1000
        points = seeds @ np.array(document["applied_transform"])[:, :3]
        lowest = lowest_view_row(scene, points)
        assert lowest.min() > (2 * HORIZON if not len(tracks) else 2 * HORIZON - 30)
    assert result.figures["seed_points_from_depth"] > 0


def lowest_view_row(scene: Scene, points: np.ndarray) -> np.ndarray:
    """(n,) the largest image row at which any view sees each point."""
    rows = np.full(len(points), -np.inf)
    for pose in scene.cam_from_world:
        pixels = scene.cameras["phone"].project(points @ pose[:, :3].T + pose[:, 3])
        inside = ((pixels >= 0) & (pixels <= [240, 160])).all(axis=1)
        rows = np.where(inside, np.fmax(rows, pixels[:, 1]), rows)
    return rows


def test_depth_in_and_beside_the_sky_is_no_witness(room: Any) -> None:
    scene = upper_part(room())
    views, _ = trusted_depth(scene, range(6), IgnoredPixels(scene, range(6), {}), ExportConfig())
    assert len(views) == 6
    for view in views:
        assert np.isnan(view.map.whole()[: HORIZON + 1]).all()
        assert np.isfinite(view.map.whole()[HORIZON + 5 :]).mean() > 0.5


def test_tracks_go_by_the_majority_of_their_observations(room: Any) -> None:
    scene = room()
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[:3, :HORIZON] = True
    scene = with_sky(scene, sky)
    solid = usable_tracks(scene, IgnoredPixels(scene, range(6), {}))
    tracks = scene.tracks
    in_sky = (tracks.observation_frame < 3) & (tracks.observation_xy[:, 1] < 2 * HORIZON)
    share = np.bincount(tracks.observation_point, in_sky) / np.bincount(tracks.observation_point)
    assert 0 < (share > 0.5).sum() < len(tracks)
    np.testing.assert_array_equal(solid.points, tracks.points[share <= 0.5])
    kept = np.isin(tracks.observation_point, np.flatnonzero(share <= 0.5))
    np.testing.assert_array_equal(solid.observation_xy, tracks.observation_xy[kept])
    np.testing.assert_array_equal(solid.points[solid.observation_point], tracks.points[tracks.observation_point[kept]])


def test_confidence_of_sky_does_not_count(room: Any) -> None:
    """With half of all pixels sky at the least confidence, the share cut off would otherwise be sky alone."""
    scene = upper_part(room(), rows=48)
    conf = np.tile(np.linspace(1, 2, 120, dtype=np.float32), (6, 80, 1))
    conf[:, :48] = 0
    scene = replace(scene, prediction=replace(scene.prediction, conf=conf))
    views, _ = trusted_depth(scene, range(6), IgnoredPixels(scene, range(6), {}), ExportConfig())
    for view in views:
        assert np.isnan(view.map.whole()[:, :45]).all() and np.isfinite(view.map.whole()[55:70, 60:110]).any()


def test_an_image_of_bare_sky_is_left_out(room: Any, tmp_path: Path) -> None:
    scene = upper_part(room())
    sky = scene.prediction.sky.copy()
    sky[2] = True
    result = run(with_sky(scene, sky), ExportConfig(), SilentProgress(), tmp_path / "out")
    assert result.images == 5
    assert [(item.frame, item.reason) for item in result.dropped] == [("view_02.png", "it shows nothing but sky")]
    for path in (tmp_path / "out" / "masks").rglob("*.png"):
        assert mask(path).any()


def test_nothing_but_sky_is_an_error(room: Any, tmp_path: Path) -> None:
    scene = upper_part(room(), rows=80)
    with pytest.raises(ExportError, match="none of the 6 frames shows anything but sky"):
        run(scene, ExportConfig(), SilentProgress(), tmp_path / "out")


@pytest.mark.parametrize("scale", [2.0, 7.3, 40.0])
def test_the_outline_is_smooth_and_exact_to_a_depth_pixel(room: Any, scale: float) -> None:
    """A slanted skyline: each image row's edge is where the line is, within a pixel of the map, without steps."""
    scene = room(names=("a.png",), track_count=50)
    width, height, offset = 24, 16, (5.0, -3.0)
    rows, columns = np.indices((height, width)) + 0.5
    sky = (columns < 4 + 0.8 * rows)[None]
    frame = replace(scene.frames[0], width=round(width * scale) + 20, height=round(height * scale))
    frames = replace(scene.prediction.frames, frames=(frame,))
    maps = (PixelMap((scale, scale), offset),)
    inside = sky_in_image(replace(scene.prediction, sky=sky, frames=frames, pixel_maps=maps), 0)
    assert inside is not None and inside.shape == (frame.height, frame.width)
    assert not inside[:, :5].any()  # left of what the network saw
    y = np.arange(frame.height) + 0.5
    edge = inside[:, 5:].sum(axis=1) + 5
    expected = offset[0] + scale * (4 + 0.8 * (y - offset[1]) / scale)
    seen = (y > scale) & (y < (height - 1) * scale + offset[1])
    assert np.abs(edge - expected)[seen].max() < scale
    assert np.abs(np.diff(edge[seen])).max() <= max(0.5 * scale, 2)


def test_sky_that_touches_the_border_reaches_it(room: Any) -> None:
    scene = upper_part(room(names=("a.png",), track_count=50))
    inside = sky_in_image(scene.prediction, 0)
    assert inside is not None and inside[0].all() and inside[:40, [0, -1]].all()
