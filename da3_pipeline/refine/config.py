"""What can be set about the refinement, with units, defaults and why they are what they are.

"Chosen" is a value that nobody has measured by itself. What comes of all of them as they stand is measured by
`bench pose`, `bench robustness` and `bench scenarios` (docs/ROBUSTNESS.md, docs/SCENARIOS.md). What follows from a
format, from physics or from the precision of numbers is no setting and stands where it is used.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = [
    "ConventionConfig",
    "FeatureConfig",
    "FisheyeConfig",
    "GpsConfig",
    "MatchConfig",
    "PairConfig",
    "PriorConfig",
    "QualityConfig",
    "RefineConfig",
    "RepeatConfig",
    "SolveConfig",
    "VerifyConfig",
]


class FeatureConfig(Settings):
    """Keypoints. Sizes are those of the working image, which is the photograph or a reduction of it."""

    max_features: int = Field(default=2560, ge=8, description="keypoints kept per image, spread over it")
    max_long_side_px: int = Field(default=1600, ge=32, description="larger photographs are reduced to this")
    learned_max_features: int = Field(default=1024, ge=8, description="keypoints kept per image by learned matchers")
    learned_long_side_px: int = Field(default=1024, ge=64, description="what learned matchers see of a photograph")
    contrast: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="least contrast of an extremum in the scale space, on grey values in [0, 1], times the levels an "
        "octave; half of OpenCV's 0.04 (chosen)",
    )
    faint_contrast: float = Field(
        default=0.005,
        gt=0,
        lt=1,
        description="where that leaves fewer than max_features: a smooth object held together only by faint keypoints "
        "(chosen)",
    )
    grid_cells: int = Field(
        default=12,
        ge=1,
        description="along the longer side; max_features are shared evenly between cells: spread keypoints hold a pose "
        "(chosen)",
    )


class PairConfig(Settings):
    """Which pairs of images are matched."""

    exhaustive_up_to: int = Field(default=10, ge=2, description="so few images: match all pairs")
    neighbours: int = Field(default=5, ge=1, description="pairs proposed per image, source of proposals and round")
    sequence_reach: int = Field(default=2, ge=0, description="places apart in capture order that are always tried")
    max_viewing_angle_deg: float = Field(default=75.0, gt=0, le=180, description="between views paired by the prior")
    least_partners: int = Field(default=3, ge=1, description="images with fewer verified pairs are tried further")
    growth_rounds: int = Field(default=4, ge=0, description="further rounds for weak or separate images")
    max_pairs_per_image: int = Field(default=24, ge=1, description="bound on the pairs tried, over all rounds")
    probes: int = Field(
        default=256,
        ge=2,
        description="largest keypoints of a frame that stand for it when frames are compared; Wu (2013) takes 100 "
        "(chosen)",
    )
    probe_ratio: float = Field(
        default=0.9, gt=0, le=1, description="as `matching.ratio`, looser, for what is counted is only ranked (chosen)"
    )
    compare_all_up_to: int = Field(
        default=100,
        ge=2,
        description="frames; of more, only those most alike by VLAD are compared, in linear time (chosen)",
    )
    shortlist: int = Field(
        default=40, ge=1, description="frames that each of many is compared with; twice what is tried of them (chosen)"
    )
    vlad_words: int = Field(
        default=32, ge=1, description="of the vocabulary; Jegou et al. (2010) use 16 to 256 (chosen)"
    )
    vlad_samples: int = Field(
        default=20_000, ge=1, description="descriptors that the words are learned from, some 600 a word (chosen)"
    )
    useful_sigmas: float = Field(
        default=3.0,
        ge=0,
        description="standard errors by which frames near in the prior must look more alike than frames at large: of "
        "priors with random poses one in a thousand may propose pairs then",
    )


class MatchConfig(Settings):
    """Descriptor matching."""

    ratio: float = Field(default=0.88, gt=0, le=1, description="nearest over second nearest descriptor distance")


class VerifyConfig(Settings):
    """Two-view geometric verification; nothing in it depends on the prior."""

    max_error_px: float = Field(default=1.5, gt=0, description="epipolar error, for a working image 1024 px long")
    min_inliers: int = Field(default=15, ge=8)
    max_chance_log10: float = Field(default=-4.0, description="expected number of equally good chance geometries")
    watermark_border: float = Field(
        default=0.15,
        ge=0,
        lt=0.5,
        description="margin in which something may be drawn over images, as a share of the shorter side; COLMAP's is a "
        "tenth of the diagonal, a sixth of the shorter side of 4:3. 0: nothing is",
    )
    watermark_share: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="of a pair's matches that lie there and move as one: they are no geometry then (COLMAP's)",
    )
    still_px: float = Field(
        default=4.0,
        gt=0,
        description="of a working image 1024 px long, as max_error_px: what moves less may be a still scene as well as "
        "a drawing over it; under `quality.min_image_motion`, at which a camera is said to stand (chosen)",
    )
    still_share: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="of the other matches that move less: the scene stands, and nothing is taken for a drawing. Of a "
        "view that grows by 3 % as the camera goes ahead, a tenth does (chosen)",
    )


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


class ConventionConfig(Settings):
    """When given poses are said to be in another convention than that of their file, by relative poses of pairs."""

    most_pairs: int = Field(
        default=100, ge=1, description="asked; of more every so many-th, for each is a RANSAC (chosen)"
    )
    fewest_pairs: int = Field(
        default=6, ge=1, description="asked, and speaking for a reading, under which chance may decide (chosen)"
    )
    fewest_matches: int = Field(
        default=25, ge=8, description="that agree with a pair's relative pose; more than verification asks (chosen)"
    )
    most_flat: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="of a pair's matches on one plane: beyond, its motion has two answers (chosen)",
    )
    agree_rotation_deg: float = Field(
        default=15.0, gt=0, lt=180, description="between given and measured: given poses 5 degrees off still agree"
    )
    agree_direction_deg: float = Field(
        default=30.0, gt=0, lt=180, description="as that, of the motion, which short baselines leave less certain"
    )
    contradict: float = Field(
        default=2.0, gt=1, description="times those tolerances: further off is no matter of noise (chosen)"
    )
    explained: float = Field(
        default=0.7, gt=0, le=1, description="share of pairs that agree with a reading that is certain (chosen)"
    )
    suspect: float = Field(default=0.5, gt=0, le=1, description="with one that is worth a warning (chosen)")
    ambiguous: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="by which the next best must agree less: a circle hides inversion (chosen)",
    )


class FisheyeConfig(Settings):
    """When a lens is tried as a fisheye, and believed to be one."""

    wide_deg: float = Field(
        default=75.0, gt=0, lt=180, description="across the diagonal; k1 and k2 follow narrower lenses (chosen)"
    )
    bent: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="radius in the image over that of a pinhole, at the corner, under which a lens is tried; an "
        "equidistant one of 75 degrees has 0.85",
    )
    rounds: int = Field(default=3, ge=1, description="of adjustment, in which the other model settles (chosen)")
    better: float = Field(default=0.002, ge=0, description="share of all matches that it must explain more (chosen)")
    sharper: float = Field(
        default=0.97, gt=0, le=1, description="of the median error, where about as many matches agree (chosen)"
    )


class GpsConfig(Settings):
    """When GPS takes part in the adjustment: what it must show first. Measured as a whole in docs/ROBUSTNESS.md."""

    fewest_places: int = Field(
        default=12, ge=4, description="different positions, of which a trial leaves out half (chosen)"
    )
    used_share: float = Field(
        default=0.7, gt=0, le=1, description="of the positions that fit the scene as one (chosen)"
    )
    most_relative_sigma: float = Field(
        default=0.1,
        gt=0,
        description="of the scale that follows from them: longer errors than way say nothing (chosen)",
    )
    trial_run: int = Field(
        default=5,
        ge=1,
        description="photographs in a row that take part in a trial, and as many that do not: short beside drift, long "
        "beside what matches carry over (chosen)",
    )
    trial_gain: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="to which the residuals of those left out must fall; positions shuffled, anywhere, in one place or "
        "with heights off by 15 m do not get there, those off by 2 m do",
    )
    most_tilt_deg: float = Field(
        default=30.0, gt=0, lt=90, description="of a bent scene by its positions against its gimbals (chosen)"
    )
    levelling_cost: float = Field(
        default=1.5, ge=1, description="times as far from its positions when made level by gimbals (chosen)"
    )
    cost: float = Field(
        default=0.5,
        gt=0,
        description="squared sigmas of its observations that a photograph's position may cost (chosen)",
    )
    cauchy_sigmas: float = Field(
        default=2.0, gt=0, description="of observations, from which they lose weight when that is counted (chosen)"
    )


class QualityConfig(Settings):
    """Gates of the verdict. Pixels are those of the working image."""

    min_refined_share: float = 0.9
    min_agreement: float = 0.8
    max_median_error_px: float = 1.0
    max_p95_error_px: float = 3.5
    min_weakest_agreement: float = 0.5
    min_cut_agreement: float = Field(
        default=0.5, description="of matches between any two parts; a fold has nearly none"
    )
    min_observations: float = 60
    min_track_length: float = 2.3
    min_parallax_deg: float = 1.5
    min_image_motion: float = Field(
        default=0.005, description="of the longer side; less is a camera that stands, before something that turns"
    )
    min_fov_deg: float = 12.0
    max_fov_deg: float = 130.0
    max_exif_log_ratio: float = Field(default=0.4, description="|log(refined focal length / EXIF's)|")
    max_prior_log_ratio: float = Field(default=0.7, description="|log(refined focal length / the prior's)|")
    max_speed_jump: float = Field(default=15.0, description="largest over usual speed of a video's camera")
    max_held_out_px: float = 1.5
    max_halves_deg: float = 2.0  # over flat ground tilt and principal point trade places, to no harm
    max_halves_position: float = Field(default=0.02, description="as a share of the cameras' extent")
    min_cells: float = Field(default=0.15, description="of 8 x 8 cells of the median image")
    max_scale_jump: float = Field(default=0.7, description="|log ratio| of tracks' to predicted depth")
    few_views: int = Field(
        default=12, ge=2, description="so few frames must prove what their matches leave open; chosen, not measured"
    )
    min_pair_relief: float = Field(
        default=0.2, ge=0, le=1, description="of two views; a plane has several answers; chosen, not measured"
    )
    min_pair_observations: float = Field(default=100, ge=0, description="of two views; chosen, not measured")
    min_pair_parallax_deg: float = Field(default=3.0, ge=0, description="of two views; chosen, not measured")
    min_linking_points: float = Field(
        default=60,
        ge=0,
        description="points in three views or more, of few views: 43 where two pairs came out in unlike sizes, 64 and "
        "more where all was right (87 subsets of Strecha's scenes, et, monstree, kitchen and sacre_coeur)",
    )
    min_few_agreement: float = Field(
        default=0.97,
        ge=0,
        le=1,
        description="of verified matches, of few views, which nothing outvotes: 0.976 and more where all was right, "
        "0.956 and 0.960 where a direction was 3 and 7 degrees off (the same subsets)",
    )
    max_few_halves_deg: float = Field(
        default=0.5,
        gt=0,
        description="as `max_halves_deg`, of few views: up to 0.3 where all was right, 0.8 where it was not (the same)",
    )
    max_focal_sigma: float = Field(
        default=0.01,
        gt=0,
        description="one sigma, relative, of few views: up to 0.002 where all was right, 0.02 and 0.06 of the worst",
    )
    max_let_go_deg: float = Field(
        default=0.8,
        gt=0,
        description="that few views turn when the prior lets go of them: up to 0.65 where all was right, 0.93 and more "
        "where it was not (the same subsets)",
    )
    max_let_go_focal: float = Field(
        default=0.05, gt=0, description="log ratio then, of a focal length: up to 0.045 where all was right"
    )

    def least_track_length(self, frames: int) -> float:
        """Frames a point on average: what many views must reach grows from two, which is all that a pair can have."""
        return 2.0 + (self.min_track_length - 2.0) * min(1.0, max(0, frames - 2) / 8)


class RepeatConfig(Settings):
    """Matching once more near where the prior expects each keypoint, where no solution explains the matches."""

    radii: tuple[float, ...] = Field(default=(0.15, 0.08), description="tried in turn; shares of the longer side")
    margin: float = Field(default=0.1, ge=0, description="share of matches by which it must explain more")
    least_explained: float = Field(default=0.5, ge=0, description="number of matches explained, over that without")
    min_agreement: float = Field(
        default=0.95, description="of the verdict then: copies that the prior confused disagree with the rest"
    )


class RefineConfig(Settings):
    """The whole refinement."""

    seed: int = 0
    threads: int = Field(default=0, ge=0, description="worker threads; 0: one for each core")
    device: str = Field(default="auto", description="where descriptors are matched: auto, cpu or cuda")
    matcher: Literal["sift", "aliked", "disk", "xfeat"] = Field(
        default="sift", description="ALIKED and DISK need the extra 'lightglue', XFeat the extra 'xfeat'"
    )
    features: FeatureConfig = FeatureConfig()
    pairs: PairConfig = PairConfig()
    matching: MatchConfig = MatchConfig()
    verification: VerifyConfig = VerifyConfig()
    refine: bool = Field(default=True, description="off: the prior's poses as they are")
    solve: SolveConfig = SolveConfig()
    priors: PriorConfig = PriorConfig()
    repeats: RepeatConfig = RepeatConfig()
    convention: ConventionConfig = ConventionConfig()
    fisheye: FisheyeConfig = FisheyeConfig()
    gps: GpsConfig = GpsConfig()
    quality: QualityConfig = QualityConfig()
