"""From a session to the folder that nerfstudio's own `ns-process-data` leaves behind: what that has and ours has not.

Ours are images/, masks/, depths/, transforms.json and sparse_pc.ply already, in their formats; what is added are the
copies at 1/2, 1/4 and 1/8 of the size and the COLMAP model where theirs lies. Knows nothing of nerfstudio.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from da3_pipeline.errors import ExportError
from da3_pipeline.imageio import read_rgb, write_rgb

__all__ = ["complete", "downscale"]


def complete(folder: Path, num_downscales: int) -> list[str]:
    """Add to the data set in `folder` what nerfstudio's own has beside; a line for each thing that was done.

    Raises ExportError where it cannot be written.
    """
    try:
        model = folder / "colmap" / "sparse" / "0"
        shutil.rmtree(folder / "colmap", ignore_errors=True)
        shutil.copytree(folder / "sparse" / "0", model)
        for name in ("images", "masks", "depths"):
            for old in folder.glob(f"{name}_[0-9]*"):
                shutil.rmtree(old)
            if (folder / name).is_dir():
                downscale(folder / name, num_downscales)
    except OSError as error:
        where = error.filename or folder
        raise ExportError(f"{where}: {error.strerror or error}; free space or write elsewhere") from error
    names = [path.name for path in (folder / "images").rglob("*") if path.is_file()]
    copies = ", ".join(str(2**power) for power in range(1, num_downscales + 1))
    lines = [f"{len(names)} images" + (f", and reduced by {copies}" if copies else ""), f"COLMAP model in {model}"]
    if copies and len(set(names)) < len(names):
        lines.append("images in different folders share a name: train on reduced ones by `da3-data`")
    return lines


def downscale(folder: Path, num_downscales: int) -> None:
    """Copies of a folder of images in folder_2, folder_4, ...: pictures by area, masks and depths by nearest pixel.

    Sides are rounded down, as nerfstudio's are; a side never vanishes. nerfstudio's default parser looks for copies by
    the bare name, its colmap parser below the folders that images/ has: where there are folders, each is found by both.
    """
    sources = sorted(path for path in folder.rglob("*") if path.is_file())
    shared = {name for name, files in Counter(path.name for path in sources).items() if files > 1}
    for power in range(1, num_downscales + 1):
        factor = 2**power
        for source in sources:
            target = folder.with_name(f"{folder.name}_{factor}") / source.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if folder.name == "images":
                write_rgb(target, _reduced(read_rgb(source), factor, cv2.INTER_AREA))
            elif source.suffix == ".npy":
                np.save(target, _reduced(np.load(source), factor, cv2.INTER_NEAREST))
            else:
                values = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
                if values is None:
                    raise ExportError(f"{source}: cannot be read back; run the same command again")
                cv2.imwrite(str(target), _reduced(values, factor, cv2.INTER_NEAREST))
            flat = folder.with_name(f"{folder.name}_{factor}") / source.name
            if flat != target and source.name not in shared:
                _same_file(target, flat)


def _same_file(target: Path, other: Path) -> None:
    """Under a second name, without a second copy where the disk can do that."""
    try:
        os.link(target, other)
    except OSError:
        shutil.copyfile(target, other)


def _reduced(values: NDArray[Any], factor: int, interpolation: int) -> NDArray[Any]:
    size = (max(1, values.shape[1] // factor), max(1, values.shape[0] // factor))
    return np.asarray(cv2.resize(values, size, interpolation=interpolation))
