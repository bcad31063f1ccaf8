"""With the real nerfstudio, in its own environment: `make nerfstudio`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
import pytest

from da3_pipeline.errors import CaptureError, UsageError

pytestmark = pytest.mark.nerfstudio


@pytest.fixture(scope="module")
def config() -> Any:
    """The data parser as nerfstudio finds it."""
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    return discover_dataparsers()[0]["da3-data"]


def outputs(config: Any, session: Path, split: str = "train", **options: Any) -> Any:
    from dataclasses import replace

    return replace(config, data=session, **options).setup().get_dataparser_outputs(split)


def test_nerfstudio_discovers_the_parser_through_its_entry_point() -> None:
    from nerfstudio.plugins.registry_dataparser import discover_dataparsers

    configs, descriptions = discover_dataparsers()
    assert "da3-pipeline" in (descriptions["da3-data"] or "")
    assert type(configs["da3-data"]).__module__ == "da3_nerfstudio.dataparser"


def test_ns_train_offers_the_parser_with_its_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nerfstudio.scripts.train import entrypoint

    pages = {}
    for arguments in (("splatfacto", "--help"), ("splatfacto", "da3-data", "--help")):
        monkeypatch.setattr(sys, "argv", ["ns-train", *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ending:
            entrypoint()
        assert ending.value.code == 0
        pages[arguments] = " ".join(capsys.readouterr().out.split())
    assert "da3-data" in pages["splatfacto", "--help"]
    options = pages["splatfacto", "da3-data", "--help"]
    for option in ("--eval-mode {interval,fraction,filename,all}", "--eval-interval", "--train-split-fraction"):
        assert option in options
    assert "every n-th frame is held out" in options


AS_SAVED = {"orientation_method": "none", "center_method": "none", "auto_scale_poses": False}


@pytest.mark.parametrize("options", [{}, AS_SAVED])
def test_cameras_see_the_tracks_where_they_were_observed(config: Any, session: Path, options: dict[str, Any]) -> None:
    """nerfstudio's Cameras casts rays only: that of an observation must pass its point within a fraction of a pixel."""
    import torch

    parsed = outputs(config, session, eval_mode="all", **options)
    model = pycolmap.Reconstruction(session / "sparse" / "0")
    by_name = {image.name: image for image in model.images.values()}
    rotation, translation = parsed.dataparser_transform[:, :3].double(), parsed.dataparser_transform[:, 3].double()
    errors_px = []
    for index, path in enumerate(parsed.image_filenames):
        image = by_name[path.relative_to(session / "images").as_posix()]
        seen = [point for point in image.points2D if point.has_point3D()]
        assert len(seen) > 50
        points = torch.tensor(np.array([model.points3D[point.point3D_id].xyz for point in seen]))
        points = (points @ rotation.T + translation) * parsed.dataparser_scale
        rows_columns = torch.tensor(np.array([point.xy[::-1] for point in seen]), dtype=torch.float32)
        rays = parsed.cameras.generate_rays(torch.full((len(seen), 1), index), coords=rows_columns)
        pose = parsed.cameras.camera_to_worlds[index].double()
        in_camera = (points - pose[:, 3]) @ pose[:, :3]
        ray_in_camera = rays.directions.double() @ pose[:, :3]
        focal = torch.stack([parsed.cameras.fx[index], parsed.cameras.fy[index]], dim=-1).double()
        difference = in_camera[:, :2] / in_camera[:, 2:] - ray_in_camera[:, :2] / ray_in_camera[:, 2:]
        errors_px.append((difference * focal).norm(dim=-1))
    assert torch.cat(errors_px).max() < 0.1
    assert (parsed.cameras.distortion_params.abs().sum(dim=-1) > 0).all()


def test_seed_points_are_the_tracks_in_the_cameras_frame(config: Any, session: Path) -> None:
    parsed = outputs(config, session)
    model = pycolmap.Reconstruction(session / "sparse" / "0")
    tracks = np.array([point.xyz for point in model.points3D.values()])
    colours = np.array([point.color for point in model.points3D.values()])
    transform = parsed.dataparser_transform.double().numpy()
    expected = (tracks @ transform[:, :3].T + transform[:, 3]) * parsed.dataparser_scale
    seeds = parsed.metadata["points3D_xyz"].double().numpy()
    distances = np.linalg.norm(seeds[:, None] - expected[None], axis=-1)
    nearest = distances.argmin(axis=1)
    assert len(seeds) > 250
    assert distances.min(axis=1).max() < 1e-4
    assert np.abs(parsed.metadata["points3D_rgb"].numpy().astype(int) - colours[nearest]).max() <= 1


def test_metres_come_back_through_nerfstudios_own_inverse(config: Any, session: Path) -> None:
    parsed = outputs(config, session, eval_mode="all")
    assert parsed.cameras.camera_to_worlds[:, :, 3].abs().max() <= 1 + 1e-5
    poses = parsed.transform_poses_to_original_space(parsed.cameras.camera_to_worlds, camera_convention="opencv")
    model = pycolmap.Reconstruction(session / "sparse" / "0")
    by_name = {image.name: image.projection_center() for image in model.images.values()}
    expected = [by_name[path.name] for path in parsed.image_filenames]
    np.testing.assert_allclose(poses[:, :, 3].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "held_out"),
    [
        ({}, [0, 8, 16]),
        ({"eval_interval": 5}, [0, 5, 10, 15]),
        ({"eval_mode": "fraction", "train_split_fraction": 0.5}, None),
    ],
)
def test_splits_hold_out_what_was_asked_for(
    config: Any, session: Path, options: dict[str, Any], held_out: list[int] | None
) -> None:
    train, evaluation = (
        [path.name for path in outputs(config, session, split, **options).image_filenames] for split in ("train", "val")
    )
    assert sorted(train + evaluation) == [f"{index:02d}.png" for index in range(18)]
    if held_out is None:
        assert len(train) == 9
    else:
        assert evaluation == [f"{index:02d}.png" for index in held_out]


def test_nerfstudios_own_datamanager_trains_from_it(config: Any, session: Path) -> None:
    from dataclasses import replace

    import torch
    from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanagerConfig

    manager = FullImageDatamanagerConfig(dataparser=replace(config, data=session), cache_images="gpu").setup(
        device="cpu"
    )
    cameras = {}
    for step in range(15):
        camera, data = manager.next_train(step)
        assert data["image"].shape == (camera.height.item(), camera.width.item(), 3)
        cameras[data["image_idx"]] = camera
    assert len(cameras) == 15
    # Undistorting moves pixels: the blue channel, constant in each picture, must still tell which picture it is.
    _, data = manager.next_eval(0)
    blue = torch.round(data["image"][..., 2] * 255)
    assert blue.median().item() in (0, 80, 160)
    assert manager.train_dataparser_outputs.metadata["points3D_xyz"].shape[1] == 3


def test_sky_is_masked_in_what_the_trainer_gets(config: Any, session_with_sky: Path) -> None:
    """nerfstudio undistorts masks with the images; far from the skyline they stay what they were."""
    from dataclasses import replace

    from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanagerConfig

    manager = FullImageDatamanagerConfig(dataparser=replace(config, data=session_with_sky), cache_images="gpu").setup(
        device="cpu"
    )
    for step in range(15):
        camera, data = manager.next_train(step)
        height, width = camera.height.item(), camera.width.item()
        assert data["mask"].shape == (height, width, 1)
        assert data["mask"][height // 4 :].all() and not data["mask"][: height // 16, width // 4 : -width // 4].any()


def test_images_of_another_size_that_are_not_there_get_the_option_that_does_it(config: Any, session: Path) -> None:
    with pytest.raises(UsageError, match=r"no images_2 .*camera-res-scale-factor"):
        outputs(config, session, downscale_factor=2)


def test_a_folder_that_is_no_session_is_one_clear_error(config: Any, session: Path) -> None:
    with pytest.raises(CaptureError, match="not a finished session"):
        outputs(config, session / "images")


def test_a_method_trains_from_it_on_a_cpu(config: Any, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of nerfstudio's vanilla NeRF, by its own pipeline: the loss is finite and falls."""
    from dataclasses import replace

    import torch
    from nerfstudio.configs.method_configs import method_configs

    # It would download the weights of a metric.
    monkeypatch.setattr(
        "torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", lambda **options: torch.nn.Identity()
    )
    pipeline = method_configs["vanilla-nerf"].pipeline
    manager = replace(
        pipeline.datamanager, dataparser=replace(config, data=session), train_num_rays_per_batch=64, images_on_gpu=False
    )
    model = replace(pipeline.model, num_coarse_samples=16, num_importance_samples=16)
    trained = replace(pipeline, datamanager=manager, model=model).setup(device="cpu")
    groups = trained.get_param_groups()
    optimiser = torch.optim.Adam([weight for group in groups.values() for weight in group], lr=2e-3)
    losses = []
    for step in range(12):
        _, terms, _ = trained.get_train_loss_dict(step)
        loss = sum(terms.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert all(np.isfinite(losses))
    assert np.mean(losses[-4:]) < np.mean(losses[:4])


def test_a_thousand_frames_are_read_in_seconds(config: Any, session: Path, tmp_path: Path) -> None:
    import json
    import shutil
    import time

    large = tmp_path / "large"
    shutil.copytree(session, large)
    document = json.loads((large / "transforms.json").read_text())
    frames = document["frames"]
    document["frames"] = []
    for number in range(1000):
        frame = dict(frames[number % len(frames)])
        path = Path(frame["file_path"])
        frame["file_path"] = str(path.with_name(f"{number:04d}{path.suffix}"))
        (large / frame["file_path"]).symlink_to((large / path).resolve())
        document["frames"].append(frame)
    (large / "transforms.json").write_text(json.dumps(document))
    began = time.process_time()
    train, held_out = (outputs(config, large, split) for split in ("train", "val"))
    assert time.process_time() - began < 60
    assert (len(train.image_filenames), len(held_out.image_filenames)) == (875, 125)
