"""A session as a plain scene: what is read, what the stored stages add, and what happens where something is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from da3_pipeline.errors import CaptureError
from da3_pipeline.geometry import centres, transform_points
from da3_pipeline.viewer import load_session


def test_observations_are_the_projections_of_their_points(session: Path) -> None:
    scene = load_session(session)
    assert [image.name for image in scene.images] == [f"{index:02d}.png" for index in range(12)]
    assert scene.measured.all() and scene.notes == ()
    for index, image in enumerate(scene.images):
        seen = scene.observations(index)
        assert len(seen.xy) > 100
        projected = image.camera.project(transform_points(image.cam_from_world, scene.points[seen.points]))
        np.testing.assert_allclose(projected, seen.xy, atol=1e-6)


def test_seed_points_are_in_the_world_of_the_cameras(session: Path) -> None:
    """sparse_pc.ply is in the turned world of transforms.json; every seed here is a track."""
    scene = load_session(session)
    assert np.linalg.norm(scene.upright_from_world - np.eye(3)) > 1
    order, own = np.lexsort(scene.seeds.round(3).T), np.lexsort(scene.points.round(3).T)
    np.testing.assert_allclose(scene.seeds[order], scene.points[own], atol=1e-5)
    np.testing.assert_array_equal(scene.seed_colours[order], scene.colours[own])


def test_a_session_in_survey_coordinates(survey_session: Path) -> None:
    """The seeds' file leaves out an offset: here they are back among the cameras and tracks."""
    scene = load_session(survey_session)
    assert scene.offset[1] > 5e6 and scene.notes == () and scene.prior_cam_from_world is not None
    order, own = np.lexsort(scene.seeds.round(3).T), np.lexsort(scene.points.round(3).T)
    np.testing.assert_allclose(scene.seeds[order], scene.points[own], atol=1e-5)
    assert np.abs(centres(scene.cam_from_world).mean(axis=0) - scene.points.mean(axis=0)).max() < 5


def test_the_cameras_are_level_once_upright(session: Path) -> None:
    scene = load_session(session)
    down = scene.cam_from_world[:, 1, :3] @ scene.upright_from_world.T
    assert (down[:, 2] < -0.95).all()


def test_the_prior_is_brought_onto_the_refined_poses_and_its_error_stays(session: Path) -> None:
    """The prior's world is scaled, turned and moved, and one of its cameras is 0.2 units off along z."""
    scene = load_session(session)
    assert scene.prior_cam_from_world is not None
    moved = centres(scene.prior_cam_from_world) - centres(scene.cam_from_world)
    np.testing.assert_allclose(moved[5], [0, 0, 0.2], atol=1e-3)
    assert np.abs(np.delete(moved, 5, axis=0)).max() < 1e-3


def test_without_stored_stages_the_rest_is_there(session: Path) -> None:
    shutil.rmtree(session / ".da3")
    scene = load_session(session)
    assert scene.prior_cam_from_world is None and scene.stored is None
    assert len(scene.images) == 12 and len(scene.seeds) == 600
    assert any(".da3" in note for note in scene.notes)


def test_stages_of_another_run_are_not_shown(session: Path) -> None:
    """Say, the run was repeated with other settings and interrupted before the export."""
    with np.load(session / ".da3" / "georegister" / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files}
    poses = max(name for name, array in arrays.items() if array.shape == (12, 3, 4))  # the scene's, after the prior's
    arrays[poses] = arrays[poses] + 0.1
    np.savez(session / ".da3" / "georegister" / "arrays.npz", **arrays)
    scene = load_session(session)
    assert scene.prior_cam_from_world is None and scene.stored is None
    assert any("another run" in note for note in scene.notes)


def test_damaged_stages_are_as_good_as_none(session: Path) -> None:
    (session / ".da3" / "georegister" / "artefact.json").write_text("{")
    assert load_session(session).stored is None


def test_missing_images_are_named(session: Path) -> None:
    for name in ("03.png", "07.png"):
        (session / "images" / name).unlink()
    assert any("03.png and 1 more" in note for note in load_session(session).notes)


def test_without_report_and_seeds_the_model_alone_is_shown(session: Path) -> None:
    for name in ("report.json", "transforms.json", "sparse_pc.ply"):
        (session / name).unlink()
    scene = load_session(session)
    assert len(scene.seeds) == 600 and "report" in scene.summary
    down = scene.cam_from_world[:, 1, :3] @ scene.upright_from_world.T
    assert (down[:, 2] < -0.95).all()


def test_tracks_from_depth_are_told_apart(session: Path) -> None:
    report = json.loads((session / "report.json").read_text())
    report["data_set"]["tracks_measured"] = 590
    (session / "report.json").write_text(json.dumps(report))
    assert load_session(session).measured.tolist() == [True] * 590 + [False] * 10


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda folder: shutil.rmtree(folder), "no such folder"),
        (lambda folder: [shutil.rmtree(folder / name) for name in (".da3", "sparse")], "holds no session"),
        (lambda folder: shutil.rmtree(folder / "sparse"), "not finished"),
        (lambda folder: (folder / "sparse" / "0" / "images.bin").write_bytes(b"123"), "cannot be read"),
        (lambda folder: (folder / "sparse" / "0" / "points3D.bin").unlink(), "cannot be read"),
    ],
)
def test_a_folder_that_is_no_finished_session_is_refused_in_one_line(session: Path, prepare, told: str) -> None:
    prepare(session)
    with pytest.raises(CaptureError, match=told) as error:
        load_session(session)
    assert str(session) in str(error.value)
