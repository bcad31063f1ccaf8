"""Options that several commands share, and the configuration that options become."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig

__all__ = [
    "AsJson",
    "Device",
    "Equirectangular",
    "Every",
    "Fps",
    "From",
    "Matcher",
    "Model",
    "Output",
    "Panorama",
    "Quiet",
    "Seed",
    "To",
    "configuration",
]


def _seconds(text: str) -> float:
    """Seconds from seconds, mm:ss or hh:mm:ss, each with a fraction or without."""
    *larger, last = str(text).split(":")  # typer hands over the default, too
    try:
        parts = [*map(int, larger), float(last)]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < math.inf for part in parts):
        raise typer.BadParameter(f"{text!r} is no time; give seconds, mm:ss or hh:mm:ss")
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


Output = Annotated[Path, typer.Option("--output", "-o", help="Session folder; the same command again resumes it.")]
Model = Annotated[str, typer.Option(help="A model of `da3-pipeline models`, or a .safetensors file or folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Matcher = Annotated[str, typer.Option(help="Of keypoints: auto, sift, aliked, disk or xfeat.")]
Panorama = Annotated[
    str, typer.Option(help="Whether pictures show all around, equirectangular: auto (found out), yes or no.")
]
Fps = Annotated[
    float | None, typer.Option(help="Take so many frames a second from videos, whatever they show and how many.")
]
Every = Annotated[
    int | None, typer.Option(min=1, help="Take every so many frames of videos, whatever they show and how many.")
]
From = Annotated[
    float, typer.Option("--from", parser=_seconds, metavar="TIME", help="Where to begin in videos: s, mm:ss, hh:mm:ss.")
]
To = Annotated[
    float | None, typer.Option("--to", parser=_seconds, metavar="TIME", help="Where to end in videos, likewise.")
]
Equirectangular = Annotated[
    bool, typer.Option("--equirectangular", help="Also write panoramas with their poses, as nerfstudio reads them.")
]
Seed = Annotated[int, typer.Option(help="Equal seeds give equal poses.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON on stdout.")]


def configuration(settings: dict[str, dict[str, Any]]) -> PipelineConfig:
    """The options as a validated configuration. Raises UsageError naming the option that is wrong."""
    from pydantic import ValidationError

    from ..config import PipelineConfig
    from ..errors import UsageError

    try:
        return PipelineConfig.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}") from error
