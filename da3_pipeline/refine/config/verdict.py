"""What can be set about the verdict."""

from __future__ import annotations

from pydantic import Field

from ...settings import Settings

__all__ = ["ContradictionConfig", "QualityConfig"]


class ContradictionConfig(Settings):
    """What counts as evidence against a solution (see `contradictions`)."""

    reach: int = Field(
        default=2, ge=1, description="places in capture order within which frames are neighbours (chosen)"
    )
    fewest_matches: int = Field(
        default=30, ge=8, description="of neighbours that are refuted: twice what verification asks for (chosen)"
    )
    order_sigmas: float = Field(
        default=3.0,
        ge=0,
        description="of chance, by which photographs next to each other must rank above others by their matches, for "
        "their order to mean something: 3.0 to 8.3 in et, fountain-P11, castle-P19, Herz-Jesus, kitchen and rendered "
        "rounds, of which some match all with all; -0.4 and 0.5 in two out of order, 1.9 to 2.6 in ninety-nine "
        "of a hundred shuffles of each. Without, castle-P19 under shuffled names lost frames, half of them once",
    )
    refuted_share: float = Field(
        default=0.3,
        gt=0,
        lt=1,
        description="of their matches that agree at most: 0.03 and 0.08 where a can folded (can_on_tiles), 0.46 and "
        "more of neighbours where all was right (Strecha, et, monstree, kitchen, sacre_coeur)",
    )
    held_share: float = Field(
        default=0.5, gt=0, le=1, description="of their matches that agree at least where neighbours are held (chosen)"
    )
    overlap_deg: float = Field(
        default=45.0,
        gt=0,
        lt=90,
        description="between the rays from two cameras to one point, up to which refuted pictures should have matched "
        "by it: 15 of 19 refuted pairs of a folded cupola should, none of 16 in castle-P19 and 50 around a fountain, "
        "which were right",
    )
    overlap_zoom: float = Field(default=2.0, gt=1, description="ratio of their distances from it (chosen)")
    chain_deg: float = Field(
        default=45.0,
        gt=0,
        lt=180,
        description="between a pair's own rotation and that of the neighbours between them, beyond which they are "
        "look-alikes: chains drift, and sides of things are 90 or 180 degrees apart (chosen)",
    )
    nearest: int = Field(default=10, ge=1, description="cameras that each is compared with (chosen)")
    near_deg: float = Field(
        default=15.0,
        gt=0,
        lt=90,
        description="between the rays from two cameras to one point: SIFT finds 0.2 to 0.7 of such points again where "
        "all was right, 0.04 and 0.08 of them in a folded can",
    )
    most_zoom: float = Field(default=1.5, gt=1, description="ratio of their distances from it (chosen)")
    margin: float = Field(default=0.03, ge=0, lt=0.5, description="of the picture, where points may be missed (chosen)")
    fewest_points: int = Field(
        default=100, ge=10, description="that should be found again; of fewer most may be hidden (monstree: 40 to 80)"
    )
    least_common: float = Field(default=0.3, gt=0, le=1, description="of the first view's points, likewise (chosen)")
    blurred: float = Field(
        default=0.6,
        gt=0,
        lt=1,
        description="of the first view's sharpness, under which the second is blurred, and few of the first's points "
        "are expected in it: as selection tells blur; rendered blurred pictures 0.2 to 0.5, sharp ones of three "
        "real captures 0.57 and more",
    )
    fewest_of_blurred: int = Field(
        default=30, ge=1, description="points of a blurred view that the first should show: fewer say nothing (chosen)"
    )
    bare_share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="of what a quarter of such pairs share at least, under which one shares next to nothing (chosen)",
    )


class QualityConfig(Settings):
    """Gates of the verdict. Pixels are those of the working image."""

    min_refined_share: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="of the images, strangers apart; the others are left out and named (chosen)",
    )
    most_strangers: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="of the images, which may match no other, and so show another place, without being lost: two "
        "of twelve did (cyprus_wrong)",
    )
    strangers_from: int = Field(
        default=8, ge=2, description="refined frames, under which one that matches nothing may as well be lost (chosen)"
    )
    least_remaining: float = Field(
        default=0.55,
        ge=0.5,
        le=1,
        description="of the images, that must hold together beside a part whose size nothing fixes, for that to be "
        "left out and the rest to be solved for itself: clearly more than half, or which of the two was meant is "
        "anyone's guess (chosen; of a phone's walk that ends in a pan 59 % are the walk)",
    )
    place_from: int = Field(
        default=8,
        ge=3,
        description="images that are left out and match each other, from which they may show another place of the "
        "capture (chosen: fewer prove little by themselves)",
    )
    min_agreement: float = 0.8
    max_median_error_px: float = 1.0
    max_p95_error_px: float = 3.5
    min_weakest_agreement: float = 0.5
    min_odd_frame: float = Field(
        default=0.65,
        ge=0,
        le=1,
        description="of the median frame's agreement, that any frame must reach: 0.54 of one that stood 20 degrees off "
        "among 37 of a tower, 0.79 and more where all was right (castle-P19, Herz-Jesus, kitchen, monstree, skull, "
        "brighton_beach, an orbit, a street)",
    )
    min_cut_agreement: float = Field(
        default=0.5, description="of matches between any two parts; a fold has nearly none"
    )
    min_points_across: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="of points that two frames on either side of any cut see, that hold on both: 0.005 in a street "
        "that fell into two parts of unlike size, 0.66 and more where all was right (castle-P19, whose fronts repeat)",
    )
    min_points_across_of_rest: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="the same of what remains when a part leaves that is torn off: it is chosen by what it holds, so "
        "that it must hold nearly what right captures do",
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
    max_refuted_neighbours: float = Field(
        default=0,
        ge=0,
        description="pairs of neighbours in the capture whose matches the poses refute: a fold, or a wrong jump",
    )
    max_refuted_overlap: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="of pairs with many matches, refuted though both show the same: 0 where all was right (castle-P19, "
        "Herz-Jesus, monstree, et, kitchen, two rendered), 0.05 and 0.07 in two rendered folds",
    )
    max_look_alikes: float = Field(
        default=0.08,
        ge=0,
        le=1,
        description="of matches, refuted, without an order that tells: 0.03 of castle-P19's, which is right, 0.14 "
        "where a tower of equal sides came out as one side",
    )
    max_bare_views: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="of pairs of cameras at nearly one place that find next to nothing of each other's points: up to "
        "0.01 where all was right, 0.1 and more in folds",
    )
    few_views: int = Field(
        default=12,
        ge=2,
        description="so few frames must prove what their matches leave open: nine small pictures of a room came "
        "out up to 1.9 degrees off, one part a seventh too large, and showed it in their halves alone (1.1 degrees)",
    )
    scattered_views: int = Field(
        default=100,
        ge=2,
        description="so many frames must stay where they are without any part of the scene: nineteen pictures with "
        "heavy grain came out at half an AUC@1 and showed it in nothing else. Beyond, cameras that are far apart "
        "scatter by what lies between them, and the share of all pairs no longer tells (chosen)",
    )
    min_pair_relief: float = Field(
        default=0.2, ge=0, le=1, description="of two views; a plane has several answers; chosen, not measured"
    )
    min_pair_observations: float = Field(default=100, ge=0, description="of two views; chosen, not measured")
    min_pair_parallax_deg: float = Field(default=3.0, ge=0, description="of two views; chosen, not measured")
    min_linking_points: float = Field(
        default=15,
        ge=0,
        description="points in three views or more, of few views, without which the distances between pairs are "
        "anyone's (chosen: how well they tell them shows in `max_scatter_deg`; eighteen and more where all was right)",
    )
    min_few_agreement: float = Field(
        default=0.85,
        ge=0,
        le=1,
        description="of verified matches, of few views, which nothing outvotes: 0.85 and more where all was right, but "
        "for one of 0.73 (the subsets of `max_scatter_deg`)",
    )
    min_few_weakest: float = Field(
        default=0.75,
        ge=0,
        le=1,
        description="of each frame's matches, of few views: 0.76 and more where all was right, but for one of 0.64 "
        "(the same subsets)",
    )
    max_scatter_deg: float = Field(
        default=0.6,
        gt=0,
        description="standard error of a pair's rotation or direction over parts of the scene, the mean pair's. It "
        "foretells the error: medians of both are 0.15 degrees where all was right, where four fifths scatter up to "
        "0.45; wrong and seen by nothing else: 1.7 and more (people who walk, unlike sizes, a front that repeats; 124 "
        "subsets of three to five pictures of nine captures and twelve rendered worlds)",
    )
    max_scatter_of_many_deg: float = Field(
        default=1.5,
        gt=0,
        description="the same of more than `few_views`, where nearly all matches agree: brighton_beach, 18 photographs "
        "straight down, scatters by 1.0; ours fits its GPS to 0.43 m, and two solutions of COLMAP's are farther apart "
        "(AUC@5 52) than ours from either (75, 84). Set on it alone; no wrong one is known there (chosen)",
    )
    max_doubtful_scatter_deg: float = Field(
        default=0.3,
        gt=0,
        description="the same, where fewer matches agree than `sure_agreement`: 0.39 and 0.46 of pictures "
        "1.4 and 3.8 degrees off, up to 0.27 where all was right, but for two of 0.34 and 0.40 (the same subsets). Of "
        "more views 0.41 and 0.56 of pictures 0.7 degrees off (blur, grain), up to 0.25 where all was right "
        "(24 rendered worlds, castle-P19)",
    )
    ample_parallax_deg: float = Field(
        default=3.5,
        ge=0,
        description="under which cameras may scatter by `scatter_by_parallax` of it at most: there a lens "
        "that bends, and tiles that repeat along the way, turn directions of motion by more than parts of the scene "
        "tell (chosen: of ten that were right and had less, nine scatter by under 0.08 of it)",
    )
    scatter_by_parallax: float = Field(
        default=0.1,
        gt=0,
        description="0.12 and 0.21 of pictures 2 and 20 degrees off that had passed (2.7 and 2.6 degrees of parallax), "
        "0.14 and 0.21 of others that were wrong; 0.05 to 0.08 of nine that were right, 0.11 of a tenth (124 subsets "
        "of each of two seeds)",
    )
    sure_agreement: float = Field(
        default=0.95, ge=0, le=1, description="of verified matches, from which cameras are not doubtful"
    )
    max_let_bend_deg: float = Field(
        default=0.1,
        gt=0,
        description="that few views turn when lenses may bend, where that explains errors: up to 0.02 where all was "
        "right, 0.26 and more where a lens model too poor had bent the scene instead (60 subsets of four worlds)",
    )
    max_vain_bend_deg: float = Field(
        default=0.25,
        gt=0,
        description="where it explains next to nothing, and the matches merely leave open how cameras turn: 0.19 in "
        "sacre_coeur, a camera a picture, which is right; 0.28 and 1.2 in subsets that were wrong for want of parallax",
    )
    least_explained: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="of the squared errors, that a better lens model removes: 0.32 to 0.68 where the one was too poor "
        "(barrels and fisheyes), up to 0.06 where all was right, but for 0.15 of one that looked straight ahead "
        "(41 subsets of sacre_coeur, et, castle-P19 and four rendered worlds)",
    )
    min_few_parallax_deg: float = Field(
        default=2.5,
        ge=0,
        description="of few views: 3.0 and more where all was right, 1.9 where a focal length was off",
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

    def least_agreement(self, frames: int) -> float:
        """Match agreement that few views must reach: strict up to five, easing to that of many as false matches are
        outvoted."""
        return self._eased(self.min_few_agreement, self.min_agreement, frames)

    def least_weakest(self, frames: int) -> float:
        """Agreement that each of few views must reach with its own matches; of many it is a tenth that may not."""
        return self._eased(self.min_few_weakest, self.min_weakest_agreement, frames)

    def most_scatter_deg(self, frames: int, agreement: float, parallax_deg: float) -> float:
        """How far cameras may scatter over parts of the scene: less where they are few, where false matches are many,
        or where parallax is small."""
        sure_deg = self.max_scatter_deg if frames <= self.few_views else self.max_scatter_of_many_deg
        most_deg = sure_deg if agreement >= self.sure_agreement else self.max_doubtful_scatter_deg
        ample = parallax_deg >= self.ample_parallax_deg
        return most_deg if ample else min(most_deg, self.scatter_by_parallax * parallax_deg)

    def _eased(self, of_five: float, of_many: float, frames: int) -> float:
        return of_five + min(1.0, max(0.0, (frames - 5) / (self.few_views - 4))) * (of_many - of_five)

    def most_let_bend_deg(self, explained: float) -> float:
        """How far few views may turn when lenses may bend: less where that explains this share of the errors."""
        return self.max_let_bend_deg if explained > self.least_explained else self.max_vain_bend_deg

    def least_track_length(self, frames: int) -> float:
        """Frames a point on average, of more than five views; of few `min_linking_points` shows that they cohere."""
        return self._eased(2.0, self.min_track_length, frames)
