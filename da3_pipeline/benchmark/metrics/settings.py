"""What a data set asks of the surfaces that are fused from depth maps, and of their comparison with the truth."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SurfaceSettings"]


@dataclass(frozen=True)
class SurfaceSettings:
    """All lengths in units of the true poses. The values of the data sets are the published benchmark's (SPEC 3.8).

    voxel, truncation: of the signed distance field. farthest: depth beyond is not fused. threshold: of precision and
    recall. thinning: cells in which points become one. margin: of the box around the truth outside which estimated
    points do not count; None where all do.
    """

    voxel: float
    truncation: float
    farthest: float
    threshold: float
    thinning: float
    margin: float | None = None
