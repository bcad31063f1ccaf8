"""COLMAP beside us: modes that say what they are, and our own matches in its database."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from da3_pipeline.benchmark.peers.colmap import COLMAP_MODES, ColmapMode, best_mode, colmap_modes, run_colmap
from da3_pipeline.benchmark.peers.learned_matches import import_matches
from da3_pipeline.benchmark.truth.scene_truth import read_truth
from da3_pipeline.errors import UsageError
from da3_pipeline.geometry import compose, invert
from da3_pipeline.imageio import write_mask, write_rgb
from da3_pipeline.quiet import quiet_colmap
from da3_pipeline.refine.matching.verification import sampson_error_px


def grey(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(path, np.full((height, width, 3), 128, np.uint8))


def test_every_mode_says_all_that_sets_it_apart() -> None:
    assert str(COLMAP_MODES["photographs"]) == "OPENCV shared, SIFT, exhaustive, incremental"
    assert str(COLMAP_MODES["video"]) == "OPENCV shared, SIFT, sequential, global"
    assert str(COLMAP_MODES["devices"]) == "SIMPLE_RADIAL an image, SIFT, exhaustive, incremental"
    assert "ALIKED+LightGlue" in str(COLMAP_MODES["aliked"])
    assert len({str(mode) for mode in COLMAP_MODES.values()}) == len(COLMAP_MODES)


def test_a_mode_that_is_not_there_is_refused() -> None:
    assert list(colmap_modes(["video", "few"])) == ["video", "few"]
    with pytest.raises(UsageError, match="'fast': no such mode of COLMAP; there are photographs, devices"):
        colmap_modes(["fast"])


def test_the_mode_for_a_folder_follows_from_the_sizes_of_its_pictures(tmp_path: Path) -> None:
    grey(tmp_path / "a.png", 64, 48)
    grey(tmp_path / "b.png", 48, 64)
    (tmp_path / "notes.txt").write_text("not a picture")
    assert best_mode(tmp_path) == "photographs"
    grey(tmp_path / "other" / "c.png", 80, 48)
    assert best_mode(tmp_path) == "devices"


@pytest.mark.parametrize("mapper", ["incremental", "global"])
def test_where_nothing_can_be_mapped_there_is_no_data_set(tmp_path: Path, mapper: str) -> None:
    for name in ("a.png", "b.png"):
        grey(tmp_path / "images" / name, 160, 120)
    (tmp_path / "scratch").mkdir()
    run = run_colmap(tmp_path / "images", tmp_path / "scratch", ColmapMode("PINHOLE", mapper=mapper))  # type: ignore[arg-type]
    assert (run.data_set, run.model, run.cam_from_world) == (None, None, {})


def test_a_capture_becomes_a_data_set_with_the_lens_asked_for(rendered_capture: Path, tmp_path: Path) -> None:
    """How good COLMAP's poses are is not ours to test: on this capture it is now right, now wrong."""
    run = run_colmap(rendered_capture / "images", tmp_path, COLMAP_MODES["defaults"])
    model = pycolmap.Reconstruction(tmp_path / "data_set" / "sparse" / "0")
    assert [camera.model_name for camera in model.cameras.values()] == ["SIMPLE_RADIAL"]
    assert len(run.cam_from_world) == model.num_reg_images() > 1
    for image in model.images.values():
        np.testing.assert_array_equal(run.cam_from_world[image.name], image.cam_from_world().matrix())
    assert sorted(path.name for path in (tmp_path / "data_set" / "images").iterdir()) == sorted(run.cam_from_world)
    assert set(run.seconds) == {"extraction", "matching", "mapping", "writing"}


def test_our_matches_lie_where_the_truth_says_and_are_verified(rendered_capture: Path, tmp_path: Path) -> None:
    """With our SIFT in the place of the learned matcher, which is an extra."""
    images, database = rendered_capture / "images", tmp_path / "database.db"
    for path in images.iterdir():
        used = np.ones((360, 480), bool)
        used[:, :40] = False
        write_mask(tmp_path / "masks" / f"{path.name}.png", used)
    pycolmap.Database.open(database).close()
    with quiet_colmap():
        pycolmap.import_images(database, images, pycolmap.CameraMode.SINGLE)
        import_matches(database, images, "sift", "exhaustive", tmp_path / "masks")
    truth, errors_px = read_truth(rendered_capture), []
    with pycolmap.Database.open(database) as file:
        row = {entry.image_id: truth.names.index(entry.name) for entry in file.read_all_images()}
        keypoints = {image_id: file.read_keypoints(image_id)[:, :2].astype(float) for image_id in row}
        assert min(xy[:, 0].min() for xy in keypoints.values()) > 39
        for pair, geometry in zip(*file.read_two_view_geometries(), strict=True):
            first, second = pycolmap.pair_id_to_image_pair(pair)
            if len(geometry.inlier_matches) < 30:
                continue
            relative = compose(truth.cam_from_world[row[second]], invert(truth.cam_from_world[row[first]]))
            flat = np.linalg.inv(truth.intrinsics[0])
            fundamental = flat.T @ np.cross(relative[:, 3], relative[:, :3].T).T @ flat
            chosen = (keypoints[side][geometry.inlier_matches[:, k]] for k, side in enumerate((first, second)))
            errors_px.append(np.median(sampson_error_px(fundamental, *chosen)))
    assert len(errors_px) > 20
    assert max(errors_px) < 0.5


def test_sequential_pairs_are_those_of_neighbours(rendered_capture: Path, tmp_path: Path) -> None:
    from da3_pipeline.benchmark.peers.learned_matches import _pairs

    database = tmp_path / "database.db"
    pycolmap.Database.open(database).close()
    pycolmap.import_images(database, rendered_capture / "images")
    with pycolmap.Database.open(database) as file:
        assert len(_pairs(file, "exhaustive")) == 45
        near = {frozenset(pair) for pair in _pairs(file, "sequential")}
    assert {frozenset((k, k + 1)) for k in range(1, 10)} <= near
