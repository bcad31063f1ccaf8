"""What can be set about starting points: relative poses of pairs, and what is averaged from them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...settings import Settings

__all__ = ["InitialisationConfig", "TrustConfig", "TwoViewConfig"]


class TwoViewConfig(Settings):
    """Relative poses and focal lengths from the matches of pairs."""

    max_error_px: float = Field(
        default=2.0,
        gt=0,
        description="epipolar error in working pixels; looser than verification, for focal lengths are guesses "
        "(chosen)",
    )
    min_trials: int = Field(default=30, ge=1, description="of RANSAC: verified matches hardly need more (chosen)")
    max_trials: int = Field(default=300, ge=1, description="of RANSAC (chosen)")
    confidence: float = Field(default=0.999, gt=0, lt=1, description="at which trials end (chosen)")
    least_support: float = Field(
        default=0.4,
        gt=0,
        le=1,
        description="of a pair's matches that its pose must explain: with a focal length far off fewer do (chosen)",
    )
    least_focal: float = Field(
        default=0.4, gt=0, description="least focal length searched for, in longer sides: 103 degrees (chosen)"
    )
    most_focal: float = Field(
        default=4.0, gt=0, description="greatest focal length searched for, in longer sides: 14 degrees (chosen)"
    )
    focal_steps: int = Field(
        default=140, ge=10, description="between them: 1.7 % each, which is what a vote is good for (chosen)"
    )
    most_flat: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="of a pair's matches on one plane: beyond, it has no vote on a focal length, which it leaves open "
        "(chosen)",
    )
    fewest_voters: int = Field(
        default=3, ge=1, description="pairs of one camera, under which a vote is chance (chosen)"
    )
    most_against: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="relative difference of singular values at which a vote against is cut: wrong pairs do not decide "
        "(chosen)",
    )
    clear_vote: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="of the median cost over focal lengths, under which the least one must be (chosen)",
    )


class TrustConfig(Settings):
    """What a prior must show on a capture before it is believed there (see `prior_trust`)."""

    most_pairs: int = Field(
        default=150, ge=1, description="asked; each is a RANSAC, and a median needs no more (chosen)"
    )
    fewest_pairs: int = Field(default=2, ge=1, description="that tell, under which agreement may be luck (chosen)")
    most_flat: float = Field(
        default=0.9, gt=0, le=1, description="of a pair's matches on one plane: beyond, its motion is open (chosen)"
    )
    deals: int = Field(
        default=20, ge=1, description="of the prior's cameras to other frames, whose median is chance (chosen)"
    )
    gain: float = Field(
        default=0.5, gt=0, lt=1, description="of what chance leaves, to which the prior must bring the error down"
    )
    most_rotation_deg: float = Field(default=12.0, gt=0, lt=180, description="error of the median pair's rotation")
    most_direction_deg: float = Field(default=30.0, gt=0, lt=90, description="error of the median pair's direction")
    most_depth_error: float = Field(
        default=0.15, gt=0, description="median deviation of the log ratio of depths, of the median pair"
    )
    most_focal_log_ratio: float = Field(default=0.2, gt=0, description="to EXIF's focal length, or a vote of pairs")
    least_parallax_deg: float = Field(default=1.0, gt=0, description="between rays that tell a depth (chosen)")
    fewest_depths: int = Field(default=15, ge=4, description="of a pair, for its deviation to mean something (chosen)")


class InitialisationConfig(Settings):
    """Absolute poses from relative ones, and the contest of what is started from them."""

    start: Literal["several", "incremental"] = Field(
        default="several",
        description="several, in a contest: the prior, two-view geometry, COLMAP's global mapper; or COLMAP's "
        "incremental mapper alone, which is slower, and gets along with ten photographs by ten cameras",
    )
    restart_up_to: int = Field(
        default=60,
        ge=0,
        description="frames of a scene that fails its gates, which starts again with the incremental mapper: it took "
        "sacre_coeur from AUC@5 39 to 92, in two seconds; its time grows faster than the frames (chosen)",
    )
    two_view: TwoViewConfig = TwoViewConfig()
    trust: TrustConfig = TrustConfig()
    consistent_deg: float = Field(
        default=10.0,
        gt=0,
        lt=180,
        description="within which a relative rotation must be of the averaged ones; off by more it is of a wrong pair "
        "(chosen)",
    )
    observations_to_position: int = Field(
        default=80,
        ge=10,
        description="a frame; global positioning needs no more, and its time grows with them: with 50, 80 and 150 "
        "castle-P19, Herz-Jesus-P25 and kitchen end alike",
    )
    usable_prior_deg: float = Field(
        default=45.0,
        gt=0,
        lt=180,
        description="within which half of the prior's relative rotations must be of the pairs' own, for its positions "
        "to be a start (chosen)",
    )
    alike_score: float = Field(
        default=0.004,
        ge=0,
        le=1,
        description="share of matches within which two starts end alike and need no third (chosen)",
    )
