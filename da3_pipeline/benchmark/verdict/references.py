"""What a capture without truth is held to: COLMAP's solutions of the whole of it, by more than one lens model.

The solution that comes with a capture is COLMAP's with a simple lens an image, which bends the scene where the lens
asks for more, or where one image says little of its own lens. With a lens that images of one size share, COLMAP moves
by up to two degrees on such captures. None of its solutions is the truth; each is made apart from ours, and of many
more images than the few that it is to judge, so that a wrong result which one of them confirms would be a coincidence.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from ...arrays import Float
from ...errors import PipelineError
from ...imageio import copy_upright, probe_image
from ...progress import Progress
from ..peers.colmap import ColmapMode, run_colmap
from ..truth.scene_truth import SceneTruth

__all__ = ["LENSES", "references"]

LENSES = ("SIMPLE_RADIAL", "OPENCV")
"""Lens models that images of one size share."""


def references(scene: SceneTruth, cache: Path, progress: Progress) -> tuple[dict[str, Float], ...]:
    """Poses by name to hold `scene` to: its truth, and where that is COLMAP's solution two more, kept in `cache`."""
    if scene.measured:
        return (scene.by_name,)
    progress.begin(f"COLMAP's other solutions of {scene.folder.name}")
    others = [_kept(scene, lens, cache) for lens in LENSES]
    progress.end(" and ".join(f"{len(other)} images with {lens}" for lens, other in zip(LENSES, others, strict=True)))
    return scene.by_name, *others


def _kept(scene: SceneTruth, lens: str, cache: Path) -> dict[str, Float]:
    digest = hashlib.blake2b(digest_size=6)
    for name in scene.names:
        digest.update(name.encode() + (scene.images / name).read_bytes())
    kept = cache / f"{scene.folder.name}-{lens}-upright-{digest.hexdigest()}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        poses = {name: pose.tolist() for name, pose in _solved(scene, lens).items()}
        written = kept.with_suffix(".partial")
        written.write_text(json.dumps(poses), encoding="utf-8")
        written.replace(kept)
    return {name: np.array(pose, float) for name, pose in json.loads(kept.read_text(encoding="utf-8")).items()}


def _solved(scene: SceneTruth, lens: str) -> dict[str, Float]:
    """COLMAP's poses of the scene's upright images, as truth and ours are; none where it finds no solution.

    COLMAP itself reads pixels as they are stored, whatever EXIF says of their orientation."""
    with tempfile.TemporaryDirectory(prefix="da3-bench-") as scratch:
        images, output = Path(scratch) / "images", Path(scratch) / "output"
        output.mkdir()
        name_of = {}
        for number, name in enumerate(scene.names):
            info = probe_image(scene.images / name)
            copy = images / f"{info.width}x{info.height}" / f"{number:05d}{Path(name).suffix}"
            name_of[copy_upright(scene.images / name, copy).relative_to(images).as_posix()] = name
        try:
            found = run_colmap(images, output, ColmapMode(lens, "folders")).cam_from_world
        except PipelineError:
            return {}
    return {name_of[copy]: pose for copy, pose in found.items()}
