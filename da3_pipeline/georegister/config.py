"""What can be set about metres and the vertical."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ..errors import UsageError
from ..settings import Settings
from .distance_option import parse_distance

__all__ = ["GeoregisterConfig"]


class GeoregisterConfig(Settings):
    """Where metres come from."""

    metric: Literal["auto", "gps", "distance", "network", "none"] = Field(
        default="auto", description="auto: a given distance, else GPS, else the network, whichever is there"
    )
    distance: tuple[str, ...] = Field(
        default=(),
        description="measured lengths: 'A.jpg,B.jpg=2.5' between two camera centres, or "
        "'A.jpg@812,604:B.jpg@1220,610=1.25' between two points of the surface at original pixels; metres",
    )
    max_relative_sigma: float = Field(
        default=0.2, gt=0, description="a scale less certain than this (one sigma) is reported but not applied"
    )

    @model_validator(mode="after")
    def _measurable(self) -> GeoregisterConfig:
        """Raises UsageError at once, not after the network has run."""
        for text in self.distance:
            parse_distance(text)
        if self.metric == "distance" and not self.distance:
            raise UsageError("--metric distance: no distance is given; add --distance 'A.jpg,B.jpg=METRES'")
        return self
