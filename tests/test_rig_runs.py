"""The whole pipeline on a rendered rig of two cameras: rigid in the result, with what the file says and without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.cli import EXIT_BAD_INPUT
from da3_pipeline.geometry import compose, invert, rotation_angle_deg
from da3_pipeline.geometry.metrics.poses import pose_errors

Float = NDArray[np.float64]
Run = Callable[..., tuple[int, str, str]]

INSTANTS = 6
TURN = Rotation.from_euler("y", 8, degrees=True)
RIGHT_FROM_LEFT = np.concatenate([TURN.as_matrix(), [[-0.35], [0.02], [0.05]]], axis=1)
MISSING = "right/3.png"


@pytest.fixture(scope="module")
def rig_of_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Float]]:
    """left/0.png .. and right/0.png .. of a room, one of which is missing, and the true poses by name."""
    from da3_pipeline.training.synthetic import render_walk

    folder = tmp_path_factory.mktemp("rig")
    walk = render_walk(seed=1, frames=INSTANTS, width=480, height=360)
    poses = {"left": walk.cam_from_world, "right": compose(RIGHT_FROM_LEFT, walk.cam_from_world)}
    truth = {}
    for side, own in poses.items():
        (folder / side).mkdir()
        for index, image in enumerate(replace(walk, cam_from_world=own).frames()):
            name = f"{side}/{index}.png"
            if name != MISSING:
                Image.fromarray(image).save(folder / name)
                truth[name] = own[index]
    return folder, truth


def write_rig(path: Path, given: bool) -> Path:
    right: dict[str, object] = {"image_prefix": "right/"}
    if given:
        right["cam_from_rig_rotation"] = np.roll(TURN.as_quat(), 1).tolist()
        right["cam_from_rig_translation"] = RIGHT_FROM_LEFT[:, 3].tolist()
    path.write_text(json.dumps([{"cameras": [{"image_prefix": "left/", "ref_sensor": True}, right]}]))
    return path


@pytest.mark.parametrize("given", [False, True], ids=["measured", "given"])
def test_a_rig_of_two(given: bool, rig_of_two: tuple[Path, dict[str, Float]], tmp_path: Path, cli: Run) -> None:
    folder, truth = rig_of_two
    rig = write_rig(tmp_path / "rig_config.json", given)
    code, _, stderr = cli("run", folder, "--output", tmp_path / "out", "--rig", rig)
    assert code == 0, stderr
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    found = {image.name: image.cam_from_world().matrix() for image in model.images.values()}
    assert found.keys() == truth.keys()
    assert len(model.cameras) == 2
    errors = pose_errors(np.array([truth[name] for name in found]), np.array(list(found.values())))
    assert errors.auc(1) > 95
    whole = [k for k in range(INSTANTS) if f"right/{k}.png" in found]
    relative = np.array([compose(found[f"right/{k}.png"], invert(found[f"left/{k}.png"])) for k in whole])
    assert rotation_angle_deg(relative[:, :, :3], relative[:1, :, :3]).max() < 1e-5
    np.testing.assert_allclose(relative[:, :, 3], np.tile(relative[:1, :, 3], (len(whole), 1)), atol=1e-6)
    off_deg = rotation_angle_deg(relative[0, :, :3], RIGHT_FROM_LEFT[:, :3])
    assert off_deg < (1e-5 if given else 0.1)


def test_a_camera_without_images_is_named(rig_of_two: tuple[Path, dict[str, Float]], tmp_path: Path, cli: Run) -> None:
    rig = tmp_path / "rig_config.json"
    cameras = [{"image_prefix": "left/", "ref_sensor": True}, {"image_prefix": "top/"}]
    rig.write_text(json.dumps([{"cameras": cameras}]))
    code, _, stderr = cli("run", rig_of_two[0], "--output", tmp_path / "out", "--rig", rig)
    assert code == EXIT_BAD_INPUT
    (line,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert "'top/'" in line and "rig_config.json" in line
