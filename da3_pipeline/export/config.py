"""What can be set about the data set that is written, with units and defaults."""

from __future__ import annotations

from pydantic import Field

from ..settings import Settings

__all__ = ["ExportConfig"]


class ExportConfig(Settings):
    """The exported data set."""

    max_seed_points: int = Field(default=300_000, ge=0, description="matched points first, then confident depth")
    depth_seeds: bool = Field(default=True, description="top the matched points up with depth")
    min_confidence_percentile: float = Field(
        default=40.0, ge=0, lt=100, description="depth less certain than this share of the scene's pixels is not used"
    )
    max_depth_disagreement: float = Field(
        default=0.10,
        gt=0,
        lt=1,
        description="median relative difference to the tracks above which a frame's depth is not used",
    )
    min_depth_novelty: float = Field(
        default=0.2,
        lt=1,
        description="where matched points are plenty, depth gives seeds only if in the median frame it differs from "
        "tracks that it has not seen by this share less than a surface through the other tracks does",
    )
    undistort: bool = Field(
        default=False, description="images, masks and depth maps of pinhole cameras, whatever the lens"
    )
    depths: bool = Field(default=False, description="write depth maps, too; undistorted data sets always have them")
    keep_prior_poses: bool = Field(default=True, description="export frames whose pose is the prior's, not refined")
    synthetic_tracks_per_image: int = Field(
        default=400, ge=1, description="points that depth gives to an image which has no measured track"
    )
    max_gaussians: int = Field(
        default=4_000_000, ge=1, description="of more, those that look the largest and most opaque are written"
    )
    orbit_video: bool = Field(default=True, description="film the Gaussians, where the network gives any")
