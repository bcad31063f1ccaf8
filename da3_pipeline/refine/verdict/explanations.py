"""What every gate measures, what it means for a trained splat that it fails, where that is, and what to do about it.

A gate without an entry here cannot be asked. The order is that in which failed gates are told: what names a place and a
cause comes before what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arrays import Int
from .places import (
    Locate,
    across,
    at_jump,
    between_pairs,
    disagreeing_pairs,
    large_errors,
    least,
    lost,
    most,
    of_camera,
    of_frames,
    whole_capture,
)
from .traces import Traces

__all__ = ["EXPLANATIONS", "Explanation"]

_DOUBLE = "training would paint what they show twice, in two places"
_OFF = "the splat would be blurred or bent where these cameras look"
_UNIT = "the scene may be bent or stretched, and its views from between the pictures wrong"
_THIN = "a few wrong matches could carry the cameras off; fine detail is not held by anything"
_GUESS = "the matches would fit other cameras as well, and a wrong guess bends the scene"
_TWO = "two views fit many scenes alike: depth would be a guess"


@dataclass(frozen=True)
class Explanation:
    """meaning: what is measured. finding: what is wrong at `{where}`, a sentence. consequence: for a trained splat.
    remedy: the one thing to do about it, at `{where}`, too. locate: finds the place. None begins with a name, which a
    capital letter would change."""

    meaning: str
    finding: str
    consequence: str
    remedy: str
    locate: Locate


def _log_ratios(ratios: Callable[[Traces], dict[str, float]]) -> Callable[[Traces], dict[str, float]]:
    return lambda traces: {name: abs(float(np.log(max(x, 1e-300)))) for name, x in ratios(traces).items()}


def _pairs_of(traces: Traces, numbers: Int | None) -> Int:
    """(K, 2) frames of pairs of matches."""
    return traces.problem.matches.frames[np.zeros(0, np.int64) if numbers is None else numbers]


_FOV = of_camera(lambda traces: {name: abs(float(np.log(x / 60.0))) for name, x in traces.fov_deg.items()})

EXPLANATIONS: dict[str, Explanation] = {
    "refuted neighbours": Explanation(
        meaning="pairs next to each other in the capture whose matches the poses refute",
        finding="torn apart: {where} are next to each other and were put in different places",
        consequence=_DOUBLE,
        remedy="look there, and add images between {where}, or mask what repeats",
        locate=between_pairs(lambda traces: _pairs_of(traces, traces.torn)),
    ),
    "refuted overlap": Explanation(
        meaning="share of pairs whose matches the poses refute though both pictures show the same",
        finding="images that should show the same match by something else, things look alike here: {where}",
        consequence="two places would be painted over one another",
        remedy="mask what looks alike in {where}, or film the way from one to the other",
        locate=between_pairs(lambda traces: _pairs_of(traces, traces.doubled)),
    ),
    "bare views": Explanation(
        meaning="share of neighbouring cameras that find next to nothing of each other's points",
        finding="cameras at one place share next to nothing, and may show places that look alike: {where}",
        consequence="two places would be painted over one another",
        remedy="mask what looks alike in {where}",
        locate=between_pairs(lambda traces: traces.bare),
    ),
    "weakest cut": Explanation(
        meaning="agreeing matches between the two parts that agree least",
        finding="the capture falls into two parts that do not fit together; they should meet at {where}",
        consequence="one part would stand in the wrong place, and what both show would be there twice",
        remedy="add images between {where}, a small step apart",
        locate=across(lambda traces: traces.cut),
    ),
    "points across": Explanation(
        meaning="points seen twice on either side that hold on both, of the two parts that hold least",
        finding="two parts of the capture have unlike sizes, or lie wrong to each other; they should meet at {where}",
        consequence="one part would be too large or too small for the other, and what both show would be there twice",
        remedy="add images between {where}, a small step apart and a step aside",
        locate=across(lambda traces: traces.seam),
    ),
    "scale jump": Explanation(
        meaning="log ratio of scales from depth to tracks",
        finding="the scene changes its size between {where}",
        consequence="what lies before and after would not meet: walls stand double, and are bent between",
        remedy="add images between {where} that show something of both sides",
        locate=at_jump(lambda traces: traces.scale),
    ),
    "speed jump": Explanation(
        meaning="largest step over the usual one in the video",
        finding="the camera leaps between {where}, as no hand does",
        consequence="what is filmed after the leap would stand in a wrong place",
        remedy="film the way between {where} again, slowly, or cut the video there and give two",
        locate=at_jump(lambda traces: traces.speed),
    ),
    "image motion": Explanation(
        meaning="of an image, between matches of the median pair",
        finding="most of the picture stands still in {where}, as before a turntable",
        consequence="the cameras would follow what stands still, and the thing that turns be smeared",
        remedy="mask what stands still behind the thing that turns (--masks), or walk around it",
        locate=whole_capture,
    ),
    "refined share": Explanation(
        meaning="frames held together by verified tracks",
        finding="nothing verified holds {where} in place",
        consequence="these images, and what only they show, would be missing from the splat",
        remedy="film {where} again, each image sharing two thirds of what it shows with the one before",
        locate=lost,
    ),
    "weakest frames": Explanation(
        meaning="agreeing matches of the worst tenth of the frames",
        finding="the matches of {where} do not agree with where their cameras were put",
        consequence=_OFF,
        remedy="leave out {where}, or add images around them",
        locate=least(lambda traces: traces.agreement),
    ),
    "odd frame": Explanation(
        meaning="agreeing matches of the frame that has the smallest share of them, over those of the median frame",
        finding="the matches of {where} agree far less than those of all others with where the cameras were put",
        consequence=_OFF,
        remedy="leave out {where}, or add images around them",
        locate=least(lambda traces: traces.usual_agreement),
    ),
    "match agreement": Explanation(
        meaning="verified matches that the poses explain",
        finding="many matches contradict the cameras, most of all those between {where}",
        consequence="things that look alike were taken for one, or something moved: parts would be torn or doubled",
        remedy="mask what repeats or moves in {where}",
        locate=disagreeing_pairs,
    ),
    "focal vs EXIF": Explanation(
        meaning="log ratio of focal lengths",
        finding="another focal length than EXIF's came out for {where}",
        consequence=_UNIT,
        remedy="give the focal length of {where} with --intrinsics, or add images from nearer and farther away",
        locate=of_camera(_log_ratios(lambda traces: traces.exif)),
    ),
    "focal vs prior": Explanation(
        meaning="log ratio of focal lengths",
        finding="another focal length than the prior sees in the pictures came out for {where}",
        consequence=_UNIT,
        remedy="add images from nearer and farther away with {where}, or give its focal length with --intrinsics",
        locate=of_camera(_log_ratios(lambda traces: traces.prior)),
    ),
    "narrow view": Explanation(
        meaning="degrees of field of view",
        finding="a view as narrow as a telescope's came out for {where}",
        consequence=_UNIT,
        remedy="add images from the sides and from nearer with {where}, or give its focal length with --intrinsics",
        locate=_FOV,
    ),
    "wide view": Explanation(
        meaning="degrees of field of view",
        finding="a view wider than lenses have came out for {where}",
        consequence=_UNIT,
        remedy="add images from the sides and from nearer with {where}, or give its focal length with --intrinsics",
        locate=_FOV,
    ),
    "halves, rotation": Explanation(
        meaning="degrees between fits to either half of the tracks",
        finding="either half of the points alone would turn the cameras of {where} another way",
        consequence=_OFF,
        remedy="add images around {where}, from a step to the side",
        locate=most(lambda traces: traces.halves_deg),
    ),
    "halves, position": Explanation(
        meaning="the same, a share of the extent",
        finding="either half of the points alone would put the cameras of {where} in another place",
        consequence=_OFF,
        remedy="add images around {where}, from a step to the side",
        locate=most(lambda traces: traces.halves_position),
    ),
    "parallax": Explanation(
        meaning="degrees between the rays of the median point",
        finding="the camera hardly moved sideways in {where}",
        consequence="depth would be a guess: the splat looks right from where it was filmed alone",
        remedy="film {where} again while walking sideways, not turning on the spot",
        locate=least(lambda traces: traces.parallax_deg),
    ),
    "observations": Explanation(
        meaning="tracks seen by the median frame",
        finding="few points could be matched in {where}",
        consequence=_THIN,
        remedy="film {where} again: slowly, in focus, in more light, and not of bare walls alone",
        locate=least(lambda traces: traces.observations),
    ),
    "track length": Explanation(
        meaning="frames a point",
        finding="few images see the same points in {where}",
        consequence="errors add up from image to image, and long captures bend",
        remedy="add images between those of {where}, so that each point is in three or more",
        locate=least(lambda traces: traces.track_length),
    ),
    "cells covered": Explanation(
        meaning="share of the median image that tracks cover",
        finding="points are matched in a small part of the picture alone in {where}",
        consequence="what lies outside that part is not held by anything, and may be bent",
        remedy="film {where} again with things in view that have some texture",
        locate=least(lambda traces: traces.covered),
    ),
    "held-out error": Explanation(
        meaning="pixels, median of observations fitted to nothing",
        finding="points that were not fitted to miss their places in {where}",
        consequence=_OFF,
        remedy="mask what moves in {where}, or film it again more slowly",
        locate=most(lambda traces: traces.held_out_px),
    ),
    "median error": Explanation(
        meaning="pixels between tracks and their points",
        finding="points miss their places in {where}",
        consequence="fine detail would be blurred by as much",
        remedy="give the lens with --intrinsics, or film {where} again without blur and with a fixed zoom",
        locate=most(lambda traces: traces.error_px),
    ),
    "p95 error": Explanation(
        meaning="pixels, the worst twentieth",
        finding="many points miss their places by far in {where}",
        consequence="what moved or was mistaken would be smeared",
        remedy="mask what moves or mirrors in {where}",
        locate=large_errors,
    ),
    "known focal": Explanation(
        meaning="share of cameras whose focal length was given",
        finding="two views leave the focal length open of {where}",
        consequence=_TWO,
        remedy="give the focal length with --intrinsics, or add pictures",
        locate=least(lambda traces: traces.known_focal),
    ),
    "relief": Explanation(
        meaning="share of matches that no plane explains",
        finding="nearly all that {where} share lies in one plane",
        consequence=_TWO,
        remedy="add pictures that show something nearer and something farther away",
        locate=least(lambda traces: traces.observations),
    ),
    "points of two views": Explanation(
        meaning="points that both views see",
        finding="few points are in both of {where}",
        consequence=_TWO,
        remedy="add pictures between {where}",
        locate=least(lambda traces: traces.observations),
    ),
    "parallax of two views": Explanation(
        meaning="degrees between the rays of the median point",
        finding="taken from nearly one place: {where}",
        consequence=_TWO,
        remedy="add pictures from a step or two to the side of {where}",
        locate=least(lambda traces: traces.parallax_deg),
    ),
    "look-alikes": Explanation(
        meaning="share of matches that the poses refute, where no order of the capture tells look-alikes apart",
        finding="things look alike here, as in {where}, and nothing tells which is which",
        consequence="sides of a thing that look alike might be painted over one another",
        remedy="name the pictures in the order they were taken in, film it as a video, or mask what looks alike",
        locate=between_pairs(lambda traces: _pairs_of(traces, traces.alike)),
    ),
    "linking points": Explanation(
        meaning="points that three views or more see",
        finding="hardly a point is in three pictures, least of all in {where}: the distances between pairs are open",
        consequence=_GUESS,
        remedy="add pictures between {where} and the others",
        locate=least(lambda traces: traces.links),
    ),
    "weakest of few views": Explanation(
        meaning="agreeing matches of the frame that agrees least",
        finding="the matches of {where} do not all agree with its camera, and few views outvote no false ones",
        consequence=_GUESS,
        remedy="add pictures between {where} and the others",
        locate=least(lambda traces: traces.agreement),
    ),
    "agreement of few views": Explanation(
        meaning="verified matches that the poses explain: among few views nothing outvotes the false ones",
        finding="matches contradict the cameras, most of all between {where}, and few views outvote no false ones",
        consequence=_GUESS,
        remedy="add pictures between {where}",
        locate=disagreeing_pairs,
    ),
    "parts of the scene": Explanation(
        meaning="degrees, standard error of a pair's rotation or direction over the parts of the scene",
        finding="without one part or another of what they show the cameras of {where} would stand elsewhere",
        consequence=_GUESS,
        remedy="add pictures beside {where}",
        locate=most(lambda traces: traces.scatter_deg),
    ),
    "focal uncertainty": Explanation(
        meaning="one sigma, relative, of the focal length that matches tell least of",
        finding="the matches leave open how long the focal length is of {where}",
        consequence=_GUESS,
        remedy="add pictures from nearer and from the sides with {where}",
        locate=of_camera(lambda traces: traces.focal_sigmas),
    ),
    "cropped pictures": Explanation(
        meaning="pictures whose optical centre lies aside, or would, were it free",
        finding="pictures were cropped to one side, and where their centres went is hardly known: {where}",
        consequence="their cameras may be turned by a degree or two",
        remedy="give the uncropped originals of {where}",
        locate=lambda traces, _: of_frames(traces, traces.cropped),
    ),
    "free lens": Explanation(
        meaning="degrees that cameras turn when lenses may bend as they like",
        finding="a lens that bends would turn the cameras of {where}",
        consequence=_GUESS,
        remedy="give the lens with --intrinsics, or add pictures that show the same things in other corners",
        locate=most(lambda traces: traces.bent_deg),
    ),
    "parallax of few views": Explanation(
        meaning="degrees between the rays of the median point",
        finding="the camera hardly moved sideways in {where}",
        consequence=_GUESS,
        remedy="add pictures from a step or two to the side of {where}",
        locate=least(lambda traces: traces.parallax_deg),
    ),
    "let go, rotation": Explanation(
        meaning="degrees that cameras turn when the prior lets go of them",
        finding="the prior alone holds the cameras of {where}; their matches would turn them another way",
        consequence=_GUESS,
        remedy="add pictures between {where} and the others",
        locate=most(lambda traces: traces.let_go_deg),
    ),
    "let go, focal": Explanation(
        meaning="log ratio of focal lengths when the prior lets go of them",
        finding="the prior alone holds the focal length of {where}; the matches would change it",
        consequence=_GUESS,
        remedy="add pictures from nearer and farther away with {where}, or give its focal length with --intrinsics",
        locate=of_camera(
            lambda traces: {} if traces.few is None or not traces.few.let_go else {traces.few.let_go.camera: 1.0}
        ),
    ),
}
