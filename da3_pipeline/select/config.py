"""How many frames of a video are taken and how far apart; and what tells sharpness, motion, cuts and known places.

A description says what a value means and why it is what it is. "Chosen" is one that nobody has measured; the tables of
docs/CAPTURE.md (rendered scenes, `bench selection`) were made with all of them as they stand.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field, model_validator

from ..arrays import Bool, Float
from ..settings import Settings

__all__ = [
    "ContentConfig",
    "CutConfig",
    "ExposureConfig",
    "MotionConfig",
    "PanoramaViewsConfig",
    "PhotoConfig",
    "RevisitConfig",
    "SelectConfig",
    "SharpnessConfig",
    "SpacingConfig",
    "TrainingConfig",
]


_ROUNDING_S = 1e-6


class SharpnessConfig(Settings):
    """What counts as an edge, and how steep edges are where a picture is sharp."""

    side_px: int = Field(
        default=960,
        ge=64,
        description="longer side at which pictures are judged: a pixel or two of blur in HD no longer shows much below",
    )
    reach_px: int = Field(
        default=16, ge=2, description="edges wider than this are shading (chosen: blur of interest is 4 to 16 px wide)"
    )
    strongest_share: float = Field(
        default=0.02,
        gt=0,
        le=1,
        description="of the pixels, where the picture changes most: there its edges are (chosen)",
    )
    least_change: int = Field(
        default=12, ge=1, le=255, description="grey levels across an edge: noise and compression stay below (chosen)"
    )
    least_pixels: int = Field(default=50, ge=1, description="on edges; fewer say nothing of sharpness (chosen)")
    blurred_share: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="of the sharpness of sharp pictures of the same video, below which one is blurred: some 4 px of "
        "blur at 960 px, which steepness tells from 1 px with an AUC of 0.96 (docs/CAPTURE.md)",
    )
    soft: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="no sharp picture of 960 px is below: some 5 px of blur (of 139 real photographs none was)",
    )


class MotionConfig(Settings):
    """Corners and how they are followed from frame to frame (pyramidal Lucas-Kanade flow)."""

    side_px: int = Field(
        default=320, ge=64, description="longer side of the pictures in which corners are followed (chosen for speed)"
    )
    sphere_side_px: int = Field(
        default=640, ge=64, description="that of panoramas, which show four times as much (chosen)"
    )
    sphere_field_deg: float = Field(
        default=75.0,
        gt=0,
        le=180,
        description="what counts as the diagonal of a panorama: that of a phone's video, so that steps are as fine",
    )
    corners: int = Field(
        default=150, ge=1, description="at most in a picture; their median moves as the picture does (chosen)"
    )
    corner_quality: float = Field(
        default=0.01, gt=0, lt=1, description="of the best corner's strength that the weakest has (OpenCV's samples)"
    )
    corner_spacing: float = Field(
        default=1 / 40,
        gt=0,
        lt=1,
        description="least, as a share of the longer side: spreads them over the picture (chosen)",
    )
    window_px: int = Field(default=15, ge=3, description="of the flow (OpenCV's samples)")
    levels: int = Field(
        default=3, ge=0, description="of the flow's pyramid beside the picture: motion of some 60 px (chosen)"
    )
    iterations: int = Field(default=10, ge=1, description="of the flow on each level (OpenCV's samples)")
    precision_px: float = Field(default=0.03, gt=0, description="at which the flow ends (OpenCV's samples)")
    round_trip_px: float = Field(
        default=1.0, gt=0, description="that a corner misses when it is followed back: more, and it was lost (chosen)"
    )
    least_corners: int = Field(
        default=30, ge=1, description="for a median that can be trusted; fewer are found anew (chosen)"
    )
    least_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="of the corners at the anchor that must be left, else they are found anew (chosen)",
    )
    least_response: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="of phase correlation, which stands in where corners are missing; below, it is noise (chosen)",
    )
    thumbnail_px: int = Field(
        default=32,
        ge=4,
        description="side of the square pictures whose correlation says how alike two frames are (chosen)",
    )


class ExposureConfig(Settings):
    """Light, of a picture and from frame to frame. Grey levels are those of the display, 0 to 255."""

    black: int = Field(
        default=3, ge=0, le=255, description="as good as black: compression moves clipped pixels by a level or two"
    )
    white: int = Field(default=252, ge=0, le=255, description="as good as white, likewise")
    patch_px: int = Field(
        default=25, ge=1, description="around a corner: of 320, in small patches blur alone changes the light (chosen)"
    )
    darkest: int = Field(
        default=16, ge=0, le=255, description="of a patch; below, light is not told from clipping (chosen)"
    )
    brightest: int = Field(
        default=240, ge=0, le=255, description="of a patch; above, light is not told from clipping (chosen)"
    )
    least_patches: int = Field(
        default=10,
        ge=1,
        description="that tell a change of exposure; constant exposure was measured as 0.1 to 0.3 stops with these",
    )


class CutConfig(Settings):
    """Where a film breaks off: frames of other places show next to nothing of each other, neighbours most of it.

    What was measured: joins of stretches of four handheld videos and of moving windows on the photographs of twelve
    captures; the videos themselves, whole and every 4th, 8th and 16th frame, smeared, lit and darkened.
    """

    suspect_tracked: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="share of corners followed from the frame before, below which a frame is looked at closely: at 330 "
        "joins it was 0.39 at most, within four handheld videos never below 0.5",
    )
    least_found: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="share of the corners of one frame in another of the same place: of 100 joins 0.06 at most, of "
        "frames 4 apart in four handheld videos 0.48 at least; between lie jumps to another view of the same thing",
    )
    least_alike: float = Field(
        default=0.8,
        ge=-1,
        le=1,
        description="correlation of what is around a corner and around where it is found (chosen)",
    )
    patch_px: int = Field(default=13, ge=3, description="side of what is compared around corners: LK's window (chosen)")
    least_corners: int = Field(default=8, ge=1, description="fewer do not say where a frame's content went (chosen)")
    least_likeness: float = Field(
        default=0.6,
        ge=-1,
        le=1,
        description="correlation of thumbnails of one place, without what is common to rows and columns: of 250 joins "
        "of unlike places 0.51 at most; a sharp frame and one smeared over a tenth of its width 0.85 at least",
    )
    least_overlap: float = Field(
        default=1 / 3, gt=0, le=1, description="of width and height, that thumbnails of a moved picture need (chosen)"
    )
    least_contrast: float = Field(
        default=0.06,
        ge=0,
        description="of the thumbnail of one of two frames that are to tell of a cut: real ones have 0.07 and more, a "
        "wall with a few sockets 0.05 at most",
    )
    around: int = Field(
        default=3,
        ge=1,
        description="frames to either side that are compared: a flash or a jolt lasts no longer (chosen)",
    )


class RevisitConfig(Settings):
    """When a place counts as shown before. All are chosen."""

    side_px: int = Field(default=160, ge=32, description="longer side of the pictures of places that are kept")
    candidates: int = Field(
        default=3, ge=1, description="earlier places that are looked at closely, the most alike first"
    )
    least_likeness: float = Field(
        default=0.6,
        ge=-1,
        le=1,
        description="correlation of thumbnails, of views a fiftieth of the diagonal apart at least",
    )
    least_corners: int = Field(default=20, ge=1, description="in a place; fewer cannot say that it is the same")
    least_found: float = Field(default=0.6, ge=0, le=1, description="share of the corners that are found again")
    spread: float = Field(
        default=2.0,
        ge=1,
        description="by how much more than the median the farthest fifth of corners may move: there is parallax",
    )


class SpacingConfig(Settings):
    """Where along the way frames are taken. All are chosen."""

    apart: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="of a step, at least between neighbours; the rest of it is free for sharper frames",
    )
    few: int = Field(default=12, ge=2, description="frames, below which clips of little motion are divided more finely")
    closer: float = Field(
        default=0.25, gt=0, le=1, description="of the least step, at most so fine: 1 % of the diagonal"
    )
    still: float = Field(
        default=0.25, ge=0, le=1, description="of the least step: less motion than this is standing still (chosen)"
    )
    still_s: float = Field(
        default=1.0,
        gt=0,
        description="within which it is less: 1 % of the diagonal a second is a twentieth of a slow walk's (chosen)",
    )
    again: float = Field(
        default=1 / 3,
        ge=0,
        le=1,
        description="what motion through a place shown before counts for when frames are scarce: enough to close loops",
    )


class TrainingConfig(Settings):
    """Which chosen frames of videos are trained on. Distances are of image motion, as shares of the diagonal.

    With these, of films with 30 % smeared frames none of those for training is smeared (docs/CAPTURE.md).
    """

    around: float = Field(
        default=1.0,
        gt=0,
        description="in which frames are compared, to either side: beyond, what is shown is another thing",
    )
    sharp_quantile: float = Field(
        default=0.9, gt=0, le=1, description="of the frames around: what a sharp one has (chosen)"
    )
    reach: float = Field(default=0.25, gt=0, description="views so far apart show mostly the same (chosen)")
    smeared_share: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="of the sharpness around: such a frame teaches more wrong than right (chosen)",
    )
    connected: float = Field(
        default=0.12, gt=0, description="neighbours so far apart need nothing between them (chosen)"
    )
    connected_steps: float = Field(default=2.5, gt=0, description="and no more than so many steps (chosen)")
    least_share: float = Field(
        default=1 / 3, ge=0, le=1, description="of the chosen frames are trained on, whatever they are like (chosen)"
    )
    least: int = Field(
        default=2, ge=2, description="frames for training, whatever they are like: fewer are no data set"
    )


class ContentConfig(Settings):
    """What photographs show at large, as far as blur leaves it: a smooth thing that fills one is no blurred picture.

    Of 36 photographs of twelve captures, blurred by motion or defocus at 960 px, the coarse texture was at least 0.48
    of the median of their capture with up to 15 px of blur and 0.21 with 30; of smooth rendered things it was 0.05 at
    most, but for the boldest folds beside captures of little texture (0.4).
    """

    cell_px: int = Field(
        default=8, ge=1, description="of coarse texture: blur of interest is no more than two cells wide (chosen)"
    )
    least_change: int = Field(
        default=8, ge=1, le=255, description="second difference in grey levels; that of shading is less (chosen)"
    )
    least_texture: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="of the median coarse texture: a photograph below shows too little to say that it is blurred",
    )
    mark_px: int = Field(default=32, ge=8, description="side of what pictures are compared by (chosen)")
    margin_px: int = Field(default=6, ge=1, description="by which the middle of one is moved over the other (chosen)")
    least_likeness: float = Field(
        default=0.6,
        ge=-1,
        le=1,
        description="correlation of photographs that show the same: neighbours in dense captures have 0.5 to 0.9, of "
        "those of other places 98 in 100 have less than 0.55",
    )
    least_alike: int = Field(
        default=2,
        ge=1,
        description="photographs that show the same and are no sharper: then it is what they show (chosen)",
    )
    reach: int = Field(
        default=50, ge=1, description="photographs before and after among which such are sought (chosen)"
    )


class PhotoConfig(Settings):
    """Which photographs are trained on: somebody chose to take them, so only gross blur says that one went wrong."""

    smeared_share: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="of the others' sharpness, below which one is for the poses only (none of 139 real ones was)",
    )
    least_others: int = Field(
        default=4, ge=1, description="photographs with edges, beside which one can be told to be blurred (chosen)"
    )


class PanoramaViewsConfig(Settings):
    """The pinhole views that stand for a panorama."""

    rings: tuple[tuple[float, int], ...] = Field(
        default=((0.0, 4), (90.0, 1)),
        min_length=1,
        description="pitch in degrees above the horizon, and the number of views all around there; the view up holds "
        "what stands beside together (chosen, not compared with others)",
    )
    lens_views: tuple[tuple[float, float], ...] = Field(
        default=((-45.0, 0.0), (45.0, 0.0), (0.0, 50.0)),
        min_length=1,
        description="yaw and pitch in degrees from the axis of each lens of two fisheyes: no view lies across their "
        "seam, where they see near things from two places (chosen)",
    )
    fov_deg: float = Field(default=100.0, gt=20, le=120, description="of a view: neighbours overlap by ten (chosen)")
    finer: int = Field(
        default=2, ge=1, description="times the side at which sharpness is judged: a view is a quarter of it (chosen)"
    )
    quality: int = Field(default=96, ge=50, le=100, description="of the views' JPEG files, as of stills")
    nadir_deg: float = Field(
        default=40.0,
        ge=0,
        lt=90,
        description="half of the cone straight down that is masked in every view: whoever carries the camera (chosen)",
    )
    least_shown: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="of a view: of a part of a sphere views that show less are left out (chosen)",
    )


class SelectConfig(Settings):
    """Settings of the second stage. Photographs are all taken, whatever these say about number and motion."""

    max_frames: int = Field(
        default=300, ge=2, description="most images from all videos together; a panorama counts for each of its views"
    )
    fps: float | None = Field(default=None, gt=0, description="take so many frames a second, whatever they show")
    every: int | None = Field(default=None, ge=1, description="take every so many frames, whatever they show")
    start_s: float = Field(default=0.0, ge=0, description="from where in each video, counted from its first frame")
    end_s: float | None = Field(default=None, gt=0, description="up to where in each video")
    min_motion: float = Field(
        default=0.04, gt=0, le=1, description="image motion between frames taken, as a share of the picture's diagonal"
    )
    pose_only: bool = Field(
        default=True,
        description="frames too blurred or too redundant to train on help the solve alone; False: all train",
    )
    sharpness: SharpnessConfig = SharpnessConfig()
    motion: MotionConfig = MotionConfig()
    exposure: ExposureConfig = ExposureConfig()
    cuts: CutConfig = CutConfig()
    revisits: RevisitConfig = RevisitConfig()
    spacing: SpacingConfig = SpacingConfig()
    training: TrainingConfig = TrainingConfig()
    photos: PhotoConfig = PhotoConfig()
    content: ContentConfig = ContentConfig()
    panoramas: PanoramaViewsConfig = PanoramaViewsConfig()

    @model_validator(mode="after")
    def _one_rate_and_a_stretch(self) -> SelectConfig:
        if self.fps is not None and self.every is not None:
            raise ValueError("fps and every are two rates; give one of them")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError(f"the stretch ends at {self.end_s:g} s and begins at {self.start_s:g} s; it is empty")
        return self

    def asked_for(self, times_s: Float) -> Bool:
        """(F,) which frames of a video with these times are in the stretch that is asked for."""
        own_s = times_s - times_s[0]
        inside = own_s >= self.start_s - _ROUNDING_S
        return np.asarray(inside if self.end_s is None else inside & (own_s <= self.end_s + _ROUNDING_S))

    @property
    def anchor_step(self) -> float:
        """Image motion after which it is measured from a new anchor, and within which a place is the same."""
        return self.min_motion / 2
