"""What can be set about metres and the vertical."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ..errors import UsageError
from ..settings import Settings
from .distance_option import parse_distance

__all__ = ["GeoregisterConfig", "LengthConfig"]


class LengthConfig(Settings):
    """How exactly the ends of a measured length are found in the scene; sigmas are one sigma.

    All are chosen; lengths on scenes of known size come out right within what they add up to (tests/georegister).
    """

    tape_sigma: float = Field(
        default=0.005, gt=0, description="of a length, relative: the tape, and what its ends are held to"
    )
    pose_sigma_px: float = Field(
        default=1.0, gt=0, description="a refined camera is placed to what moves its picture by so much"
    )
    prior_pose_sigma: float = Field(
        default=0.05, gt=0, description="of any other camera, as a share of the typical depth in its picture"
    )
    click_share: float = Field(
        default=0.001, gt=0, description="of the longer side of a picture: how exactly people point"
    )
    near_share: float = Field(
        default=0.005, ge=0, description="of the longer side: a matched point as near as this is the surface itself"
    )
    near_px: float = Field(default=3.0, gt=0, description="or as near as this, in small pictures")
    neighbours: int = Field(
        default=20, ge=1, description="matched points that correct the depth map, where none is near: the nearest"
    )
    fewest_neighbours: int = Field(default=5, ge=1, description="of those, below which the depth map stays uncorrected")
    track_sigma: float = Field(
        default=0.01, ge=0, description="of the depth of matched points, relative; their spread adds to it"
    )
    map_sigma: float = Field(default=0.01, ge=0, description="of a corrected depth map, likewise")
    uncorrected_sigma: float = Field(default=0.05, ge=0, description="of a depth map that nothing corrects, likewise")


class GeoregisterConfig(Settings):
    """Where metres come from."""

    metric: Literal["auto", "gps", "distance", "sensor", "poses", "network", "none"] = Field(
        default="auto",
        description="auto: a given distance, else a depth sensor, else GPS, else poses of another program that are in "
        "metres, else the network, whichever is there",
    )
    distance: tuple[str, ...] = Field(
        default=(),
        description="measured lengths: 'A.jpg,B.jpg=2.5' between two camera centres, or "
        "'A.jpg@812,604:B.jpg@1220,610=1.25' between two points of the surface at original pixels; metres",
    )
    max_relative_sigma: float = Field(
        default=0.2, gt=0, description="a scale less certain than this (one sigma) is reported but not applied"
    )
    most_telling_sigma: float = Field(
        default=1.0,
        gt=0,
        description="a scale less certain than a factor of e is not even reported: GPS of photographs from one place "
        "has put a unit at 1e-15 m (chosen)",
    )
    max_tilt_sigma_deg: float = Field(
        default=10.0,
        gt=0,
        le=90,
        description="GPS whose up is less certain than this does not turn the scene: cameras know better (chosen)",
    )
    network_sigma: float = Field(
        default=0.1,
        gt=0,
        description="least uncertainty of the network's metres, relative: AbsRel of the metric network over five "
        "benchmarks is 0.07 to 0.13 (the paper, table 11)",
    )
    sensor_sigma: float = Field(
        default=0.02,
        gt=0,
        description="likewise of a depth sensor: structured light and LiDAR of hand-held devices are within 1 to 2 % "
        "(chosen)",
    )
    poses_sigma: float = Field(
        default=0.03, gt=0, description="likewise of poses that a phone tracks: its inertial scale drifts (chosen)"
    )
    disagreement_sigmas: float = Field(
        default=2.0,
        gt=0,
        description="between two sources of the scale, beyond which the user is warned (5 % by chance)",
    )
    length: LengthConfig = LengthConfig()

    @model_validator(mode="after")
    def _measurable(self) -> GeoregisterConfig:
        """Raises UsageError at once, not after the network has run."""
        for text in self.distance:
            parse_distance(text)
        if self.metric == "distance" and not self.distance:
            raise UsageError("--metric distance: no distance is given; add --distance 'A.jpg,B.jpg=METRES'")
        return self
