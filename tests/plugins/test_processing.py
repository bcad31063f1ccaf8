"""With the real nerfstudio: its processing command with ours in it, ours by themselves, and data sets that it reads."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from da3_nerfstudio import command

from da3_pipeline.imageio import write_rgb

pytestmark = pytest.mark.nerfstudio


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, float]:
    """Ten rendered pictures of a room, with their poses (N, 3, 4) in metres and the focal length."""
    from da3_pipeline.training.synthetic import render_walk

    folder = tmp_path_factory.mktemp("capture") / "photos"
    folder.mkdir()
    walk = render_walk(seed=3, frames=40, width=320, height=240)
    for number, index in enumerate(range(0, 40, 4)):
        write_rgb(folder / f"{number}.png", walk.picture(index)[0])
    return folder, walk.cam_from_world[::4], walk.camera.focal_px


def called(monkeypatch: pytest.MonkeyPatch, script: Any, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments])
    try:
        script()
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def read_by_nerfstudio(folder: Path, factor: int | None = None) -> Any:
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

    parser = NerfstudioDataParserConfig(data=folder, downscale_factor=factor, load_3D_points=True).setup()
    return parser.get_dataparser_outputs("train")


def test_nerfstudios_command_has_all_its_own_and_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert called(monkeypatch, command.process_data, "--help") == 0
    page = capsys.readouterr().out
    for name in ("images", "video", "polycam", "metashape", "realitycapture", "record3d", "odm", "aria", "da3"):
        assert f"• {name} " in page
    assert called(monkeypatch, command.process, "--help") == 0
    page = capsys.readouterr().out
    assert all(f"• {name} " in page for name in ("images", "video", "polycam", "record3d"))


def test_photographs_become_nerfstudios_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photographs: tuple[Path, np.ndarray, float]
) -> None:
    output = tmp_path / "out"
    arguments = ("--data", str(photographs[0]), "--output-dir", str(output), "--num-downscales", "2", "--depths")
    assert called(monkeypatch, command.process_data, "da3", *arguments) == 0
    names = sorted(path.name for path in (output / "images").iterdir())
    assert len(names) == 10
    for factor in (2, 4):
        assert sorted(path.name for path in (output / f"images_{factor}").iterdir()) == names
        assert cv2.imread(str(output / f"images_{factor}" / names[0])).shape == (240 // factor, 320 // factor, 3)
        file = f"{Path(names[0]).stem}.npy"
        whole, reduced = (np.load(output / folder / file) for folder in ("depths", f"depths_{factor}"))
        assert reduced.shape == (whole.shape[0] // factor, whole.shape[1] // factor)
    assert (output / "colmap" / "sparse" / "0" / "cameras.bin").is_file()
    small = read_by_nerfstudio(output, 4)
    assert len(small.image_filenames) == 9  # nine tenths of ten
    assert small.cameras.height[0].item() == 60
    assert small.metadata["points3D_xyz"].shape[0] > 100
    assert called(monkeypatch, command.process, "images", *arguments) == 0, "again, from what is there"


def test_held_out_photographs_are_told_by_their_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photographs: tuple[Path, np.ndarray, float]
) -> None:
    train, held_out = tmp_path / "train", tmp_path / "held out"
    for number in range(10):
        folder = held_out if number in (3, 6) else train
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.png").symlink_to(photographs[0] / f"{number}.png")
    output = tmp_path / "out"
    arguments = ("--data", str(train), "--eval-data", str(held_out), "--output-dir", str(output))
    assert called(monkeypatch, command.process, "images", *arguments, "--num-downscales", "0") == 0
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import NerfstudioDataParserConfig

    parser = NerfstudioDataParserConfig(data=output, eval_mode="filename").setup()
    names = [path.name for path in parser.get_dataparser_outputs("val").image_filenames]
    assert names == ["frame_eval_3.png", "frame_eval_6.png"]


@pytest.mark.parametrize("app", ["polycam", "record3d"])
def test_poses_of_capture_apps_are_refined_in_their_metres(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photographs: tuple[Path, np.ndarray, float], app: str
) -> None:
    """Poses off by a centimetre come back within millimetres, in the app's world."""
    export = tmp_path / "export"
    true_centres = write_polycam(export, *photographs) if app == "polycam" else write_record3d(export, *photographs)
    output = tmp_path / "out"
    arguments = ("--data", str(export), "--output-dir", str(output), "--num-downscales", "0")
    assert called(monkeypatch, command.process, app, *arguments) == 0
    frames = json.loads((output / "transforms.json").read_text())["frames"]
    found = np.array([frame["transform_matrix"] for frame in frames])[:, :3, 3]
    report = json.loads((output / "report.json").read_text())
    assert report["verdict"]["passed"]
    steps = np.linalg.norm(np.diff(found, axis=0), axis=1)
    true_steps = np.linalg.norm(np.diff(true_centres, axis=0), axis=1)
    assert np.allclose(steps, true_steps, rtol=0.1, atol=0.01)


def write_polycam(export: Path, photos: Path, poses: np.ndarray, focal_px: float) -> np.ndarray:
    images, cameras = export / "keyframes" / "images", export / "keyframes" / "cameras"
    for folder in (images, cameras):
        folder.mkdir(parents=True)
    world_from_cam, centres = _opengl(poses)
    for number, pose in enumerate(world_from_cam):
        (images / f"{number:04d}.png").symlink_to(photos / f"{number}.png")
        entry = {"fx": focal_px, "fy": focal_px, "cx": 160, "cy": 120, "width": 320, "height": 240}
        entry["blur_score"] = 3 if number == 4 else 100
        for row, source in ((2, 0), (0, 1), (1, 2)):
            entry |= {f"t_{row}{column}": pose[source, column] for column in range(4)}
        (cameras / f"{number:04d}.json").write_text(json.dumps(entry))
    return np.delete(centres, 4, axis=0)


def write_record3d(export: Path, photos: Path, poses: np.ndarray, focal_px: float) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    (export / "rgb").mkdir(parents=True)
    world_from_cam, centres = _opengl(poses)
    rows = []
    for number, pose in enumerate(world_from_cam):
        (export / "rgb" / f"{number}.png").symlink_to(photos / f"{number}.png")
        rows.append([*Rotation.from_matrix(pose[:, :3]).as_quat(), *pose[:, 3]])
    K = np.array([[focal_px, 0, 160], [0, focal_px, 120], [0, 0, 1.0]])
    document = {"poses": np.array(rows).tolist(), "K": K.T.ravel().tolist(), "w": 320, "h": 240}
    (export / "metadata.json").write_text(json.dumps(document))
    return centres


def _opengl(cam_from_world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3, 4) camera-to-world poses, y up and z back in the camera, off by a centimetre; and the true centres."""
    rotation = np.swapaxes(cam_from_world[:, :, :3], 1, 2)
    centres = -np.einsum("nij,nj->ni", rotation, cam_from_world[:, :, 3])
    noisy = centres + 0.01 * np.random.default_rng(0).normal(size=centres.shape)
    return np.concatenate([rotation * np.array([1, -1, -1]), noisy[:, :, None]], 2), centres


@pytest.mark.parametrize("app", ["polycam", "record3d"])
def test_what_is_no_export_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, app: str
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ("--data", str(tmp_path / "empty"), "--output-dir", str(tmp_path / "out"))
    assert called(monkeypatch, command.process, app, *arguments) == 2
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ") and "\n" not in message


def test_raw_photographs_are_processed_once_by_the_data_parser(
    tmp_path: Path, photographs: tuple[Path, np.ndarray, float]
) -> None:
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    photos = tmp_path / "photos"
    photos.symlink_to(photographs[0])
    config = discover_dataparsers()[0]["da3-data"]
    listing = tmp_path / "eval.txt"
    listing.write_text("2\n7\n")
    first = replace(config, data=photos, eval_list=listing).setup().get_dataparser_outputs("train")
    session = photographs[0].with_name("photos-da3")
    before = (session / "transforms.json").stat().st_mtime_ns
    held_out = replace(config, data=photos, eval_list=listing).setup().get_dataparser_outputs("val")
    assert (session / "transforms.json").stat().st_mtime_ns == before
    assert [path.stem for path in held_out.image_filenames] == ["2", "7"]
    assert len(first.image_filenames) == 8 == len(first.cameras)


def test_a_read_only_folder_is_processed_in_the_cache_and_a_half_done_session_finished_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photographs: tuple[Path, np.ndarray, float]
) -> None:
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    photos = tmp_path / "card" / "photos"
    photos.mkdir(parents=True)
    for source in photographs[0].iterdir():
        (photos / source.name).symlink_to(source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != photos.parent and access(path, mode))
    config = replace(discover_dataparsers()[0]["da3-data"], data=photos)
    first = config.setup().get_dataparser_outputs("train")
    assert [path.name for path in photos.parent.iterdir()] == ["photos"]
    (session,) = (tmp_path / "cache" / "da3-pipeline" / "sessions").iterdir()
    done = {path: path.stat().st_mtime_ns for path in (session / ".da3").rglob("*infer*")}
    for name in ("transforms.json", "report.json"):
        (session / name).unlink()
    again = replace(config, data=photos).setup().get_dataparser_outputs("train")
    assert again.image_filenames == first.image_filenames
    assert (again.cameras.camera_to_worlds == first.cameras.camera_to_worlds).all()
    assert done and done == {path: path.stat().st_mtime_ns for path in done}, "inference was not repeated"


def test_odd_sizes_and_photographs_left_out_stay_in_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sides are rounded down as nerfstudio rounds its cameras', at every factor; what cannot be read has no frame."""
    from da3_pipeline.training.synthetic import render_walk

    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    walk = render_walk(seed=3, frames=40, width=641, height=479)
    for number, index in enumerate(range(0, 40, 4)):
        write_rgb(photos / f"{number}.png", walk.picture(index)[0])
    (photos / "4.png").write_bytes(b"not a picture")
    arguments = ("--data", str(photos), "--output-dir", str(output))
    assert called(monkeypatch, command.process, "images", *arguments) == 0
    centres = -np.einsum("nji,nj->ni", walk.cam_from_world[::4, :, :3], walk.cam_from_world[::4, :, 3])
    for factor in (1, 2, 4, 8):
        read = read_by_nerfstudio(output, factor)
        assert len(read.image_filenames) == 9
        for index, path in enumerate(read.image_filenames):
            assert cv2.imread(str(path)).shape[:2] == (479 // factor, 641 // factor)
            assert (read.cameras.height[index].item(), read.cameras.width[index].item()) == (
                479 // factor,
                641 // factor,
            )
        numbers = [int(path.stem) for path in read.image_filenames]
        found = read.cameras.camera_to_worlds[:, :, 3].double().numpy()
        assert normalised_distances(found) == pytest.approx(normalised_distances(centres[numbers]), abs=0.02)


def test_frames_that_selection_leaves_out_have_no_camera(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from da3_pipeline.demo import write_video
    from da3_pipeline.training.synthetic import render_walk

    video, output = tmp_path / "walk.mp4", tmp_path / "out"
    walk = render_walk(seed=3, frames=40, width=320, height=240)
    write_video(video, (walk.picture(index)[0] for index in range(40)))
    arguments = ("--data", str(video), "--output-dir", str(output), "--num-frames-target", "8")
    assert called(monkeypatch, command.process, "video", *arguments, "--num-downscales", "1") == 0
    names, halves = ({path.name for path in (output / name).rglob("*.*")} for name in ("images", "images_2"))
    assert 4 <= len(names) <= 8
    assert halves == names
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    ours = replace(discover_dataparsers()[0]["da3-data"], data=output, eval_mode="all")
    read = ours.setup().get_dataparser_outputs("train")
    assert {path.name for path in read.image_filenames} == names
    assert len(read.cameras) == len(names)


def normalised_distances(centres: np.ndarray) -> np.ndarray:
    """All distances between centres, the largest 1."""
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    return np.asarray(distances / distances.max())


def test_the_method_is_offered_with_our_data_parser() -> None:
    from nerfstudio.plugins.registry import discover_methods

    methods, descriptions = discover_methods()
    config = methods["da3-splatfacto"]
    assert type(config.pipeline.datamanager.dataparser).__name__ == "Da3DataParserConfig"
    assert config.pipeline.model.use_bilateral_grid
    assert config.pipeline.model.camera_optimizer.mode == "SO3xR3"
    assert "MCMC" in descriptions["da3-splatfacto"]


def test_the_method_joins_the_chain_to_splatfacto(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU nothing can be rasterised; what the strategy is asked, and what is added to the loss, can be seen."""
    import torch
    from da3_nerfstudio.splatfacto import McmcSplatfactoConfig
    from nerfstudio.data.scene_box import SceneBox

    # It would download the weights of a metric.
    monkeypatch.setattr(
        "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", lambda **options: torch.nn.Identity()
    )
    box = SceneBox(torch.tensor([[-1.0, -1, -1], [1, 1, 1]]))
    config = McmcSplatfactoConfig(max_gs_num=77, num_downscales=0)
    model = config.setup(scene_box=box, num_train_data=4)
    assert model.strategy.cap_max == 77
    assert not model.strategy.absgrad
    asked: dict[str, Any] = {}
    model.strategy.step_post_backward = lambda **given: asked.update(given)
    model.optimizers = {"means": torch.optim.Adam([model.means], lr=0.0123)}
    model.info, model.step = {"radii": None}, 5
    model.step_post_backward(5)
    assert asked["lr"] == 0.0123 and asked["step"] == 5 and "binoms" in asked["state"]
    image = torch.rand(16, 16, 3)
    losses = model.get_loss_dict({"rgb": image, "background": torch.zeros(3)}, {"image": image})
    assert losses["opacity_reg"].item() == pytest.approx(0.01 * torch.sigmoid(model.opacities).mean().item())
    assert losses["mcmc_scale_reg"].item() > 0
