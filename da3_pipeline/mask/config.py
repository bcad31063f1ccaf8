"""What is masked in the chosen frames, beside what the user's own masks ignore."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = ["MaskConfig", "StillConfig"]


class StillConfig(Settings):
    """What stands still before a camera that stands. All are chosen, and tried on rendered turntables."""

    side_px: int = Field(default=320, ge=64, description="longer side at which pictures are compared")
    most_frames: int = Field(default=60, ge=3, description="compared, at equal steps: a turn has no more to show")
    fewest_frames: int = Field(default=8, ge=3, description="of one camera, without which chance may stand still")
    least_change: float = Field(
        default=5.0, gt=0, description="grey levels between the 10th and the 90th percentile over time, that are motion"
    )
    most_change: float = Field(
        default=14.0, gt=0, description="likewise, that are motion whatever the noise: sensors in the dark have 5"
    )
    times_noise: float = Field(
        default=3.0, gt=0, description="the median pixel's, which most often stands still, between these two"
    )
    least_gradient: float = Field(default=60.0, gt=0, description="of grey levels (Sobel's), where there is texture")
    least_still: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of a picture's texture that lasts through all pictures: then the camera stands, or carries "
        "a part of its picture along; 0.4 and more of turntables, of hoods and frames around the picture, up to 0.02 "
        "where all moved; fingers, logos and black bars have 0.04 to 0.09, and pass as they are",
    )
    most_alike: float = Field(
        default=0.35,
        gt=0,
        le=1,
        description="share of the pictures that look the same at a pixel, from which they show what stands still there",
    )
    join: float = Field(
        default=0.03, ge=0, lt=1, description="of the longer side: parts of one colour, which seem not to move"
    )
    least_thing: float = Field(default=0.005, ge=0, lt=1, description="of the picture: less is a speck")
    least_moving: float = Field(default=0.01, ge=0, lt=1, description="of the picture: less, and nothing turns there")


class MaskConfig(Settings):
    """Settings of the masks. The user's own masks come with the capture (`IngestConfig.masks`)."""

    people: bool = Field(default=False, description="find people and ignore them")
    people_model: Literal["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"] = Field(
        default="deeplabv3_mobilenet_v3_large", description="torchvision's segmentation network; the second is faster"
    )
    people_margin: float = Field(
        default=0.01, ge=0, le=0.2, description="what is ignored around people, as a share of the picture's longer side"
    )
    still: bool = Field(
        default=True,
        description="ignore what stands still in all pictures of a camera that stands, or that carries it along: the "
        "room behind a turntable, the hood of a car",
    )
    stillness: StillConfig = StillConfig()
    min_used: float = Field(
        default=0.01, ge=0, lt=1, description="frames of which masks leave less than this share are left out"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
