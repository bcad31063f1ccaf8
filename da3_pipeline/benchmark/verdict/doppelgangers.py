"""Things and fronts with equal parts, by photographs and by video: what folds, and whether the verdict sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from ...arrays import Bytes, Float
from ...demo import write_video
from ...errors import UsageError
from ...imageio import read_rgb
from ...progress import SilentProgress
from ...types import Frame
from ..scenarios.capture_files import render_capture
from ..scenarios.doppelganger_captures import DOPPELGANGERS, VIDEO_FRAMES_PER_S, doppelganger_scenario
from ..truth.scene_truth import read_truth

__all__ = ["KINDS", "DoppelgangerCase", "doppelganger_cases"]

KINDS = ("photographs", "video")


@dataclass(frozen=True)
class DoppelgangerCase:
    """One world of a seed by one of KINDS, rendered below `cache` when it is asked for."""

    world: str
    kind: str
    seed: int
    cache: Path
    measured: bool = True

    @property
    def scene(self) -> str:
        return self.world

    @property
    def key(self) -> str:
        return f"{self.world.replace(' ', '-')}-{self.kind}-{self.seed}"

    @property
    def folder(self) -> Path:
        return self.cache / self.key

    def source(self, scratch: Path) -> Path:
        """The folder of photographs, or the video."""
        self.cache.mkdir(parents=True, exist_ok=True)
        video = self.folder / "video.mp4"
        with FileLock(self.cache / f"{self.key}.lock"):
            capture = render_capture(
                f"{self.world} {self.kind}",
                doppelganger_scenario(self.world, self.kind == "video"),
                self.cache,
                self.seed,
                SilentProgress(),
            )
            if self.kind == "video" and not video.exists():
                write_video(video, _pictures(capture.images, capture.names), VIDEO_FRAMES_PER_S)
        return video if self.kind == "video" else capture.images

    def truths_of(self, frames: Sequence[Frame]) -> list[dict[str, Float]]:
        """The truth by the names of these frames; by those of all pictures where there are none."""
        truth = read_truth(self.folder)
        if self.kind == "photographs" or not frames:
            return [truth.by_name]
        index = {frame.name: round(VIDEO_FRAMES_PER_S * (frame.time_s or 0.0)) for frame in frames}
        return [{name: truth.cam_from_world[k] for name, k in index.items()}]


def doppelganger_cases(names: Sequence[str], seed: int, cache: Path) -> list[DoppelgangerCase]:
    """Both kinds of every world of DOPPELGANGERS, or of those of `names`. Raises UsageError for one that is none."""
    for name in names:
        if name not in DOPPELGANGERS:
            raise UsageError(f"{name!r}: no such world with equal parts; there are {', '.join(DOPPELGANGERS)}")
    return [DoppelgangerCase(name, kind, seed, cache) for name in names or DOPPELGANGERS for kind in KINDS]


def _pictures(folder: Path, names: Sequence[str]) -> Iterator[Bytes]:
    for name in names:
        yield read_rgb(folder / name)
