"""What can be set about the data set that is written, with units, defaults and why they are what they are.

"Chosen" is a value that nobody has measured. What depth seeds are worth was measured with all of them as they stand
(docs/RENDERING.md).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from ..settings import Settings

__all__ = [
    "ConsistencyConfig",
    "DepthConfig",
    "DepthFitConfig",
    "ExportConfig",
    "FilmConfig",
    "GpuFilmConfig",
    "ReportConfig",
    "SeedConfig",
    "UndistortionConfig",
]


class DepthFitConfig(Settings):
    """How a depth map is corrected to the tracks that are seen in it."""

    least_per_term: int = Field(
        default=10, ge=1, description="tracks for each term of the smooth correction beyond a scale (chosen)"
    )
    least_local: int = Field(default=60, ge=1, description="tracks, below which there is no local correction (chosen)")
    worthwhile: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="a richer correction must cut the difference to tracks it has not seen to this share, or "
        "it learns noise (chosen)",
    )
    lower_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="of the differences to unseen tracks, the smaller ones, whose mean tells novelty: what stands out "
        "of the largest surface counts, wrong tracks do not (chosen)",
    )
    rounds: int = Field(default=6, ge=1, description="of reweighting (chosen)")
    ridge: float = Field(
        default=1e-6,
        gt=0,
        description="decides where all tracks have one depth, or stand in one line; else without effect",
    )
    grid_rows: int = Field(default=16, ge=2, description="at which the local correction is evaluated (chosen)")
    grid_columns: int = Field(default=24, ge=2, description="of the same grid (chosen)")
    reach: float = Field(default=0.12, gt=0, description="sigma of its kernel, in half image sizes (chosen)")
    fade: float = Field(
        default=0.5, gt=0, description="tracks' worth of no correction, to which it returns away from tracks (chosen)"
    )


class DepthConfig(Settings):
    """Which depth of the prior is trusted. Seeds, depth maps and tracks from depth are made of that alone."""

    max_curvature: float = Field(
        default=0.08,
        gt=0,
        description="second difference of inverse depth, relative: a plane has none, an edge its height (chosen)",
    )
    max_gradient: float = Field(
        default=0.15, gt=0, description="first difference, relative: beyond, the surface is seen edge-on (chosen)"
    )
    border_share: float = Field(
        default=0.02, ge=0, lt=0.5, description="of the shorter side: networks are worst at the border (chosen)"
    )
    sky_margin: int = Field(
        default=1, ge=0, description="depth-map pixels: depth beside the skyline is a mixture of both (chosen)"
    )
    least_observations: int = Field(
        default=12, ge=2, description="fewer tracks in a frame say nothing about its depth (chosen)"
    )
    extrapolation: float = Field(
        default=2.0,
        ge=1,
        description="depth farther than so many times that of the tracks, or nearer, is a guess: sky, mostly (chosen)",
    )
    span_percent: float = Field(
        default=1.0, ge=0, lt=50, description="of the tracks at either end do not count there: some are wrong (chosen)"
    )
    sample_stride: int = Field(
        default=4, ge=1, description="rows and columns of which one tells how confident the scene's pixels are (chosen)"
    )
    most_samples: int = Field(
        default=4_000_000,
        ge=1,
        description="of those pixels; where frames are many, sparser ones tell as much (chosen)",
    )
    maps_in_memory: int = Field(
        default=32,
        ge=1,
        description="that were used last; others are made again from the prior's when asked for (chosen)",
    )
    fit: DepthFitConfig = DepthFitConfig()


class ConsistencyConfig(Settings):
    """When depth maps of several views say the same. All are chosen."""

    candidates: int = Field(
        default=128, ge=1, description="views whose surfaces lie nearest, among which neighbours are looked for"
    )
    probes: int = Field(default=8, ge=2, description="pixels a side that stand for a view when overlaps are counted")
    least_overlap: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="share of a view's probes that another shows, below which it is no neighbour",
    )
    full_parallax_deg: float = Field(
        default=8.0,
        gt=0,
        description="angle between rays that tells depths apart; under less, a neighbour is worth less",
    )
    least_parallax_weight: float = Field(default=0.1, ge=0, le=1, description="what one without parallax is worth")
    tolerance: float = Field(default=0.05, gt=0, lt=0.5, description="relative, where no tracks say how exact depth is")
    least_tolerance: float = Field(
        default=0.02, gt=0, lt=0.5, description="twice the disagreement with the tracks, but no less than this"
    )
    most_tolerance: float = Field(
        default=0.05, gt=0, lt=0.5, description="and no more: surfaces so far apart show as doubled in a splat"
    )
    contradiction: float = Field(
        default=2.0, ge=1, description="tolerances behind a point, at which a view that sees through it contradicts it"
    )


class SeedConfig(Settings):
    """Seed points from depth."""

    plenty: int = Field(
        default=1000,
        ge=0,
        description="matched points, from which on depth must tell something new: on held-out views it costs 1.7 dB "
        "where it does not, and is worth 1.6 dB where it does (docs/RENDERING.md)",
    )
    neighbours: int = Field(default=4, ge=1, description="views that a view's depth is checked against (chosen)")
    surplus: float = Field(
        default=2.0, ge=1, description="candidates for each point wanted: some fail, some fall into one voxel (chosen)"
    )
    first_voxel: float = Field(
        default=0.7,
        gt=0,
        description="of the spacing in one view: overlapping views may fill each other's gaps (chosen)",
    )
    least_voxel_growth: float = Field(
        default=1.05, gt=1, description="of each attempt to come down to the number wanted (chosen)"
    )
    outlier_neighbours: int = Field(
        default=6, ge=2, description="nearest points, whose mean distance tells what stands alone (chosen)"
    )
    outlier_sigmas: float = Field(default=2.5, gt=0, description="above the usual distance, on a log scale (chosen)")
    least_outlier_sigma: float = Field(
        default=0.1, gt=0, description="of log distance, so that an even spread has no outliers (chosen)"
    )


class UndistortionConfig(Settings):
    """The pinhole cameras of undistorted images."""

    widest_deg: float = Field(
        default=120.0, gt=0, lt=180, description="field of view; what lies beyond is mostly stretching (chosen)"
    )
    smallest_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="of the largest blank-free image; a lens that leaves less is wrong (chosen)",
    )


class FilmConfig(Settings):
    """The film of the Gaussians, as a CPU can draw it (chosen)."""

    side_px: int = Field(default=320, ge=16, description="longer side of the pictures")
    frames: int = Field(default=48, ge=2, description="of the loop around the scene")
    max_gaussians: int | None = Field(
        default=150_000, ge=1, description="an even sample of so many, grown to cover for the others; None: all of them"
    )


class GpuFilmConfig(FilmConfig):
    """The same as a GPU can draw it (chosen)."""

    side_px: int = Field(default=960, ge=16, description="longer side of the pictures")
    frames: int = Field(default=120, ge=2, description="of the loop around the scene")
    max_gaussians: int | None = Field(
        default=None, ge=1, description="an even sample of so many, grown to cover for the others; None: all of them"
    )


class ReportConfig(Settings):
    """What the report remarks on."""

    uneven_stops: float = Field(
        default=1.0, gt=0, description="the same thing looks twice as bright: trainers show that as haze or patches"
    )
    clipped_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="of a frame's pixels black or white, from which it counts as clipped (chosen)",
    )
    disagreement_sigmas: float = Field(
        default=2.0, gt=0, description="between two sources of the scale, beyond which both are to be checked"
    )
    thin_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="of the points that the median image shares with its best partner: where fewer hold two parts of a "
        "scene together, it is shown as a thin place (chosen)",
    )
    most_thin_places: int = Field(default=5, ge=0, description="that are shown, the thinnest first")
    most_thumbnails: int = Field(
        default=120,
        ge=0,
        description="in the contact sheet, of images that are used, and half as many of those left out: 120 of 12 "
        "megapixels are read in 7 s and fill half a megabyte",
    )


Factor = Annotated[int, Field(ge=2, le=32)]
"""Of smaller copies: what comes in at 32 times the size is, of the largest cameras, a thumbnail."""


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
    max_single_precision_step: float = Field(
        default=1e-5,
        gt=0,
        description="where single precision, which trainers read, tells positions apart by no less than this share of "
        "the cameras' extent, transforms.json and the seeds leave out an offset that they name (chosen: 0.01 px in a "
        "picture of 1000 px that shows as much as the cameras' extent)",
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
    downscale: tuple[Factor, ...] = Field(
        default=(), description="factors by which smaller copies are written beside images, masks and depths"
    )
    equirectangular: bool = Field(
        default=False, description="write panoramas with their poses, too, as a data set of nerfstudio's in a folder"
    )
    keep_unverified: bool = Field(
        default=False, description="export frames, too, whose pose is the prior's, with nothing that speaks for it"
    )
    synthetic_tracks_per_image: int = Field(
        default=400, ge=1, description="points that depth gives to an image which has no measured track"
    )
    synthetic_track_views: int = Field(
        default=6, ge=1, description="other views that such a point may be seen in, the best overlapping ones (chosen)"
    )
    bare_share: float = Field(
        default=0.99,
        gt=0,
        le=1,
        description="of an image in the sky or masked, from which it shows nothing else (chosen)",
    )
    colour_side_px: int = Field(
        default=1024,
        ge=16,
        description="longer side of the images that points have their colours from: they need no more",
    )
    max_gaussians: int = Field(
        default=4_000_000, ge=1, description="of more, those that look the largest and most opaque are written"
    )
    orbit_video: bool = Field(default=True, description="film the Gaussians, where the network gives any")
    film_on_gpu: GpuFilmConfig = GpuFilmConfig()
    film_on_cpu: FilmConfig = FilmConfig()
    depth: DepthConfig = DepthConfig()
    consistency: ConsistencyConfig = ConsistencyConfig()
    seeds: SeedConfig = SeedConfig()
    undistortion: UndistortionConfig = UndistortionConfig()
    report: ReportConfig = ReportConfig()

    @field_validator("downscale")
    @classmethod
    def _each_once(cls, factors: tuple[int, ...]) -> tuple[int, ...]:
        """In order, so that the same copies are the same settings."""
        return tuple(sorted(set(factors)))
