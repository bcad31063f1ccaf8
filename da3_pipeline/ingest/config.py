"""What may be said about a capture beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = ["ArchiveConfig", "Asked", "IngestConfig", "PanoramaSignsConfig"]

Asked = Literal["auto", "yes", "no"]


class PanoramaSignsConfig(Settings):
    """What shows by its pixels that a picture goes round a sphere."""

    two_to_one: float = Field(
        default=0.01, ge=0, lt=0.5, description="that twice the height may be off the width: rounded sizes (chosen)"
    )
    side_px: int = Field(default=1024, ge=64, description="longer side of the pictures that are looked at (chosen)")
    least_seam: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="correlation of the left and the right edge without what goes on along the rows: of 729 crops of "
        "real photographs 0.30 at most, of rendered panoramas 0.69 at least; pictures mirrored in the middle have 1",
    )
    least_detail: float = Field(
        default=1.5, ge=0, description="grey levels of it (standard deviation), below which edges say nothing (chosen)"
    )
    least_edge: float = Field(
        default=0.4, ge=0, description="of it, beside the median column: a backdrop's edges have less (chosen)"
    )
    most_pole: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="of the usual spread of a row, that of the uppermost and "
        "lowest: of rendered panoramas 0.26 at most, of 99 of 100 such crops 0.08 at least, of half of them 1",
    )
    frames_looked_at: int = Field(
        default=60, ge=0, description="of a video, until one tells: some begin black (chosen)"
    )
    circle: float = Field(
        default=1.0, gt=0, description="radius of a fisheye's picture, in half heights: where cameras draw it (chosen)"
    )
    circle_margin: float = Field(default=0.08, ge=0, description="of its edge, which is not looked at (chosen)")
    black: int = Field(default=16, ge=0, le=255, description="grey level at most around the circles (chosen)")


class ArchiveConfig(Settings):
    """What an archive may come to. Beyond, somebody has to look at it: a few kilobytes can hold any number of bytes."""

    most_files: int = Field(
        default=200_000, ge=1, description="an hour of phone video with depth and confidence has 324,000 (chosen)"
    )
    most_bytes: int = Field(default=200_000_000_000, ge=1, description="unpacked (chosen)")
    most_growth: float = Field(
        default=20.0,
        gt=1,
        description="times its size: pictures are packed already, depth maps of 16 bits shrink to a third (chosen)",
    )
    free_to_grow_bytes: int = Field(
        default=1_000_000_000, ge=0, description="up to which it may grow by any factor: text does (chosen)"
    )


class IngestConfig(Settings):
    """Settings of the first stage."""

    intrinsics: Path | None = Field(
        default=None, description="known cameras: a transforms.json, a COLMAP model (bin or txt) or any project"
    )
    poses: Path | None = Field(
        default=None, description="known poses: a transforms.json, a COLMAP model (bin or txt) or any project"
    )
    project: bool = Field(
        default=True, description="what a project of another program in a source knows is read (docs/PROJECTS.md)"
    )
    project_poses: Literal["prior", "fixed", "none"] = Field(
        default="prior", description="poses of such a project are a prior that matches judge, are kept, or are left out"
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
    panorama: Asked = Field(
        default="auto", description="whether pictures show all around (equirectangular): found out, all do, none does"
    )
    dual_fisheye: Path | None = Field(
        default=None, description="where two fisheye lenses draw in one picture: a JSON file (docs/CAPTURE.md)"
    )
    panoramas: PanoramaSignsConfig = PanoramaSignsConfig()
    archives: ArchiveConfig = ArchiveConfig()
    min_side_px: int = Field(default=64, ge=1, description="pictures with a shorter side are left out")
