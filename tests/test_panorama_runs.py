"""The whole pipeline on a rendered room, filmed all around: posed as rigs, verified, and written as panoramas, too."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from da3_pipeline.arrays import Float
from da3_pipeline.benchmark.scenarios.capture_files import ScenarioCapture, render_capture
from da3_pipeline.benchmark.scenarios.catalogue import Scenario, carried_film
from da3_pipeline.geometry import compose, invert
from da3_pipeline.geometry.equirectangular import view_from_panorama
from da3_pipeline.geometry.metrics.poses import PoseErrors, pose_errors
from da3_pipeline.progress import SilentProgress

Run = Callable[..., tuple[int, str, str]]

FRAMES, SIZE = 6, (512, 256)
VIEWS = {f"view{yaw:03d}": view_from_panorama(yaw, 0) for yaw in (0, 90, 180, 270)} | {"up": view_from_panorama(0, 90)}
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> ScenarioCapture:
    """One of H.264, without a word about what it is."""
    scenario = Scenario(partial(carried_film, frames=FRAMES, size=SIZE, step_m=0.3), film=True)
    return render_capture("around", scenario, tmp_path_factory.mktemp("film"), 0, SilentProgress())


def test_a_film_of_all_around(film: ScenarioCapture, tmp_path: Path, cli: Run) -> None:
    out = tmp_path / "out"
    code, _, stderr = cli("run", film.source, "--output", out, "--equirectangular", "--every", 1)
    assert code == 0, stderr
    assert "360 degrees by how its edges meet" in stderr
    assert json.loads((out / "report.json").read_text())["verdict"]["passed"]
    truth = {Path(name).stem: pose for name, pose in zip(film.names, film.cam_from_world, strict=True)}
    model = pycolmap.Reconstruction(out / "sparse" / "0")
    (rig,) = model.rigs.values()
    assert (rig.num_sensors(), len(model.frames), len(model.images)) == (len(VIEWS), FRAMES, FRAMES * len(VIEWS))
    found, true = [], []
    for image in model.images.values():
        view, name = Path(image.name).parts[-2:]
        found.append(image.cam_from_world().matrix())
        true.append(compose(np.column_stack([VIEWS[view], np.zeros(3)]), truth[Path(name).stem]))
    errors = pose_errors(np.array(true), np.array(found))
    assert errors.auc(5) > 98 and errors.auc(1) > 95
    assert panoramas(out / "equirectangular", truth).auc(1) > 95


def panoramas(folder: Path, truth: dict[str, Float]) -> PoseErrors:
    """Of the poses in an equirectangular data set."""
    document = json.loads((folder / "transforms.json").read_text())
    assert document["camera_model"] == "EQUIRECTANGULAR"
    frames = document["frames"]
    poses = [invert((np.array(frame["transform_matrix"]) @ OPENCV_FROM_OPENGL)[:3]) for frame in frames]
    names = [Path(frame["file_path"]).stem.rpartition("_")[2] for frame in frames]
    assert sorted(names) == sorted(truth) and all((folder / frame["file_path"]).exists() for frame in frames)
    return pose_errors(np.array([truth[name] for name in names]), np.array(poses))
