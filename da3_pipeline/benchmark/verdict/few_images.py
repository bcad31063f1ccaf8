"""A few images of a scene whose truth is known: neighbours in the order of the capture, and such as lie far apart."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arrays import Float, Int
from ...errors import UsageError
from ...progress import Progress
from ...types import Frame
from ..scenarios.capture_files import render_scenario
from ..scenarios.catalogue import SCENARIOS
from ..truth.scene_truth import SceneTruth, copy_images, read_truth, stacked

__all__ = ["RENDERED", "FewImages", "few_images", "known_scenes", "picked"]

RENDERED = tuple(name for name, scenario in SCENARIOS.items() if not (scenario.masks or scenario.film))
"""Rendered worlds that need nothing but their pictures, each a photograph."""


@dataclass(frozen=True)
class FewImages:
    """names, images of a scene. number: which choice of so many. references: their poses (V, 3, 4) cam_from_world by
    each that the scene is held to, NaN where it has none (see `references`).

    measured: False where these are COLMAP's solutions, and there is no truth.
    """

    scene: str
    number: int
    folder: Path
    names: tuple[str, ...]
    references: tuple[Float, ...]
    measured: bool

    @property
    def key(self) -> str:
        """Its name, fit for a file."""
        return f"{self.scene.replace(' ', '-').replace('/', '-')}-{len(self.names)}-{self.number}"

    def truths_of(self, frames: Sequence[Frame]) -> list[dict[str, Float]]:
        """By each reference that knows all of the images, and the first."""
        known = [self.references[0], *(more for more in self.references[1:] if np.isfinite(more).all())]
        return [dict(zip(self.names, reference, strict=True)) for reference in known]

    def source(self, scratch: Path) -> Path:
        """A folder below `scratch` of its images and no others."""
        copy_images({name: self.folder / name for name in self.names}, scratch / "images")
        return scratch / "images"


def known_scenes(
    folders: Sequence[Path], rendered: Sequence[str], seed: int, cache: Path, progress: Progress
) -> dict[str, SceneTruth]:
    """The scenes of these folders and the rendered worlds of these names, kept in `cache`, by name.

    Raises UsageError for a folder without truth, for a world that is none, and where two have one name.
    """
    scenes = [read_truth(folder) for folder in folders]
    for name in rendered:
        if name not in RENDERED:
            raise UsageError(f"{name!r}: no such rendered world; there are {', '.join(RENDERED)}")
        scenes.append(read_truth(render_scenario(name, cache, seed, progress).folder))
    by_name = {scene.folder.name: scene for scene in scenes}
    if len(by_name) < len(scenes):
        raise UsageError("two of these scenes have the same name; rename one of their folders")
    return by_name


def few_images(
    scenes: Mapping[str, SceneTruth],
    held_to: Mapping[str, Sequence[Mapping[str, Float]]],
    views: Sequence[int],
    subsets: int,
    seed: int,
) -> Iterator[FewImages]:
    """Of every scene and number of views so many choices; a scene that has no more images gives none.

    held_to: the references of each scene (see `references`).
    """
    for name, scene in scenes.items():
        for count in views:
            for number in range(subsets if count < len(scene.names) else 0):
                chosen = picked(len(scene.names), count, number, zlib.crc32(name.encode()) + seed)
                names = tuple(scene.names[k] for k in chosen)
                poses = tuple(stacked(names, reference) for reference in held_to[name])
                yield FewImages(name, number, scene.images, names, poses, scene.measured)


def picked(total: int, count: int, number: int, seed: int) -> Int:
    """(count,) indices at equal steps, from a start that the seed draws.

    Number 0 takes neighbours, 1 the longest steps that there is room for, 2 and on every second, third image.
    """
    longest = (total - 1) // (count - 1)
    step = longest if number == 1 else min(max(number, 1), longest)
    room = total - step * (count - 1)
    start = int(np.random.default_rng([seed, count, number]).integers(room))
    return start + step * np.arange(count)
