"""Options that several commands share, and the configuration that options become."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig

__all__ = ["AsJson", "Device", "Matcher", "Model", "Output", "Quiet", "Seed", "configuration"]

Output = Annotated[Path, typer.Option("--output", "-o", help="Session folder; the same command again resumes it.")]
Model = Annotated[str, typer.Option(help="A model of `da3-pipeline models`, or a .safetensors file or folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Matcher = Annotated[str, typer.Option(help="Of keypoints: auto, sift, aliked, disk or xfeat.")]
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
