"""What may be said about a capture beforehand."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ..settings import Settings

__all__ = ["IngestConfig"]


class IngestConfig(Settings):
    """Settings of the first stage."""

    intrinsics: Path | None = Field(
        default=None, description="known cameras: a transforms.json, or a folder with a COLMAP model (bin or txt)"
    )
    poses: Path | None = Field(
        default=None, description="known poses: a transforms.json, or a folder with a COLMAP model (bin or txt)"
    )
    rig: Path | None = Field(
        default=None, description="cameras that are bolted together: a rig_config.json as COLMAP reads it"
    )
    masks: Path | None = Field(
        default=None, description="what to ignore: a mask for every frame, or a folder of masks; black is ignored"
    )
    masks_beside: bool = Field(
        default=True, description="masks that lie beside the photographs are used, where `masks` names none"
    )
    min_side_px: int = Field(default=64, ge=1, description="pictures with a shorter side are left out")
