"""What can be set about keypoints, which pairs are matched, and how matches are verified."""

from __future__ import annotations

from pydantic import Field

from ...settings import Settings

__all__ = ["FeatureConfig", "MatchConfig", "PairConfig", "VerifyConfig"]


class FeatureConfig(Settings):
    """Keypoints. Sizes are those of the working image, which is the photograph or a reduction of it."""

    max_features: int = Field(default=2560, ge=8, description="keypoints kept per image, spread over it")
    max_long_side_px: int = Field(default=1600, ge=32, description="larger photographs are reduced to this")
    closer_factor: int = Field(
        default=4,
        ge=1,
        description="times as many keypoints in frames that hang on few matches: of seven wide views (nle_tower) six "
        "pairs verify with 2,560 keypoints, nine with 10,000",
    )
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

    exhaustive_up_to: int = Field(
        default=60,
        ge=2,
        description="so few images: match all pairs, for 10 ms each; with fewer of them kitchen's 25 fell in two",
    )
    neighbours: int = Field(default=5, ge=1, description="pairs proposed per image, source of proposals and round")
    sequence_reach: int = Field(default=2, ge=0, description="places apart in capture order that are always tried")
    max_viewing_angle_deg: float = Field(default=75.0, gt=0, le=180, description="between views paired by the prior")
    least_partners: int = Field(default=3, ge=1, description="images with fewer verified pairs are tried further")
    growth_rounds: int = Field(default=4, ge=0, description="further rounds for weak or separate images")
    thin_beside: int = Field(
        default=5,
        ge=1,
        description="frames to either side of a cut whose matches say whether it is thin, and which are matched across "
        "it; as neighbours (chosen)",
    )
    thin_share: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="of the matches of those frames, that cross the cut, under which pairs are sought across: in a "
        "walk where every frame matches the next two alone a cut has 0.15, and more with more partners. 0: never",
    )
    weak_matches: int = Field(
        default=40,
        ge=0,
        description="which a frame must share with each of two others, or it is looked at more closely; frames of "
        "captures that hold together share 72 and more (Strecha, et, monstree, brighton_beach), those of one that does "
        "not 26 and less (nle_tower). 0: never",
    )
    closer_up_to: int = Field(
        default=5,
        ge=0,
        description="frames of a capture that are all looked at more closely, whatever they share: little outvotes a "
        "false match there, and parts of five pictures tell more apart. Four of et scatter 0.29 degrees then, 0.63 "
        "without, three of nle_tower 0.31, 0.87 without; of nine and more that costs most of their time for nothing",
    )
    closer_partners: int = Field(
        default=5, ge=1, description="frames most like a weak one that it is matched with anew (chosen)"
    )
    escalated_up_to: int = Field(
        default=5,
        ge=0,
        description="frames of a capture that are all matched anew by a learned matcher where they do not pass, "
        "whatever they share, as for `closer_up_to`: of 73 such subsets of seed 307 three more pass, all right (one "
        "was wrong before), two wrong ones become right, none wrong passes; ten of sacre_coeur gained nothing",
    )
    escalated_partners: int = Field(
        default=5,
        ge=1,
        description="frames, by source of proposals, that a learned matcher matches a weak frame with, as "
        "closer_partners (chosen)",
    )
    escalated_pairs: int = Field(
        default=200,
        ge=1,
        description="beyond which each weak frame has fewer partners, down to one by source: a learned matcher takes "
        "half a second a pair and two a frame on one core",
    )
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
