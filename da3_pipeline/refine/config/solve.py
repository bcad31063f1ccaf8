"""What can be set about solving for cameras and points, and how far a prior is believed in it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...settings import Settings

__all__ = ["AdjustmentConfig", "LensConfig", "PartConfig", "PriorConfig", "RegistrationConfig", "SolveConfig"]


class AdjustmentConfig(Settings):
    """What one bundle adjustment moves, and which of its solutions are refused."""

    fewest_to_pose: int = Field(
        default=6,
        ge=3,
        description="observations under which a frame's pose stays as it is: twice what a pose needs at all (chosen)",
    )
    fewest_to_calibrate: int = Field(
        default=3, ge=2, description="frames under which cameras stay as they are: two views do not fix a focal length"
    )
    parallel_from: int = Field(
        default=200_000,
        ge=0,
        description="residuals, two an observation, from which Ceres takes all threads; with fewer it takes one, and "
        "two runs are the same to the last bit (chosen)",
    )
    direct_up_to: int = Field(
        default=4000,
        ge=0,
        description="images up to which Ceres factorises the cameras' sparse normal equations and does not iterate; "
        "COLMAP changes at 1,000, with which 2,000 images did not end in 190 s that take 115 so; should all images see "
        "each other, 4,000 would take 5 GB",
    )
    least_size: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="of the cameras' spread at the start, under which a scene has collapsed: nine photographs fell to "
        "0.04 of theirs once (chosen)",
    )
    least_ahead: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="of the observations that must be before their camera, as all were at the start (chosen)",
    )


class LensConfig(Settings):
    """What the observations of a camera must be for its distortion and its centre to be estimated, and how far."""

    one_focal: float = Field(
        default=0.03,
        ge=0,
        description="by which EXIF's focal lengths of pictures of two sizes may differ, if one lens took them: it "
        "tells those of zoom lenses in steps of about that (chosen)",
    )
    fewest_frames: int = Field(default=3, ge=2, description="for any distortion (chosen)")
    fewest_observations: int = Field(default=300, ge=10, description="for any distortion (chosen)")
    least_reach: float = Field(
        default=0.55,
        ge=0,
        le=1,
        description="of the half diagonal, that a tenth of the observations must be beyond: in the centre distortion "
        "is free to ruin the focal length (chosen)",
    )
    cells: int = Field(
        default=8, ge=3, description="along each side, of which those at the border must be covered (chosen)"
    )
    covered_from: int = Field(default=5, ge=1, description="observations in a cell (chosen)")
    covered_share: float = Field(
        default=0.7, gt=0, le=1, description="of the cells at the border, for a free centre (chosen)"
    )
    centre_frames: int = Field(default=8, ge=2, description="for a free centre (chosen)")
    bend_observations: int = Field(
        default=1000,
        ge=10,
        description="for k2 beside k1: three to six pictures through a barrel of a lens came out at AUC@5 47 to 84 "
        "with k1 alone, and passed",
    )
    centre_observations: int = Field(default=2000, ge=10, description="for a free centre (chosen)")
    flat_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="of the matches of the median pair on one plane: beyond, the centre stays, for over flat ground "
        "its shift and another focal length look the same (chosen)",
    )
    largest_shift: float = Field(
        default=0.03, ge=0, description="of the longer side, that a centre may be off the middle (chosen)"
    )
    least_bend: float = Field(
        default=0.08,
        ge=0,
        description="distortion at the corner that any lens may have; a turntable's background asked for a barrel "
        "that no narrow lens has (chosen)",
    )
    bend: float = Field(
        default=0.35,
        ge=0,
        description="times the squared tangent of half the view across the diagonal, that it may have more: wide "
        "lenses bend (chosen)",
    )
    least_growth: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="of a pinhole's, of the radius in the image with the angle, anywhere: at 0 the lens would fold "
        "(chosen)",
    )


class RegistrationConfig(Settings):
    """Which cameras are found anew from the points of the others, and when they count as found."""

    stray_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of the inlier share of the best frames, under which a frame strays (chosen)",
    )
    best_quantile: float = Field(
        default=2 / 3,
        gt=0,
        lt=1,
        description="of inlier shares, at which the best frames begin: a majority may stray (chosen)",
    )
    fewest_points: int = Field(
        default=12, ge=4, description="of a frame, to be found by; four times what a pose needs (chosen)"
    )
    least_inliers: float = Field(default=0.25, gt=0, le=1, description="of them that must agree with its pose (chosen)")
    min_spread_deg: float = Field(
        default=1.0,
        ge=0,
        description="under which its points must be seen by the others, as `min_ray_spread_deg` (chosen)",
    )
    max_trials: int = Field(default=2000, ge=1, description="of RANSAC: three points in four may be false (chosen)")
    strays_from_px: float = Field(
        default=4.0, gt=0, description="least error of an observation that is none of a stray's inliers (chosen)"
    )
    strays_medians: float = Field(default=2.0, gt=0, description="or so many median errors, if that is more (chosen)")
    found_within_px: float = Field(
        default=8.0, gt=0, description="least error that RANSAC allows: the points are rough yet (chosen)"
    )
    found_medians: float = Field(default=4.0, gt=0, description="or so many median errors, if that is more (chosen)")


class PartConfig(Settings):
    """When two parts of a scene count as of unlike size, and are joined anew (see `parts`)."""

    fewest_points: int = Field(
        default=15,
        ge=4,
        description="that two frames or more on either side see, of which a seam is judged and mended; as "
        "`quality.min_linking_points` (chosen)",
    )
    least_held: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="of them that a scene must hold on both sides: 0.005 where a street fell into two parts of unlike "
        "size, 0.66 and more where all was right (castle-P19, whose fronts repeat)",
    )
    least_agreement: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of the matches across that agree as the parts lie: fewer are a fold (`quality.min_cut_agreement`)",
    )
    near_share: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="of the points that the frame sees which sees most of the other part's, that others must see to "
        "have a say in where the parts meet: look-alikes far down a street agreed on 10 to 34 of 465 (chosen)",
    )
    most_seams: int = Field(
        default=8, ge=0, description="mended at a time: a film of a thousand frames tore in several places (chosen)"
    )


class SolveConfig(Settings):
    """Rounds of triangulation and bundle adjustment. Pixels are those of the working image."""

    observations_per_frame: int = Field(default=400, ge=50, description="tracks are thinned to about so many a frame")
    contest_observations: int = Field(
        default=20_000,
        ge=0,
        description="of all frames, to which the contest of starting points is thinned further: many frames hold each "
        "other, and what wins is adjusted on all",
    )
    contest_observations_per_frame: int = Field(
        default=150, ge=50, description="that it keeps in any case, as global positioning does"
    )
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
    other_terms_gain: float = Field(
        default=0.01,
        ge=0,
        description="precision by which cameras of one lens solved apart, or all without EXIF's focal length, must be "
        "better: with more freedom they always are a little (chosen)",
    )
    way_gain: float = Field(
        default=0.0005,
        ge=0,
        description="precision by which a lens's centre with its pictures turned one way must be better than turned "
        "the other, and than in the middle: of eleven photographs the right way gave 0.001, the wrong one nothing",
    )
    convincing_frame_agreement: float = Field(default=0.5, ge=0, le=1, description="and of each frame's own matches")
    min_shared_points: int = Field(default=10, ge=3, description="points with the rest that make a frame part of it")
    min_frame_agreement: float = Field(default=0.25, description="of its matches, under which a frame is wrong")
    desperate_score: float = Field(default=0.7, ge=0, le=1, description="below, COLMAP's own mapper is tried as well")
    poses_as: Literal["auto", "fixed", "prior"] = Field(
        default="auto",
        description="given poses stay as they are, or are a prior that the adjustment weighs; auto: those of another "
        "program's project are a prior, others stay",
    )
    correct_poses: bool = Field(default=True, description="read given poses in the convention that matches prove")
    strict_rounds: int = Field(default=1, ge=0)
    strict_iterations: int = Field(default=40, ge=1, description="of the solver then: weak directions converge last")
    strict_gate_px: float = Field(default=4.0, gt=0)
    settled: float = Field(
        default=0.85,
        gt=0,
        le=1,
        description="of the last round's median error: a round that leaves more has settled, and strays are looked "
        "for (chosen)",
    )
    coarse_cauchy_px: float = Field(
        default=1.0,
        gt=0,
        description="at least, of the residual from which observations lose weight in rounds, and at most in strict "
        "passes (chosen)",
    )
    finest_cauchy_px: float = Field(
        default=0.3, gt=0, description="at least in strict passes: under the noise of keypoints (chosen)"
    )
    held_rounds: int = Field(
        default=4, ge=1, description="of triangulation and adjustment for frames that the prior helps to place (chosen)"
    )
    resettling_rounds: int = Field(
        default=2, ge=1, description="in which a good solution follows what holds it anew (chosen)"
    )
    resettling_iterations: int = Field(default=25, ge=1, description="of the solver in each of them (chosen)")
    second_look_cost: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the matches that may stop to agree when tracks are built again: more points hold the "
        "cameras then, and a false match or two give way (chosen)",
    )
    most_looks: int = Field(
        default=8, ge=1, description="at tracks built again, while that helps; ten cameras of ten people took four"
    )
    worthwhile_look: float = Field(
        default=0.002,
        ge=0,
        le=1,
        description="share of the matches that a look must win over for another to follow (chosen)",
    )
    looks_in_vain: int = Field(
        default=2,
        ge=0,
        description="that may win nothing where frames disagree with their own matches: a focal length on its way is "
        "seen late (ten cameras won at the fourth look and the fifth)",
    )
    found_frame_agreement: float = Field(
        default=0.85, ge=0, le=1, description="of the worst tenth of the frames, under which they do (the same)"
    )
    max_lens: Literal["SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"] = Field(
        default="RADIAL", description="richest lens model; RADIAL, where images are covered, moves the centre too"
    )
    adjustment: AdjustmentConfig = AdjustmentConfig()
    lens: LensConfig = LensConfig()
    registration: RegistrationConfig = RegistrationConfig()
    parts: PartConfig = PartConfig()

    def observations_in_contest(self, frames: int) -> int:
        """About how many observations a frame candidates are adjusted to."""
        each = max(self.contest_observations // max(frames, 1), self.contest_observations_per_frame)
        return min(each, self.observations_per_frame)

    @property
    def keeps_poses(self) -> bool:
        """Whether poses that are given for all frames stay as they are."""
        return self.poses_as != "prior"


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
    robust_sigmas: float = Field(
        default=2.0,
        gt=0,
        description="at which a term of the prior starts to lose its weight: a wrong one among many gives way (chosen)",
    )
    contradicted_sigmas: float = Field(
        default=4.0,
        gt=0,
        description="of both frames' rotations, by which a pair's own may differ before it is a doppelganger: by 28 "
        "degrees. Of castle-P19's four and five views AUC@30 is 82 and 76 so, 47 and 54 with all pairs",
    )
    given_cost: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the matches that may stop to agree when frames are held to given poses; poses that cost "
        "more are contradicted (chosen)",
    )
