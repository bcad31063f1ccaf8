"""What masks ignore is black in the data set, never becomes a point, and is told in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.errors import ExportError
from da3_pipeline.export import ExportConfig, run
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.export.depth.trusted_depth import trusted_depth
from da3_pipeline.export.ignored import IgnoredPixels, _touched
from da3_pipeline.export.ply import read_ply
from da3_pipeline.export.report.document import report_document
from da3_pipeline.export.report.world import world_rows
from da3_pipeline.export.tracks import reprojection_errors_px, usable_tracks
from da3_pipeline.geometry import PixelMap, transform_points
from da3_pipeline.imageio import read_mask, write_mask
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import ExportResult, Scene, Tracks

WIDTH, HEIGHT = 240, 160
BALL = 0.8  # radius; what is to be masked
Bool = np.ndarray


def export(scene: Scene, folder: Path, **options: Any) -> ExportResult:
    return run(scene, ExportConfig(**options), SilentProgress(), folder)


def masked(scene: Scene, folder: Path, used: dict[int, Bool]) -> Scene:
    """The scene with masks of some frames, white where `used`."""
    frames = list(scene.frames)
    for index, white in used.items():
        write_mask(folder / f"{index}.png", white)
        frames[index] = replace(frames[index], mask=folder / f"{index}.png")
    frame_set = replace(scene.prediction.frames, frames=tuple(frames))
    return replace(scene, prediction=replace(scene.prediction, frames=frame_set))


def beside_ball(scene: Scene, frame: int) -> Bool:
    """(160, 240) True for pixels that are not the ball and do not touch it."""
    return cv2.erode(background(scene, frame).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def background(scene: Scene, frame: int) -> Bool:
    """(160, 240) True for pixels whose centres do not see the ball."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    camera = scene.cameras[scene.frames[frame].camera_id]
    rays = camera.unproject(np.stack([columns.ravel(), rows.ravel()], axis=1))
    pose = scene.cam_from_world[frame]
    directions = np.column_stack([rays, np.ones(len(rays))]) @ pose[:, :3]
    centre = -pose[:, :3].T @ pose[:, 3]
    a, b, c = (directions**2).sum(axis=1), directions @ centre, centre @ centre - BALL**2
    return ((b**2 < a * c) | (b > 0)).reshape(HEIGHT, WIDTH)


def on_ball(points: np.ndarray) -> Bool:
    return np.abs(np.linalg.norm(points, axis=1) - BALL) < 0.05


def columns_used(first: int, last: int, width: int = WIDTH, height: int = HEIGHT) -> Bool:
    used = np.zeros((height, width), bool)
    used[:, first:last] = True
    return used


def test_masks_of_the_user_and_sky_are_one(room: Any, tmp_path: Path) -> None:
    """Of any size, for all images or for none, at the names that COLMAP and nerfstudio look for."""
    scene = room(names=("a b/1.jpg", "2.png", "3.png"), track_count=200)
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[:2, :20] = True
    scene = replace(scene, prediction=replace(scene.prediction, sky=sky))
    scene = masked(scene, tmp_path, {0: columns_used(0, 180), 2: columns_used(20, 60, 60, 40)})
    result = export(scene, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    paths = [frame["mask_path"] for frame in document["frames"]]
    assert paths == ["masks/a b/1.jpg.png", "masks/2.png.png", "masks/3.png.png"]
    first, second, third = (read_mask(tmp_path / "out" / path, WIDTH, HEIGHT) for path in paths)
    below = np.indices((HEIGHT, WIDTH))[0] >= 40
    np.testing.assert_array_equal(first, columns_used(0, 180) & below)
    np.testing.assert_array_equal(second, below)
    np.testing.assert_array_equal(third, columns_used(80, 240))
    assert result.figures["masks"] == 3
    assert result.masked_share == {"a b/1.jpg": 0.25, "3.png": pytest.approx(1 / 3)}


def test_no_observation_and_no_seed_of_what_is_masked(room: Any, tmp_path: Path) -> None:
    scene = room()
    scene = masked(scene, tmp_path, {frame: beside_ball(scene, frame) for frame in range(6)})
    assert on_ball(scene.tracks.points).sum() > 30
    export(scene, tmp_path / "out")
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    points = np.array([point.xyz for point in model.points3D.values()])
    assert len(points) > 300 and not on_ball(points).any()
    for image in model.images.values():
        used = read_mask(tmp_path / "out" / "masks" / f"{image.name}.png", WIDTH, HEIGHT)
        column, row = np.array([p.xy for p in image.get_observation_points2D()]).astype(int).T
        assert used[row, column].all()
    seeds, _ = read_ply(tmp_path / "out" / "sparse_pc.ply")
    applied = np.array(json.loads((tmp_path / "out" / "transforms.json").read_text())["applied_transform"])
    seeds = seeds @ applied[:, :3]
    assert len(seeds) > 3000 and not on_ball(seeds).any()
    assert room.distance_to_surface(seeds).max() < 5e-3


def test_no_seed_is_under_the_mask_of_a_view_that_sees_it(room: Any, tmp_path: Path) -> None:
    """What a view shows at a seed's pixel, at the seed's depth, is not what its mask is there to ignore."""
    scene = replace(room(), tracks=Tracks.empty())
    scene = masked(scene, tmp_path, {frame: beside_ball(scene, frame) for frame in range(6)})
    export(scene, tmp_path / "out")
    seeds, _ = read_ply(tmp_path / "out" / "sparse_pc.ply")
    applied = np.array(json.loads((tmp_path / "out" / "transforms.json").read_text())["applied_transform"])
    seeds = seeds @ applied[:, :3]
    assert len(seeds) > 3000
    for frame in range(6):
        points_cam = transform_points(scene.cam_from_world[frame], seeds)
        pixels = scene.cameras["phone"].project(points_cam)
        inside = ((pixels > 0) & (pixels < [WIDTH, HEIGHT])).all(axis=1)
        column, row = pixels[inside].astype(int).T
        surface = scene.prediction.depth[frame, row // 2, column // 2] * scene.depth_scale[frame]
        seen = np.abs(surface / points_cam[inside, 2] - 1) < 0.01
        assert seen.sum() > 1000
        ball = cv2.erode((~background(scene, frame)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert ball.sum() > 1000 and not ball[row[seen], column[seen]].any()


def test_a_mask_that_two_of_six_views_miss_still_keeps_its_thing_out_of_the_seeds(room: Any, tmp_path: Path) -> None:
    """A person found in four of six pictures: in the majority of views it is under a mask."""
    scene = replace(room(), tracks=Tracks.empty())
    whole, partly = tmp_path / "whole", tmp_path / "partly"
    export(scene, whole)
    export(masked(scene, tmp_path, {frame: beside_ball(scene, frame) for frame in (0, 2, 3, 5)}), partly)
    shares = []
    for folder in (whole, partly):
        applied = np.array(json.loads((folder / "transforms.json").read_text())["applied_transform"])
        seeds = read_ply(folder / "sparse_pc.ply")[0] @ applied[:, :3]
        shares.append(on_ball(seeds).mean())
    assert shares[0] > 0.1 and shares[1] < 0.002


def test_tracks_lose_masked_observations_or_go_by_the_majority(room: Any, tmp_path: Path) -> None:
    scene = room()
    noise = np.random.default_rng(0).normal(0, 0.5, scene.tracks.observation_xy.shape)
    tracks = replace(scene.tracks, observation_xy=scene.tracks.observation_xy + noise)
    scene = masked(replace(scene, tracks=tracks), tmp_path, {frame: columns_used(0, 120) for frame in (1, 3, 4)})
    hidden = np.isin(tracks.observation_frame, (1, 3, 4)) & (tracks.observation_xy[:, 0] >= 120)
    count = np.bincount(tracks.observation_point)
    lost = np.bincount(tracks.observation_point, hidden)
    wanted = (2 * lost <= count) & (count - lost >= 2)
    assert 0 < (lost[wanted] > 0).sum() < wanted.sum() < len(tracks)
    usable = usable_tracks(scene, IgnoredPixels(scene, range(6), {}))
    np.testing.assert_array_equal(usable.points, tracks.points[wanted])
    np.testing.assert_array_equal(np.bincount(usable.observation_point), (count - lost)[wanted])
    kept = wanted[tracks.observation_point] & ~hidden
    np.testing.assert_array_equal(usable.observation_xy, tracks.observation_xy[kept])
    errors_px = reprojection_errors_px(replace(scene, tracks=usable))
    means_px = np.bincount(usable.observation_point, errors_px) / np.bincount(usable.observation_point)
    changed = lost[wanted] > 0
    np.testing.assert_allclose(usable.point_error_px[changed], means_px[changed])
    np.testing.assert_array_equal(usable.point_error_px[~changed], tracks.point_error_px[wanted][~changed])


def test_masks_that_ignore_nothing_change_nothing(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png"), track_count=200)
    everything = masked(scene, tmp_path, {frame: columns_used(0, WIDTH) for frame in range(2)})
    plain, result = export(scene, tmp_path / "plain"), export(everything, tmp_path / "out")
    assert result.figures == pytest.approx(plain.figures, nan_ok=True) and result.masked_share == {}
    assert not (tmp_path / "out" / "masks").exists()
    for name in ("transforms.json", "sparse_pc.ply", "sparse/0/points3D.bin"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_masked_depth_is_no_witness_and_is_kept_apart(room: Any, tmp_path: Path) -> None:
    scene = masked(room(), tmp_path, {2: columns_used(0, 121)})
    views, _ = trusted_depth(scene, range(6), IgnoredPixels(scene, range(6), {}), ExportConfig())
    view = views[2]
    assert np.isnan(view.map.whole()[:, 60:]).all() and np.isfinite(view.map.whole()[20:60, 10:55]).mean() > 0.5
    assert view.hidden is not None
    assert np.isnan(view.hidden.whole()[:, :60]).all() and np.isfinite(view.hidden.whole()[:, 60:]).all()
    assert all(other.hidden is None for other in views if other is not view)


def test_frames_of_which_masks_and_sky_leave_nothing_go(room: Any, tmp_path: Path) -> None:
    scene = room()
    sky = np.zeros(scene.prediction.depth.shape, bool)
    sky[1, :, :60] = True
    scene = replace(scene, prediction=replace(scene.prediction, sky=sky))
    scene = masked(scene, tmp_path, {1: columns_used(0, 120), 4: columns_used(0, 2)})
    result = export(scene, tmp_path / "out")
    assert [(item.frame, item.reason) for item in result.dropped] == [
        ("view_01.png", "it shows nothing but sky beside what its mask ignores"),
        ("view_04.png", "its mask leaves nothing of it"),
    ]
    assert result.images == 4
    black = masked(scene, tmp_path, {frame: columns_used(0, 0) for frame in range(6)})
    with pytest.raises(ExportError, match="none of the 6 frames shows anything but sky, or what masks ignore"):
        export(black, tmp_path / "none")


def test_projected_observations_avoid_masks(room: Any, tmp_path: Path) -> None:
    """A frame without depth or tracks of its own gets observations where it is used only."""
    scene = room()
    mine = scene.tracks.observation_frame == 3
    tracks = replace(
        scene.tracks,
        observation_point=scene.tracks.observation_point[~mine],
        observation_frame=scene.tracks.observation_frame[~mine],
        observation_xy=scene.tracks.observation_xy[~mine],
    )
    scales = scene.depth_scale.copy()
    scales[3] = np.nan
    scene = masked(replace(scene, tracks=tracks, depth_scale=scales), tmp_path, {3: columns_used(100, WIDTH)})
    export(scene, tmp_path / "out")
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    image = next(image for image in model.images.values() if image.name == "view_03.png")
    pixels = np.array([point.xy for point in image.get_observation_points2D()])
    assert len(pixels) > 50 and pixels[:, 0].min() >= 100


def test_a_mask_that_vanished_is_named(room: Any, tmp_path: Path) -> None:
    scene = masked(room(names=("a.png", "b.png"), track_count=100), tmp_path, {1: columns_used(0, 100)})
    (tmp_path / "1.png").unlink()
    with pytest.raises(ExportError, match=r"1\.png: no such file; put the mask back"):
        export(scene, tmp_path / "out")
    assert not (tmp_path / "out" / "images").exists()


def test_the_report_says_how_much_is_masked(room: Any, tmp_path: Path) -> None:
    scene = room(names=("a.png", "b.png", "c.png", "d.png"))
    plain = report_document(scene, export(scene, tmp_path / "plain"), (), {}, (), ReportConfig())
    assert plain["world"]["masked"] is None
    assert "Masks" not in {row[0] for row in world_rows(plain["world"], ReportConfig())}
    scene = masked(scene, tmp_path, {0: columns_used(0, 120), 2: columns_used(24, WIDTH)})
    document = report_document(scene, export(scene, tmp_path / "out"), (), {}, (), ReportConfig())
    rows = {what: (value, note) for what, value, note in world_rows(document["world"], ReportConfig())}
    assert rows["Masks"][0] == "2 images, 15 % of all pixels"
    assert rows["Masks"][1].endswith("2 images are used whole")
    assert [row["masked_share"] for row in document["frames"]] == [0.5, None, pytest.approx(0.1), None]


def test_depth_maps_are_zero_under_masks(room: Any, tmp_path: Path) -> None:
    scene = masked(room(), tmp_path, {2: columns_used(0, 120)})
    export(scene, tmp_path / "out", depths=True)
    document = json.loads((tmp_path / "out" / "transforms.json").read_text())
    assert [frame["depth_file_path"] for frame in document["frames"]] == [f"depths/view_0{k}.npy" for k in range(6)]
    maps = [np.load(tmp_path / "out" / frame["depth_file_path"]) for frame in document["frames"]]
    assert all(depth.shape == (80, 120) and depth.dtype == np.float32 for depth in maps)
    assert not maps[2][:, 60:].any() and (maps[2][:, :60] > 0).mean() > 0.3
    true = scene.prediction.depth[1] * scene.depth_scale[1] * 1000
    known = maps[1] > 0
    np.testing.assert_allclose(maps[1][known], true[known], rtol=1e-3)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(1, 6),
    st.floats(1, 6),
    st.floats(-9, 9),
    st.floats(-9, 9),
)
def test_a_depth_pixel_is_masked_when_any_pixel_that_it_covers_is(
    seed: int, scale_x: float, scale_y: float, left: float, top: float
) -> None:
    ignored = np.random.default_rng(seed).random((23, 31)) < 0.03
    touched = _touched(ignored, PixelMap((scale_x, scale_y), (left, top)), (9, 11))
    for row in range(9):
        for column in range(11):
            y, x = top + row * scale_y, left + column * scale_x
            ys, xs = np.nonzero(ignored)
            covers = (ys < y + scale_y - 1e-5) & (ys + 1 > y + 1e-5) & (xs < x + scale_x - 1e-5) & (xs + 1 > x + 1e-5)
            if covers.any():
                assert touched[row, column]
            elif not ((ys <= y + scale_y) & (ys + 1 >= y) & (xs <= x + scale_x) & (xs + 1 >= x)).any():
                assert not touched[row, column]
