"""What can be set about solving for cameras and points, and how far a prior is believed in it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...settings import Settings

__all__ = ["PriorConfig", "SolveConfig"]


class SolveConfig(Settings):
    """Rounds of triangulation and bundle adjustment. Pixels are those of the working image."""

    observations_per_frame: int = Field(default=400, ge=50, description="tracks are thinned to about so many a frame")
    max_rounds: int = Field(default=8, ge=1)
    max_iterations: int = Field(default=10, ge=1, description="of the solver in each adjustment")
    focal_free_from_round: int = Field(default=1, ge=0, description="before, focal lengths stay at their guess")
    lens_free_below_px: float = Field(default=4.0, gt=0, description="median error under which k1 is estimated")
    min_ray_spread_deg: float = Field(default=1.0, ge=0, description="points seen under less parallax do not count")
    max_registrations: int = Field(default=2, ge=0, description="times that misfit cameras are registered anew")
    hopeless_after_rounds: int = Field(default=4, ge=1, description="rounds by which the error must have come down")
    hopeless_median_px: float = Field(default=30.0, gt=0, description="median error then at which a start is given up")
    good_median_px: float = Field(default=1.0, gt=0, description="median error at which rounds end in strict passes")
    convincing_score: float = Field(
        default=0.97, ge=0, le=1, description="share of matches explained at which no further candidate is tried"
    )
    convincing_frame_agreement: float = Field(default=0.5, ge=0, le=1, description="and of each frame's own matches")
    min_shared_points: int = Field(default=10, ge=3, description="points with the rest that make a frame part of it")
    min_frame_agreement: float = Field(default=0.25, description="of its matches, under which a frame is wrong")
    desperate_score: float = Field(default=0.7, ge=0, le=1, description="below, COLMAP's own mapper is tried as well")
    poses_as: Literal["fixed", "prior"] = Field(
        default="fixed", description="given poses stay as they are, or are a prior that the adjustment weighs"
    )
    correct_poses: bool = Field(default=True, description="read given poses in the convention that matches prove")
    strict_rounds: int = Field(default=1, ge=0)
    strict_iterations: int = Field(default=40, ge=1, description="of the solver then: weak directions converge last")
    strict_gate_px: float = Field(default=4.0, gt=0)
    second_look_cost: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the matches that may stop to agree when tracks are built again: more points hold the "
        "cameras then, and a false match or two give way (chosen)",
    )
    max_lens: Literal["SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"] = Field(
        default="RADIAL", description="richest lens model; RADIAL, where images are covered, moves the centre too"
    )


class PriorConfig(Settings):
    """How far the prior's cameras are believed where observations are few; one sigma each."""

    rotation_sigma_deg: float = Field(default=5.0, gt=0)
    position_sigma: float = Field(default=0.1, gt=0, description="as a share of the cameras' extent")
    focal_sigma: float = Field(default=0.1, gt=0, description="of a predicted focal length, relative")
    exif_focal_sigma: float = Field(default=0.03, gt=0, description="of EXIF's focal length, relative")
    given_rotation_sigma_deg: float = Field(default=1.0, gt=0, description="of poses that the user gave as a prior")
    given_position_sigma: float = Field(default=0.02, gt=0, description="of those, as a share of the cameras' extent")
    few_frames: int = Field(default=8, ge=0, description="up to so many frames the prior holds all of them")
    margin: float = Field(default=0.02, ge=0, description="share of matches that being held may cost")
    gps: bool = Field(default=True, description="bend long captures to GPS, where that proves to help")
    up_sigma_deg: float = Field(default=1.0, gt=0, description="of where a gimbal says that up is")
    gps_sigma_m: float = Field(default=4.0, gt=0, description="horizontal, of a GPS receiver that says nothing of it")
    gps_vertical_factor: float = Field(default=2.5, gt=0, description="how much less its heights are worth")
    contradicted_sigmas: float = Field(
        default=4.0,
        gt=0,
        description="of both frames' rotations, by which a pair's own may differ before it is a doppelganger: by "
        "28 degrees. Of castle-P19's four and five views AUC@30 is 82 and 76 so, 47 and 54 with all pairs",
    )
    given_cost: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the matches that may stop to agree when frames are held to given poses; poses that cost "
        "more are contradicted (chosen)",
    )
