"""COLMAP as the peer, from files to a data set in a process of its own, in modes that have names.

Which mode is best depends on what was captured. One lens that all images share and that may distort (OPENCV) beats
COLMAP's default (SIMPLE_RADIAL) on photographs by one camera: on castle-P19 AUC@1/3/5 91/95/97 against 85/93/96.
Images by several cameras need a lens each, which few images can only carry a simple model of. Frames of a video match
their neighbours, and the global mapper does not drift along them. Where SIFT finds nothing ALIKED and LightGlue do:
COLMAP's Python package has neither, so ours are imported into its database, and it verifies and maps them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import pycolmap

from ...arrays import Float
from ...errors import UsageError
from ...imageio import UnreadableImageError, probe_image
from ..fresh_process import ask, python_module

__all__ = ["COLMAP_MODES", "Cameras", "ColmapMode", "ColmapRun", "best_mode", "colmap_modes", "run_colmap"]

Cameras = Literal["one", "folders", "images"]
"""Which images share a camera."""

_PROCESS = "da3_pipeline.benchmark.peers.colmap_process"


@dataclass(frozen=True)
class ColmapMode:
    """How COLMAP is run; what is not named here has its defaults."""

    camera_model: str = "OPENCV"
    cameras: Cameras = "one"
    matching: Literal["exhaustive", "sequential"] = "exhaustive"
    mapper: Literal["incremental", "global"] = "incremental"
    features: Literal["sift", "aliked"] = "sift"

    def __str__(self) -> str:
        sharing = {"one": "shared", "folders": "a folder", "images": "an image"}[self.cameras]
        words = {"sift": "SIFT", "aliked": "ALIKED+LightGlue"}[self.features]
        return f"{self.camera_model} {sharing}, {words}, {self.matching}, {self.mapper}"


COLMAP_MODES: dict[str, ColmapMode] = {
    "photographs": ColmapMode(),
    "devices": ColmapMode("SIMPLE_RADIAL", "images"),
    "video": ColmapMode(matching="sequential", mapper="global"),
    "video-incremental": ColmapMode(matching="sequential"),
    "global": ColmapMode(mapper="global"),
    "few": ColmapMode("PINHOLE"),
    "few-global": ColmapMode("PINHOLE", mapper="global"),
    "aliked": ColmapMode(features="aliked"),
    "aliked-video": ColmapMode(matching="sequential", mapper="global", features="aliked"),
    "defaults": ColmapMode("SIMPLE_RADIAL"),
}
"""By the kind of capture that each is the best known one for; `defaults` are COLMAP's, with one camera."""


@dataclass(frozen=True)
class ColmapRun:
    """One run. data_set: images/ and sparse/0 of the largest model, None where nothing could be mapped.

    wall_s, cpu_s, peak_mb: of the whole process, from the files to the data set. seconds: wall seconds of each part of
    it.
    """

    mode: ColmapMode
    wall_s: float
    cpu_s: float
    data_set: Path | None
    peak_mb: float = float("nan")
    seconds: dict[str, float] = field(default_factory=dict)
    cam_from_world: dict[str, Float] = field(default_factory=dict)

    @property
    def model(self) -> pycolmap.Reconstruction | None:
        return pycolmap.Reconstruction(self.data_set / "sparse" / "0") if self.data_set else None


def best_mode(images: Path) -> str:
    """The name of the mode for a folder of photographs: `devices` where they differ in size, else `photographs`.

    That pictures are frames of a video only whoever filmed it knows.
    """
    sizes = set()
    for path in sorted(path for path in images.rglob("*") if path.is_file()):
        with contextlib.suppress(UnreadableImageError):
            info = probe_image(path)
            sizes.add(tuple(sorted((info.width, info.height))))
    return "photographs" if len(sizes) < 2 else "devices"


def colmap_modes(names: Sequence[str]) -> dict[str, ColmapMode]:
    """The modes of these names. Raises UsageError for a name that is none."""
    for name in names:
        if name not in COLMAP_MODES:
            raise UsageError(f"{name!r}: no such mode of COLMAP; there are {', '.join(COLMAP_MODES)}")
    return {name: COLMAP_MODES[name] for name in names}


def run_colmap(images: Path, output: Path, mode: ColmapMode, *, masks: Path | None = None, seed: int = 0) -> ColmapRun:
    """Run COLMAP on the CPU; `output` is an empty folder for its database, its models and the data set.

    masks: a folder of NAME.jpg.png, black where nothing is to be found. Raises PipelineError where the process fails,
    and with ALIKED where the extra `lightglue` is not installed.
    """
    request = {
        "images": str(images.absolute()),
        "output": str(output.absolute()),
        "masks": str(masks.absolute()) if masks else None,
        "seed": seed,
    }
    finished = ask(f"COLMAP ({mode})", python_module(_PROCESS), request | asdict(mode))
    data_set = output / "data_set" if finished.answer["registered"] else None
    told = finished.answer
    run = ColmapRun(mode, finished.wall_s, finished.cpu_s, data_set, told["peak_mb"], told["seconds"])
    images_posed = run.model.images.values() if run.model else []
    poses = {image.name: image.cam_from_world().matrix() for image in images_posed if image.has_pose}
    return replace(run, cam_from_world=poses)
