"""What can be set about the refinement, with units and defaults."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["FeatureConfig", "MatchConfig", "PairConfig", "RefineConfig", "VerifyConfig"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FeatureConfig(_Frozen):
    """SIFT keypoints. Sizes are those of the working image, which is the photograph or a reduction of it."""

    max_features: int = Field(default=3072, ge=8, description="keypoints kept per image, spread over it")
    max_long_side_px: int = Field(default=1600, ge=32, description="larger photographs are reduced to this")
    upsample_below_px: int = Field(default=600, ge=0, description="smaller images are searched at double size too")


class PairConfig(_Frozen):
    """Which pairs of images are matched."""

    exhaustive_up_to: int = Field(default=16, ge=2, description="so few images: match all pairs")
    neighbours: int = Field(default=6, ge=1, description="pairs proposed per image and source of proposals")
    max_viewing_angle_deg: float = Field(default=75.0, gt=0, le=180)
    max_pairs_per_image: int = Field(default=24, ge=1, description="bound on the pairs tried, over all rounds")


class MatchConfig(_Frozen):
    """Descriptor matching."""

    ratio: float = Field(default=0.88, gt=0, le=1, description="nearest over second nearest descriptor distance")


class VerifyConfig(_Frozen):
    """Two-view geometric verification; nothing in it depends on the prior."""

    max_error_px: float = Field(default=1.5, gt=0, description="epipolar error, for a working image 1024 px long")
    min_inliers: int = Field(default=15, ge=8)


class RefineConfig(_Frozen):
    """The whole refinement."""

    seed: int = 0
    threads: int = Field(default=0, ge=0, description="worker threads; 0: one for each core")
    device: str = Field(default="auto", description="where descriptors are matched: auto, cpu or cuda")
    features: FeatureConfig = FeatureConfig()
    pairs: PairConfig = PairConfig()
    matching: MatchConfig = MatchConfig()
    verification: VerifyConfig = VerifyConfig()
