"""Everything that can be set, stage by stage; the defaults serve phone video and folders of photographs alike."""

from __future__ import annotations

from pydantic import Field

from .export.config import ExportConfig
from .georegister.config import GeoregisterConfig
from .infer.config import InferConfig
from .ingest.config import IngestConfig
from .mask.config import MaskConfig
from .refine.config import RefineConfig
from .select.config import SelectConfig
from .settings import Settings

__all__ = ["PipelineConfig"]


class PipelineConfig(Settings):
    """The stage configurations, joined.

    preset: the name of the one that values came from, for whoever reads the report; it sets nothing by itself.
    """

    preset: str | None = None
    ingest: IngestConfig = Field(default_factory=IngestConfig)
    select: SelectConfig = Field(default_factory=SelectConfig)
    mask: MaskConfig = Field(default_factory=MaskConfig)
    infer: InferConfig = Field(default_factory=InferConfig)
    refine: RefineConfig = Field(default_factory=RefineConfig)
    georegister: GeoregisterConfig = Field(default_factory=GeoregisterConfig)
    export: ExportConfig = Field(default_factory=ExportConfig)
