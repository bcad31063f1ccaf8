"""All that can be set about the refinement."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...settings import Settings
from .amendments import (
    ConventionConfig,
    ExifConfig,
    FisheyeConfig,
    GpsConfig,
    MeasuredDepthConfig,
    OffCentreConfig,
    PixelAspectConfig,
    RepeatConfig,
    ZoomConfig,
)
from .initialisation import InitialisationConfig
from .matching import FeatureConfig, MatchConfig, PairConfig, VerifyConfig
from .solve import PriorConfig, SolveConfig
from .verdict import ContradictionConfig, QualityConfig

__all__ = ["RefineConfig"]


class RefineConfig(Settings):
    """The whole refinement."""

    seed: int = 0
    threads: int = Field(default=0, ge=0, description="worker threads; 0: one for each core")
    device: str = Field(default="auto", description="where descriptors are matched: auto, cpu or cuda")
    matcher: Literal["auto", "sift", "aliked", "disk", "xfeat"] = Field(
        default="auto",
        description="auto: SIFT, and what it leaves weak goes to a learned one where the extra 'matchers' is "
        "installed; ALIKED and DISK need the extra 'lightglue', XFeat the extra 'xfeat'",
    )
    features: FeatureConfig = FeatureConfig()
    pairs: PairConfig = PairConfig()
    matching: MatchConfig = MatchConfig()
    verification: VerifyConfig = VerifyConfig()
    refine: bool = Field(default=True, description="off: the prior's poses as they are")
    initialisation: InitialisationConfig = InitialisationConfig()
    solve: SolveConfig = SolveConfig()
    priors: PriorConfig = PriorConfig()
    repeats: RepeatConfig = RepeatConfig()
    convention: ConventionConfig = ConventionConfig()
    exif: ExifConfig = ExifConfig()
    zoom: ZoomConfig = ZoomConfig()
    off_centre: OffCentreConfig = OffCentreConfig()
    pixel_aspect: PixelAspectConfig = PixelAspectConfig()
    fisheye: FisheyeConfig = FisheyeConfig()
    gps: GpsConfig = GpsConfig()
    measured_depth: MeasuredDepthConfig = MeasuredDepthConfig()
    contradictions: ContradictionConfig = ContradictionConfig()
    quality: QualityConfig = QualityConfig()
