"""Sub-commands in the manner of nerfstudio's `ns-process-data`, with Depth Anything 3 in COLMAP's place."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nerfstudio.process_data import polycam_utils, record3d_utils
from nerfstudio.process_data.base_converter_to_nerfstudio_dataset import BaseConverterToNerfstudioDataset
from nerfstudio.utils.rich_utils import CONSOLE

from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.pipeline import run
from da3_pipeline.progress import TerminalProgress

from .processing import complete

__all__ = ["Da3", "Da3Images", "Da3Polycam", "Da3Record3D", "Da3Video"]


@dataclass
class Da3(BaseConverterToNerfstudioDataset):  # type: ignore[misc]
    """Photographs or videos to a nerfstudio data set, posed by Depth Anything 3 and bundle adjustment."""

    num_downscales: int = 3
    """Number of times to downscale the images. Downscales by 2 each time."""
    num_frames_target: int = 300
    """Most frames to take from videos, chosen by motion and sharpness."""
    model: str = "auto"
    """auto, a model of `da3-pipeline models`, or a .safetensors file or folder."""
    predictions: Path | None = None
    """Depth and cameras from an .npz instead of a network."""
    matcher: str = "auto"
    """Of keypoints: auto, sift, aliked, disk or xfeat."""
    masks: Path | None = None
    """What to ignore: a mask for every frame or a folder of them; black is ignored."""
    mask_people: bool = False
    """Find people and ignore them."""
    undistort: bool = False
    """Write images, masks and depth maps of pinhole cameras."""
    depths: bool = False
    """Write depth maps, too."""
    gpu: bool = True
    """If True, use the GPU where there is one."""
    seed: int = 0
    """Equal seeds give equal poses."""

    def __post_init__(self) -> None:
        """Nothing is made yet: the data set appears when it is complete."""

    def main(self) -> None:
        self._process([self.data])

    def _process(self, sources: Sequence[Path], ingest: dict[str, Any] | None = None, **refine: Any) -> None:
        if self.eval_data is not None:
            sources = self._with_eval(sources)
        device = "auto" if self.gpu else "cpu"
        config = PipelineConfig.model_validate(
            {
                "ingest": {"masks": self.masks, **(ingest or {})},
                "select": {"max_frames": self.num_frames_target},
                "mask": {"people": self.mask_people, "device": device},
                "infer": {"model": self.model, "predictions": self.predictions, "device": device},
                "refine": {"seed": self.seed, "matcher": self.matcher, "device": device, **refine},
                "export": {"undistort": self.undistort, "depths": self.depths},
            }
        )
        outcome = run(sources, self.output_dir, config, TerminalProgress())
        for line in complete(self.output_dir, self.num_downscales):
            CONSOLE.log(line)
        for frame in outcome.dropped if self.verbose else ():
            CONSOLE.log(f"left out: {frame.frame}: {frame.reason}")
        style = "green" if outcome.passed else "yellow"
        CONSOLE.log(f"[bold {style}]{outcome.scene.verdict.summary}; see {self.output_dir / 'report.html'}")

    def _with_eval(self, sources: Sequence[Path]) -> list[Path]:
        """All photographs in one folder, under names that tell them apart as nerfstudio does (--eval-mode filename)."""
        given: dict[str, Path] = {"train": sources[0], "eval": self.eval_data}
        files: dict[str, Path] = {}
        for name, source in given.items():
            if not source.is_dir():
                raise CaptureError(f"{source}: is no folder; --eval-data needs folders of photographs, as --data does")
            files |= {f"frame_{name}_{file.name}": file for file in sorted(source.iterdir()) if file.is_file()}
        return [_linked(files, _work_folder(self.output_dir) / "split")]


@dataclass
class Da3Images(Da3):
    """Photographs to a nerfstudio data set."""


@dataclass
class Da3Video(Da3):
    """A video to a nerfstudio data set."""


@dataclass
class Da3Polycam(Da3):
    """A raw export of Polycam (a folder or .zip with keyframes/): its poses are refined, or kept."""

    use_uncorrected_images: bool = False
    """If True, use the raw images of the export. If False, the corrected ones."""
    min_blur_score: float = 25
    """Images whose blur score is lower are left out."""
    keep_poses: bool = False
    """Keep the poses of the export as they are."""

    def main(self) -> None:
        data = _unpacked(self.data, _work_folder(self.output_dir))
        corrected = (data / "keyframes" / "corrected_images").is_dir() and not self.use_uncorrected_images
        prefix = "corrected_" if corrected else ""
        images, cameras = (data / "keyframes" / f"{prefix}{name}" for name in ("images", "cameras"))
        if not images.is_dir() or not cameras.is_dir():
            raise CaptureError(f"{data}: holds no keyframes/images and keyframes/cameras; export raw data from Polycam")
        scratch, files = _scratch(self.output_dir), sorted(images.iterdir())
        polycam_utils.polycam_to_json(
            image_filenames=files,
            depth_filenames=[],
            glb_filename=None,
            cameras_dir=cameras,
            output_dir=scratch,
            min_blur_score=self.min_blur_score,
            crop_border_pixels=0,
        )
        transforms = scratch / "transforms.json"
        names = {f"frame_{number:05d}{file.suffix}": file for number, file in enumerate(files, start=1)}
        kept = [Path(frame["file_path"]).name for frame in json.loads(transforms.read_text())["frames"]]
        if not kept:
            raise CaptureError(f"{images}: every image is blurred beyond --min-blur-score {self.min_blur_score:g}")
        _process_posed(self, _linked({name: names[name] for name in kept}, scratch / "images"), transforms)


@dataclass
class Da3Record3D(Da3):
    """A capture of Record3D (a folder with rgb/ and metadata.json): its poses are refined, or kept."""

    max_dataset_size: int = 300
    """Most images to take, evenly spread; -1: all."""
    keep_poses: bool = False
    """Keep the poses of the capture as they are."""

    def main(self) -> None:
        images, metadata = self.data / "rgb", self.data / "metadata.json"
        if not images.is_dir() or not metadata.is_file():
            raise CaptureError(f"{self.data}: holds no rgb/ and metadata.json; export it from Record3D as EXR + JPG")
        files = sorted((file for file in images.iterdir() if file.stem.isdigit()), key=lambda file: int(file.stem))
        if not files:
            raise CaptureError(f"{images}: holds no numbered images; export the capture from Record3D again")
        wanted = len(files) if self.max_dataset_size < 0 else min(self.max_dataset_size, len(files))
        indices = np.unique(np.round(np.linspace(0, len(files) - 1, wanted)).astype(int))
        scratch = _scratch(self.output_dir)
        chosen = _linked({files[index].name: files[index] for index in indices}, scratch / "images")
        names = [Path("images") / files[index].name for index in indices]
        record3d_utils.record3d_to_json(names, metadata, scratch, indices=indices)
        _process_posed(self, chosen, scratch / "transforms.json")


def _process_posed(command: Da3Polycam | Da3Record3D, images: Path, transforms: Path) -> None:
    """With poses and intrinsics of the app: refined from there, or kept."""
    if command.eval_data is not None:
        raise UsageError("--eval-data: the app's poses are of one capture; split it by --eval-mode when training")
    known = {"intrinsics": transforms, "poses": transforms}
    command._process([images], known, solve={"poses_as": "fixed" if command.keep_poses else "prior"})


def _unpacked(data: Path, folder: Path) -> Path:
    """The folder with keyframes/ in it, of a folder or an archive."""
    if not data.exists():
        raise CaptureError(f"{data}: no such file or folder; --data takes Polycam's raw export")
    if data.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(data) as archive:
                archive.extractall(folder / data.stem)
        except (zipfile.BadZipFile, OSError) as error:
            raise CaptureError(f"{data}: cannot be unpacked ({error}); export it again") from error
        data = folder / data.stem
    inner = [path.parent for path in sorted(data.glob("**/keyframes"))]
    return inner[0] if inner else data


def _work_folder(output: Path) -> Path:
    """Inside the session, where what the pipeline is given has to stay for a later run to resume.

    Raises UsageError where the folder is somebody else's, as the pipeline itself would."""
    if output.is_dir() and any(output.iterdir()) and not (output / ".da3").is_dir():
        raise UsageError(f"{output}: is not empty and holds no session of da3-pipeline; choose an empty --output-dir")
    return output / ".da3" / "sources"


def _linked(files: Mapping[str, Path], folder: Path) -> Path:
    """A new folder with links of these names to the files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, file in files.items():
        (folder / name).symlink_to(file.resolve())
    return folder


def _scratch(output: Path) -> Path:
    """An empty folder for what is handed to the pipeline."""
    folder = _work_folder(output) / "known"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
