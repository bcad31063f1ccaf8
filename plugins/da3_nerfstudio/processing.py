"""From a session to the folder that nerfstudio's own `ns-process-data` leaves behind: what that has and ours has not.

Ours are images/, masks/, depths/, transforms.json and sparse_pc.ply already, in their formats; what is added are the
copies at 1/2, 1/4 and 1/8 of the size and the COLMAP model where theirs lies. Knows nothing of nerfstudio.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

from da3_pipeline.errors import ExportError
from da3_pipeline.export import reduced_folders, write_reduced
from da3_pipeline.progress import SilentProgress

__all__ = ["complete"]


def complete(folder: Path, num_downscales: int) -> list[str]:
    """Add to the data set in `folder` what nerfstudio's own has beside; a line for each thing that was done.

    Raises ExportError where it cannot be written.
    """
    try:
        model = folder / "colmap" / "sparse" / "0"
        shutil.rmtree(folder / "colmap", ignore_errors=True)
        shutil.copytree(folder / "sparse" / "0", model)
        factors = [2**power for power in range(1, num_downscales + 1)]
        for old in (path for name in ("images", "masks", "depths") for path in folder.glob(f"{name}_[0-9]*")):
            shutil.rmtree(old)
        write_reduced(folder, factors, SilentProgress())
        for name in reduced_folders(factors):
            _with_bare_names(folder / name)
    except OSError as error:
        where = error.filename or folder
        raise ExportError(f"{where}: {error.strerror or error}; free space or write elsewhere") from error
    names = [path.name for path in (folder / "images").rglob("*") if path.is_file()]
    copies = ", ".join(map(str, factors))
    lines = [f"{len(names)} images" + (f", and reduced by {copies}" if copies else ""), f"COLMAP model in {model}"]
    if copies and len(set(names)) < len(names):
        lines.append("images in different folders share a name: train on reduced ones by `da3-data`")
    return lines


def _with_bare_names(folder: Path) -> None:
    """Give each copy in a folder of copies its bare name, too, where no other has it.

    nerfstudio's default parser looks for copies by the bare name, its colmap parser below the folders that images/ has.
    """
    copies = sorted(path for path in folder.rglob("*") if path.is_file())
    shared = Counter(path.name for path in copies)
    for copy in copies:
        if copy.parent != folder and shared[copy.name] == 1:
            _same_file(copy, folder / copy.name)


def _same_file(target: Path, other: Path) -> None:
    """Under a second name, without a second copy where the disk can do that."""
    try:
        os.link(target, other)
    except OSError:
        shutil.copyfile(target, other)
