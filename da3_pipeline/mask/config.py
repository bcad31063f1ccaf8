"""What is masked in the chosen frames, beside what the user's own masks ignore."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = ["MaskConfig"]


class MaskConfig(Settings):
    """Settings of the masks. The user's own masks come with the capture (`IngestConfig.masks`)."""

    people: bool = Field(default=False, description="find people and ignore them")
    people_model: Literal["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"] = Field(
        default="deeplabv3_mobilenet_v3_large", description="torchvision's segmentation network; the second is faster"
    )
    people_margin: float = Field(
        default=0.01, ge=0, le=0.2, description="what is ignored around people, as a share of the picture's longer side"
    )
    min_used: float = Field(
        default=0.01, ge=0, lt=1, description="frames of which masks leave less than this share are left out"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
