"""What can be set about the refinement, with units, defaults and why they are what they are.

"Chosen" is a value that nobody has measured by itself. What comes of all of them as they stand is measured by
`bench pose`, `bench robustness` and `bench scenarios` (docs/ROBUSTNESS.md, docs/SCENARIOS.md). What follows from a
format, from physics or from the precision of numbers is no setting and stands where it is used.
"""

from __future__ import annotations

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
from .initialisation import InitialisationConfig, TrustConfig, TwoViewConfig
from .matching import FeatureConfig, MatchConfig, PairConfig, VerifyConfig
from .refinement import RefineConfig
from .solve import AdjustmentConfig, LensConfig, PartConfig, PriorConfig, RegistrationConfig, SolveConfig
from .verdict import ContradictionConfig, QualityConfig

__all__ = [
    "AdjustmentConfig",
    "ContradictionConfig",
    "ConventionConfig",
    "ExifConfig",
    "FeatureConfig",
    "FisheyeConfig",
    "GpsConfig",
    "InitialisationConfig",
    "LensConfig",
    "MatchConfig",
    "MeasuredDepthConfig",
    "OffCentreConfig",
    "PairConfig",
    "PartConfig",
    "PixelAspectConfig",
    "PriorConfig",
    "QualityConfig",
    "RefineConfig",
    "RegistrationConfig",
    "RepeatConfig",
    "SolveConfig",
    "TrustConfig",
    "TwoViewConfig",
    "VerifyConfig",
    "ZoomConfig",
]
