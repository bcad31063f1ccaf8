"""How much a file of a stranger's may make us read, hold and do: every limit of the readers in one place.

What is beyond is an error that names the file and what to do. Archives have theirs in the configuration
(`ingest.config.ArchiveConfig`), as those who take uploads may want others.
"""

from __future__ import annotations

from pydantic import Field

from ..settings import Settings

__all__ = ["LIMITS", "Limits"]


class Limits(Settings):
    """Sizes are in bytes."""

    document_bytes: int = Field(
        default=200_000_000,
        description="of a JSON, XML, CSV or text file: transforms.json has 0.9 kB a frame, an OpenSfM "
        "reconstruction.json of 1,000 images 60 MB (chosen)",
    )
    free_to_grow_bytes: int = Field(
        default=1_000_000_000, description="to which packed arrays may grow by any factor: masks and ones do (chosen)"
    )
    most_growth: float = Field(
        default=50.0, description="of packed arrays beyond it: float maps shrink to a half at best (chosen)"
    )
    megapixels: int = Field(default=400, description="of a picture: a 28,000 x 14,000 panorama, 1.2 GB as RGB (chosen)")
    depth_megapixels: int = Field(
        default=100, description="of a sensor's depth map: the largest sensors have 2 megapixels (chosen)"
    )
    jpeg_scans: int = Field(
        default=100, description="of one JPEG, each over the whole picture: encoders write 10 at most 20 (chosen)"
    )
    folders_deep: int = Field(default=100, description="below a source: paths end at 4,096 bytes (chosen)")
    rig_cameras: int = Field(default=1000, description="of all rigs of a file: the largest known have 200 (chosen)")
    splats: int = Field(default=100_000_000, description="of a file of Gaussians: 25 GB as arrays (chosen)")


LIMITS = Limits()
