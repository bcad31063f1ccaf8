"""One small target a parser of foreign bytes: files to begin with, and what reads them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pycolmap
import torch
from fuzz.datasets import DATASET_READERS, dataset_files
from fuzz.projects import PROJECTS
from PIL import Image
from safetensors.torch import save as safetensors

from da3_pipeline.errors import PipelineError
from da3_pipeline.export.ply import write_ply
from da3_pipeline.files.depthio import UnreadableDepthError, read_depth
from da3_pipeline.gaussians import read_gaussians_ply, read_spz, write_gaussians_ply, write_spz
from da3_pipeline.imageio import UnreadableImageError, probe_image, read_mask, read_rgb
from da3_pipeline.infer.prediction_file import read_predictions
from da3_pipeline.ingest.archives import unpacked
from da3_pipeline.ingest.config import ArchiveConfig
from da3_pipeline.ingest.exif import read_camera_facts, read_exposure, read_gps
from da3_pipeline.ingest.panoramas import read_fisheye_pair
from da3_pipeline.ingest.projects.registry import find_project, read_views
from da3_pipeline.ingest.rigs import read_rigs
from da3_pipeline.model.checkpoints.format import open_checkpoint
from da3_pipeline.model.variants import VARIANTS
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import GaussianCloud, SensorDepth
from da3_pipeline.videoio import UnreadableVideoError, probe_video
from da3_pipeline.viewer import load_session

__all__ = ["TARGETS", "Target"]

EXPECTED = (PipelineError, UnreadableDepthError, UnreadableImageError, UnreadableVideoError)
Files = dict[str, bytes]


@dataclass(frozen=True)
class Target:
    """seeds: makes files by path below the folder that it is given. read: reads that folder; the files may be spoilt.

    Whatever it raises beside EXPECTED is a finding.
    """

    seeds: Callable[[Path], Files]
    read: Callable[[Path], object]
    expected: tuple[type[Exception], ...] = EXPECTED


def _saved(folder: Path, *names: str) -> Files:
    return {name: (folder / name).read_bytes() for name in names}


def _model(folder: Path) -> Files:
    pycolmap.set_random_seed(0)
    options = pycolmap.SyntheticDatasetOptions(num_rigs=1, num_cameras_per_rig=2, num_frames_per_rig=2, num_points3D=12)
    pycolmap.synthesize_dataset(options).write(str(folder))
    return _saved(folder, "cameras.bin", "rigs.bin", "frames.bin", "images.bin", "points3D.bin")


def _session(folder: Path) -> Files:
    """As the exporter leaves it, pictures aside."""
    model = {f"sparse/0/{name}": data for name, data in _model(folder).items()}
    write_ply(folder / "sparse_pc.ply", np.eye(3), np.zeros((3, 3), np.uint8))
    report = {"frames": [{"image": "a", "median_error_px": 0.5}], "verdict": {"summary": "good"}}
    report["data_set"] = {"tracks_measured": 3}
    transforms = {
        "applied_transform": np.eye(4)[:3].tolist(),
        "world_offset": [1.0, 2.0, 3.0],
        "ply_file_path": "x.ply",
    }
    documents = {"report.json": json.dumps(report).encode(), "transforms.json": json.dumps(transforms).encode()}
    return {**model, **_saved(folder, "sparse_pc.ply"), **documents}


def _predictions(folder: Path) -> Files:
    poses = np.tile(np.eye(4)[:3], (2, 1, 1))
    matrices = np.tile(np.array([[8.0, 0, 4], [0, 8, 3], [0, 0, 1]]), (2, 1, 1))
    arrays = {"depth": np.ones((2, 6, 8), np.float32), "extrinsics": poses, "intrinsics": matrices}
    np.savez(
        folder / "it.npz",
        **arrays,
        names=np.array(["a", "b"]),
        pixel_scale=np.ones((2, 2)),
        pixel_offset=np.zeros((2, 2)),
    )
    return _saved(folder, "it.npz")


def _checkpoint(folder: Path) -> Files:
    config = json.dumps(VARIANTS["da3-nano"].config.to_dict())
    return {"it.safetensors": safetensors({"model.a": torch.ones(3)}, {"format": "pt", "model_config": config})}


def _cloud() -> GaussianCloud:
    made = np.random.default_rng(0)
    return GaussianCloud(
        made.normal(size=(5, 3)).astype(np.float32), np.full((5, 3), 0.1, np.float32),
        np.tile(np.array([1, 0, 0, 0], np.float32), (5, 1)), made.normal(size=(5, 3, 4)).astype(np.float32),
        np.full(5, 0.5, np.float32), np.zeros(5, np.int32),
    )  # fmt: skip


def _splats(folder: Path) -> Files:
    write_gaussians_ply(folder / "it.ply", _cloud(), degree=1)
    return _saved(folder, "it.ply")


def _spz(folder: Path) -> Files:
    write_spz(folder / "it.spz", _cloud())
    return _saved(folder, "it.spz")


def _spz_4(folder: Path) -> Files:
    write_spz(folder / "it.spz", _cloud(), version=4)
    return _saved(folder, "it.spz")


def _picture(container: str) -> Callable[[Path], Files]:
    def seeds(folder: Path) -> Files:
        exif = Image.Exif()
        exif[0x010F], exif[0x0110], exif[0x0112] = "Maker", "Model", 6
        exif.get_ifd(0x8769).update({0x920A: 4.2, 0xA405: 26, 0x829A: 0.01, 0x8827: 100})
        exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 5.0), 3: "E", 4: (8.0, 32.0, 1.0), 6: 400.0})
        data = io.BytesIO()
        values = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
        Image.fromarray(values).save(data, container, exif=exif)
        return {"it": data.getvalue()}

    return seeds


def _read_picture(folder: Path) -> None:
    info = probe_image(folder / "it")
    read_camera_facts(info.exif, info.width, info.height)
    read_gps(info.exif), read_exposure(info.exif)
    read_rgb(folder / "it", 40)
    read_mask(folder / "it", info.width, info.height)


def _depth(suffix: str) -> Target:
    def seeds(folder: Path) -> Files:
        path, values = folder / f"it{suffix}", np.arange(48, dtype=np.uint16).reshape(6, 8)
        if suffix == ".npy":
            np.save(path, values.astype(np.float32))
        elif suffix == ".npz":
            np.savez_compressed(path, depth=values.astype(np.float32))
        else:
            Image.fromarray(values).save(path)
        return _saved(folder, path.name)

    return Target(seeds, lambda folder: read_depth(SensorDepth(folder / f"it{suffix}", 0.001)))


def _archive(folder: Path) -> Files:
    with zipfile.ZipFile(folder / "it.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.txt", "text" * 100)
        archive.writestr("2.bin", bytes(500))
    return _saved(folder, "it.zip")


def _unpack(folder: Path) -> None:
    unpacked([folder / "it.zip"], folder / "work", ArchiveConfig(), SilentProgress())


def _video(folder: Path) -> Files:
    import av

    with av.open(str(folder / "it.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for grey in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 80 * grey, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return _saved(folder, "it.mp4")


_RIG = [{"cameras": [{"image_prefix": "a/", "ref_sensor": True}, {
    "image_prefix": "b/", "cam_from_rig_rotation": [1, 0, 0, 0], "cam_from_rig_translation": [0.1, 0, 0],
    "camera_model_name": "OPENCV", "camera_params": [50, 50, 32, 24, 0, 0, 0, 0]}]}]  # fmt: skip


def _given(name: str, document: object) -> Callable[[Path], Files]:
    return lambda folder: {name: json.dumps(document).encode()}


def _project(files: Files) -> Target:
    return Target(lambda folder: files, find_project)


TARGETS: dict[str, Target] = {
    **{name: _project(files) for name, files in PROJECTS.items()},
    "COLMAP binary": Target(_model, read_views),
    "session": Target(_session, load_session),
    "rig": Target(_given("rig.json", _RIG), lambda folder: read_rigs(folder / "rig.json")),
    "two fisheyes": Target(
        _given("two.json", {"fov_deg": 190.0}), lambda folder: read_fisheye_pair(folder / "two.json")
    ),
    "predictions": Target(_predictions, lambda folder: read_predictions(folder / "it.npz")),
    "checkpoint": Target(_checkpoint, lambda folder: open_checkpoint(folder / "it.safetensors")),
    "3DGS PLY": Target(_splats, lambda folder: read_gaussians_ply(folder / "it.ply")),
    "spz": Target(_spz, lambda folder: read_spz(folder / "it.spz")),
    "spz 4": Target(_spz_4, lambda folder: read_spz(folder / "it.spz")),
    **{name: Target(_picture(name), _read_picture) for name in ("JPEG", "PNG", "TIFF", "WEBP")},
    **{f"depth {suffix}": _depth(suffix) for suffix in (".png", ".npy", ".npz", ".tiff")},
    **{f"data set {name}": Target(partial(dataset_files, name), read) for name, read in DATASET_READERS.items()},
    "archive": Target(_archive, _unpack),
    "video": Target(_video, lambda folder: probe_video(folder / "it.mp4")),
}
