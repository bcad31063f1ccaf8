"""From placed chunks to one view of each frame: small arrays in memory, maps written frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...arrays import Float, Int
from ...progress import Progress
from ..config import BlendConfig
from ..views import RawViews
from .array_file import ArrayFile, ArrayWriter
from .blending import Contribution, blended_camera, blended_maps
from .chunk_store import StoredChunk

__all__ = ["MergedViews", "merge_chunks"]


@dataclass(frozen=True)
class MergedViews:
    """One view of each frame in `kept` (N,), ascending indices. `confidence` (N,): the median of each view's."""

    kept: Int
    views: RawViews
    confidence: Float


def merge_chunks(
    found: Mapping[int, Sequence[Contribution]],
    folder: Path,
    known: Mapping[int, Float],
    config: BlendConfig,
    progress: Progress,
) -> MergedViews | None:
    """Blend what chunks say of each frame; the maps are written below `folder` and returned memory-mapped.

    `found`: of `contributions`; empty gives None. `known`: given cam_from_world (3, 4) of frames, which they keep.
    """
    if not found:
        return None
    kept = np.array(list(found), np.int64)
    cameras = [blended_camera(found[frame]) for frame in found]
    poses = [known.get(frame, pose) for frame, (pose, _) in zip(found, cameras, strict=True)]
    arrays: dict[str, NDArray[Any]] = {
        "cam_from_world": np.stack(poses),
        "intrinsics": np.stack([matrix for _, matrix in cameras]),
    }
    first = next(iter(found.values()))[0].source
    for name in first.small.keys() - arrays.keys():
        arrays[name] = np.stack([found[frame][0].source.small[name][found[frame][0].position] for frame in found])
    confidence = _write_maps(first, found, folder, config, progress)
    for name in first.maps:
        arrays[name] = ArrayFile(folder / f"{name}.npy").mapped()
    return MergedViews(kept, RawViews(**arrays), confidence)


def _write_maps(
    example: StoredChunk,
    found: Mapping[int, Sequence[Contribution]],
    folder: Path,
    config: BlendConfig,
    progress: Progress,
) -> Float:
    """Every map of every frame into one file for each kind; the median confidence of each frame."""
    folder.mkdir(parents=True, exist_ok=True)
    confidence = np.zeros(len(found))
    writers = {
        name: ArrayWriter(folder / f"{name}.npy", (len(found), *file.shape[1:]), file.dtype)
        for name, file in example.maps.items()
    }
    try:
        for row, frame in enumerate(found):
            maps = blended_maps(found[frame], config)
            for name, writer in writers.items():
                writer.write(maps[name])
            confidence[row] = np.median(np.nan_to_num(maps["conf"], nan=0.0, posinf=0.0, neginf=0.0))
            progress.step(row + 1, len(found), "frames blended")
        for writer in writers.values():
            writer.finish()
    finally:
        for writer in writers.values():
            writer.abandon()
    return confidence
