"""The data parser `da3-data`, discovered by nerfstudio through its entry point.

A session's transforms.json follows nerfstudio's own format, so their parser reads it. This one makes a session of raw
photographs or a video first, checks that a session is finished, warns when it is below its gates, and has defaults
that suit a splat: seed points, and every eighth frame held out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from da3_pipeline.errors import MissingExtraError, UsageError

from .raw import is_raw, process_once
from .session import open_session, read_list
from .version import check_nerfstudio

try:
    from nerfstudio.data.dataparsers.nerfstudio_dataparser import Nerfstudio, NerfstudioDataParserConfig
    from nerfstudio.plugins.registry_dataparser import DataParserSpecification
    from nerfstudio.utils.rich_utils import CONSOLE
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "nerfstudio":
        raise
    raise MissingExtraError("the nerfstudio data parser", "nerfstudio") from error

__all__ = ["DA3_DATAPARSER", "Da3DataParser", "Da3DataParserConfig"]


@dataclass
class Da3DataParserConfig(NerfstudioDataParserConfig):  # type: ignore[misc]  # nerfstudio is not there when types are checked
    """A finished session of da3-pipeline, or photographs or a video that it makes one of, once."""

    _target: type = field(default_factory=lambda: Da3DataParser)
    """target class to instantiate"""
    data: Path = Path()
    """Folder that da3-pipeline run left behind: transforms.json, sparse_pc.ply, images/ and report.json. Or a folder of
    photographs, or a video: it is processed into NAME-da3 beside it, with progress, and found there afterwards."""
    model: str = "auto"
    """For raw data: auto, a model of `da3-pipeline models`, or a .safetensors file or folder."""
    max_frames: int = 300
    """For raw data: budget of frames taken from videos."""
    downscale_factor: int | None = None
    """Read images_N/ instead of images/, where the session has it. To shrink images as they are loaded, use
    --pipeline.datamanager.camera-res-scale-factor."""
    eval_mode: Literal["interval", "fraction", "filename", "all"] = "interval"
    """How frames are held out for evaluation: every n-th in order of their names (interval), an evenly spread share
    (fraction), by names, every one of which has 'train' or 'eval' in it (filename), or none, all serving both purposes
    (all)."""
    eval_list: Path | None = None
    """Text file with the names of images to hold out, one a line; goes before --eval-mode."""
    eval_interval: int = 8
    """With interval: every n-th frame is held out, beginning with the first."""
    train_split_fraction: float = 0.9
    """With fraction: the share of frames to train on."""
    load_3D_points: bool = True
    """Seed Gaussians from the session's points (matched points first, then confident depth)."""
    auto_scale_poses: bool = True
    """Scale the scene so that all cameras lie within +-1, which trainers' learning rates expect. The scale and the
    rigid part are kept in dataparser_transforms.json, so results can be taken back to the session's units."""


@dataclass
class Da3DataParser(Nerfstudio):  # type: ignore[misc]
    """Cameras with distortion, seed points, and masks and depths where the session has them.

    `dataparser_transform` and `dataparser_scale` lead from the session's world (that of sparse/0, in its units) to the
    world the trainer sees. Raises CaptureError for a folder that is not a finished session, UsageError for options
    that it cannot meet.
    """

    config: Da3DataParserConfig

    def _generate_dataparser_outputs(self, split: str = "train") -> Any:
        check_nerfstudio("the nerfstudio data parser")
        if is_raw(self.config.data):
            settings = {"infer": {"model": self.config.model}, "select": {"max_frames": self.config.max_frames}}
            self.config.data = process_once(self.config.data, settings)
        session = open_session(self.config.data)
        self._check_downscaled()
        if session.warning and split == "train":
            CONSOLE.log(f"[yellow]{session.folder}: {session.warning}")
        if self.config.eval_list is None:
            return super()._generate_dataparser_outputs(split)
        self.config.eval_mode = "all"
        return self._listed(super()._generate_dataparser_outputs(split), split)

    def _listed(self, outputs: Any, split: str) -> Any:
        """The outputs of all frames, restricted to those that are on the list, or for training to the others."""
        import torch

        saved = json.loads((self.config.data / "transforms.json").read_text(encoding="utf-8"))["frames"]
        paths = [Path(frame["file_path"]) for frame in saved]
        by_file = {self._get_fname(path, self.config.data): path.relative_to("images").as_posix() for path in paths}
        names = [by_file[file] for file in outputs.image_filenames]
        held_out = read_list(Path(str(self.config.eval_list)), names)
        chosen = [index for index, name in enumerate(names) if (name in held_out) != (split == "train")]
        for field_name in ("image_filenames", "mask_filenames"):
            files = getattr(outputs, field_name)
            setattr(outputs, field_name, None if files is None else [files[index] for index in chosen])
        depths = outputs.metadata.get("depth_filenames")
        if depths is not None:
            outputs.metadata["depth_filenames"] = [depths[index] for index in chosen]
        outputs.cameras = outputs.cameras[torch.tensor(chosen, dtype=torch.int64)]
        return outputs

    def _get_fname(self, filepath: Path, data_dir: Path, downsample_folder_prefix: str = "images_") -> Path:
        """Reduced copies lie below the folders that images/ has; nerfstudio's parser knows the bare name alone."""
        found: Path = super()._get_fname(filepath, data_dir, downsample_folder_prefix)
        inner = Path(*filepath.parts[1:])
        below = data_dir / f"{downsample_folder_prefix}{self.downscale_factor}" / inner
        return below if self.downscale_factor > 1 and below.is_file() else found

    def _check_downscaled(self) -> None:
        factor = self.config.downscale_factor
        if factor not in (None, 1) and not (self.config.data / f"images_{factor}").is_dir():
            raise UsageError(
                f"{self.config.data}: has no images_{factor} for --downscale-factor {factor}; shrink images as they "
                "are loaded by --pipeline.datamanager.camera-res-scale-factor"
            )


DA3_DATAPARSER = DataParserSpecification(
    config=Da3DataParserConfig(),
    description="Data set made by da3-pipeline: calibrated cameras with distortion, refined poses, seed points.",
)
