"""What can be set about what amends the winner: repeated things, conventions, fisheye lenses, GPS."""

from __future__ import annotations

from pydantic import Field

from ...settings import Settings

__all__ = [
    "ConventionConfig",
    "ExifConfig",
    "FisheyeConfig",
    "GpsConfig",
    "MeasuredDepthConfig",
    "OffCentreConfig",
    "PixelAspectConfig",
    "RepeatConfig",
    "ZoomConfig",
]


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


class ExifConfig(Settings):
    """When EXIF's focal length is doubted, and when it is refuted."""

    far: float = Field(
        default=0.15,
        gt=0,
        description="relative, between EXIF's focal length and another that something speaks for: whole millimetres, "
        "breathing and stabilised crops stay under it (chosen)",
    )
    most_pairs: int = Field(default=60, ge=3, description="asked; each is a RANSAC (chosen)")
    explains_more: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="of the matches of pairs, that a vote must explain more than EXIF: at 1.3 times the true length "
        "essential matrices explain 0.016 less, at 2.3 times 0.1 (synthetic views)",
    )
    clearly: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="precision by which the solution must be better than one solved with EXIF's focal length, for that "
        "to be refuted (chosen)",
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


class RepeatConfig(Settings):
    """Matching once more near where the prior expects each keypoint, where no solution explains the matches."""

    radii: tuple[float, ...] = Field(default=(0.15, 0.08), description="tried in turn; shares of the longer side")
    margin: float = Field(default=0.1, ge=0, description="share of matches by which it must explain more")
    least_explained: float = Field(default=0.5, ge=0, description="number of matches explained, over that without")
    min_agreement: float = Field(
        default=0.95, description="of the verdict then: copies that the prior confused disagree with the rest"
    )


class ZoomConfig(Settings):
    """When pictures that are said to be of one lens are taken for those of several (see `zoom`)."""

    most_frames: int = Field(
        default=300, ge=2, description="in a capture: a camera each is adjusted for all of them (chosen)"
    )
    spread_ratio: float = Field(
        default=1.05,
        gt=1,
        description="of nine in ten focal lengths to one in ten, each free for a few steps, from which settings are "
        "looked for: half of that of two settings (chosen)",
    )
    firm_agreement: float = Field(
        default=0.6, gt=0, le=1, description="of a picture's own matches, for its focal length to count (chosen)"
    )
    same_ratio: float = Field(
        default=1.03, gt=1, description="of focal lengths next to each other in one setting, each by itself (chosen)"
    )
    least_ratio: float = Field(
        default=1.1, gt=1, description="between those of two settings: breathing and weak geometry stay under it"
    )
    fewest: int = Field(default=3, ge=2, description="pictures that make a setting (chosen)")


class MeasuredDepthConfig(Settings):
    """How depth that a sensor measured takes part in the adjustment."""

    use: bool = Field(default=True, description="off: matches alone say where cameras and points are")
    sigma: float = Field(
        default=0.02,
        gt=0,
        description="of a depth, relative: structured light and LiDAR of hand-held devices are within 1 to 2 % "
        "(chosen)",
    )
    beside_px: float = Field(
        default=1.5, ge=0, description="of the depth map, so far around an observation depth must be smooth (chosen)"
    )
    most_step: float = Field(
        default=0.06,
        gt=0,
        description="relative, that it may differ by there: at an edge it is of one side or the other (chosen)",
    )
    fewest_observations: int = Field(default=100, ge=10, description="with depth: fewer tell nothing (chosen)")
    fewest_matches: int = Field(
        default=15, ge=6, description="of a pair, with depth: its pose alone, as a start, takes fewer (chosen)"
    )
    resection_px: float = Field(
        default=12.0,
        gt=0,
        description="within which a measured point must be seen from elsewhere: 1 % of depth is 11 px where cameras "
        "stand 45 degrees apart around it, at a focal length of 1,300 px",
    )
    most_passes: int = Field(default=6, ge=1, description="of adjustments, while a focal length still moves (chosen)")
    settled: float = Field(default=0.002, gt=0, description="relative, by which it may move in the last (chosen)")
    cost: float = Field(
        default=0.02, ge=0, le=1, description="share of the matches that may stop to agree: more contradict it (chosen)"
    )
    within: float = Field(default=0.1, gt=0, description="relative, of its depth: there a point is near (chosen)")
    least_near: float = Field(
        default=0.6, gt=0, le=1, description="of the points that must be near: fewer contradict it (chosen)"
    )


class OffCentreConfig(Settings):
    """When the optical centres of pictures are looked for, each by itself (see `off_centre`)."""

    most_frames: int = Field(
        default=300, ge=2, description="in a capture: a centre each is adjusted for all of them (chosen)"
    )
    fewest_frames: int = Field(default=5, ge=3, description="with a pose: of fewer, centres are anyone's (chosen)")
    fewest_observations: int = Field(default=100, ge=20, description="of a picture that is asked (chosen)")
    least_pull: float = Field(
        default=0.002,
        gt=0,
        description="of the longer side, that one linear step moves a centre: 0.009 to 0.021 in some pictures cropped "
        "by a tenth to one side, 0.004 where all have borders of their own, which bend the scene (castle-P19); up to "
        "0.001 in others, 0.002 in et",
    )
    least_explained: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="of its squared errors, that the step removes: 0.05 to 0.28 there, up to 0.038 in others",
    )
    rounds: int = Field(default=4, ge=1, description="adjustments with free centres; they move far (chosen)")
    least_gone: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="of all squared errors, then: 0.38 to 0.48 where pictures were cropped, up to 0.09 where none was",
    )
    most_aside: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="of the pictures: all of sacre_coeur's went aside, as one, and took the cameras with them (AUC@5 "
        "39 to 33); 0.47 where every second picture was cropped",
    )
    aside: float = Field(
        default=0.02, gt=0, description="of the longer side, from the others' centre: lenses stay under it (chosen)"
    )


class PixelAspectConfig(Settings):
    """When pixels are taken for other than square (see `pixel_aspect`)."""

    most_frames: int = Field(
        default=40, ge=3, description="that are asked: it costs half a second then, however long the capture (chosen)"
    )
    fewest_frames: int = Field(
        default=5,
        ge=3,
        description="of a camera, of fewer either axis takes what it likes: sacre_coeur's, a camera a "
        "picture, come out up to 3 % off",
    )
    iterations: int = Field(default=50, ge=1, description="of the adjustment with two focal lengths (chosen)")
    least_log: float = Field(
        default=0.04,
        gt=0,
        description="|log| of width by height: up to 0.007 of square pixels (fountain-P11, castle-P19, Herz-Jesus-P25, "
        "kitchen); a twentieth off costs nothing yet (fountain-P11, AUC@1 100)",
    )
    least_gone: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="of the squared errors, then: up to 0.003 of square pixels, 0.57 to 0.69 of pictures squeezed to "
        "three and two thirds of their width (the same captures)",
    )
    most_apart_log: float = Field(
        default=0.15,
        gt=0,
        description="|log| between either half of the pictures: up to 0.04 of squeezed ones (0.56 to 0.9 of their "
        "width, fountain-P11, castle-P19), 0.13 with heavy grain; 0.19 and 1.0 of a folded can",
    )
    rounds: int = Field(default=2, ge=1, description="a scene that is bent tells the shape to a twentieth (chosen)")
