"""Is the scene good enough to train on? Gates in code, judged without any truth."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from ...arrays import Float, Int
from ...types import Gate, NotMeasured, Verdict
from ..config import QualityConfig
from .explanations import EXPLANATIONS
from .places import EVERYWHERE
from .traces import Traces

__all__ = ["Evidence", "cells_covered", "judge_evidence"]


logger = logging.getLogger(__name__)

_GRID = 8
_ORDER = {name: place for place, name in enumerate(EXPLANATIONS)}


@dataclass(frozen=True)
class Evidence:
    """What the gates look at; None where something cannot be measured here. Pixels are working pixels.

    refined_share: frames in the one component that verified tracks carry. agreement: share of all verified matches
    that the poses explain. weakest: the same of the refined frame at the tenth percentile.
    odd_frame: of more than few frames, that of the frame that agrees least, over that of the median one.
    weakest_cut: the same across the worst cut of the refined frames in two (see `folds`). points_across: share of the
    points that two frames on either side of a cut see, that hold on both, of the worst one (see `parts`).
    median_error_px,
    p95_error_px: reprojection over all kept observations. ray_spread_deg: median over points. fov_deg: the longer
    side's, of the camera farthest from 60 degrees. exif_ratio: refined over EXIF focal length, the worst camera;
    prior_ratio: over the prior's, of cameras without EXIF that the user did not give.
    speed_jump, scale_jump: see `jumps`. held_out_px: median error of observations that nothing was fitted to.
    halves_deg, halves_position: how far solutions from either half of the tracks differ (see `halves`). cells: share
    of an image, in cells of an 8 x 8 grid, that tracks cover, the median frame. image_motion: how far matches lie apart
    in their two images, a share of the longer side, the median pair's median.
    false_pairs: verified pairs most of whose matches the poses refute, look-alikes among them; a figure, no gate.
    refuted_neighbours: those of them that are neighbours in the capture; refuted_overlap: share of pairs that are
    refuted though both show the same; look_alikes: share of matches that are refuted, without an order that tells;
    bare_views: share of the pairs of cameras at
    nearly one place that find next to nothing of each other's points (see `contradictions`).

    cropped: pictures cropped to one side; None without any. scatter_deg: how far cameras scatter without parts of the
    scene (see `jackknife`).

    Of few frames, of which matches leave much open (see `uncertainty`): linking_points, adjusted points that three
    frames or more see, without which the distances between pairs are anyone's; weakest_of_few, the agreement of the
    frame whose own matches agree least; let_bend_deg, how far they turn when lenses may bend as they like, and
    bend_explained, the share of squared errors that this removes; focal_sigma, relative, of the focal length that
    is known least; let_go_deg, let_go_focal: how far the cameras and focal lengths move when what the prior holds
    is left to the matches alone, the latter as a log ratio. Of two frames: known_focal, the share of their cameras
    whose focal length the user gave; relief, the share of matches that no plane explains.
    """

    frames: int
    refined_share: float
    agreement: float | None = None
    median_error_px: float | None = None
    p95_error_px: float | None = None
    weakest: float | None = None
    odd_frame: float | None = None
    weakest_cut: float | None = None
    points_across: float | None = None
    observations_per_frame: float | None = None
    mean_track_length: float | None = None
    ray_spread_deg: float | None = None
    fov_deg: float | None = None
    exif_ratio: float | None = None
    prior_ratio: float | None = None
    speed_jump: float | None = None
    held_out_px: float | None = None
    halves_deg: float | None = None
    halves_position: float | None = None
    cells: float | None = None
    scale_jump: float | None = None
    image_motion: float | None = None
    false_pairs: float | None = None
    refuted_neighbours: float | None = None
    refuted_overlap: float | None = None
    look_alikes: float | None = None
    bare_views: float | None = None
    cropped: float | None = None
    linking_points: float | None = None
    weakest_of_few: float | None = None
    scatter_deg: float | None = None
    let_bend_deg: float | None = None
    bend_explained: float | None = None
    focal_sigma: float | None = None
    let_go_deg: float | None = None
    let_go_focal: float | None = None
    known_focal: float | None = None
    relief: float | None = None


@dataclass(frozen=True)
class _Row:
    """A gate to be, which has a place in `EXPLANATIONS`. `absent` says why, where there is no value. A gate of `proof`
    that fails speaks for nothing wrong: the scene is merely not proven."""

    name: str
    value: float | None
    relation: str
    limit: float
    absent: str = "no frame was refined"
    proof: bool = False

    def gate(self, traces: Traces | None) -> Gate:
        value, about = float("nan") if self.value is None else float(self.value), EXPLANATIONS[self.name]
        passed = value >= self.limit if self.relation == ">=" else value <= self.limit
        gate = Gate(self.name, value, self.relation, float(self.limit), passed, about.meaning)
        if passed:
            return gate
        place = EVERYWHERE if traces is None else about.locate(traces, gate.limit)
        return replace(
            gate,
            finding=about.finding.format(where=place.words),
            consequence=about.consequence,
            remedy=about.remedy.format(where=place.words),
            place=place,
        )


def judge_evidence(evidence: Evidence, config: QualityConfig, traces: Traces | None = None) -> Verdict:
    """The verdict: passed when every gate that applies is. traces: what the evidence was measured on, for the places of
    gates that fail; without, they are the whole capture.

    Infinity fails its gate; so does NaN, which only a fault of ours can bring about. What could not be measured is
    told. Where nothing but proof is missing the scene is unverified.
    """
    rows = [*_rows(evidence, config), *_proofs(evidence, config)]
    rows.sort(key=lambda row: _ORDER[row.name])
    asked = [(row, row.gate(traces)) for row in rows if row.value is not None]
    missing = tuple(NotMeasured(row.name, row.absent) for row in rows if row.value is None and not row.proof)
    gates = tuple(gate for _, gate in asked)
    failed = [(row, gate) for row, gate in asked if not gate.passed]
    for gate in gates:
        if np.isnan(gate.value):
            logger.error("the gate %s has no number: this is a fault of da3-pipeline, please report it", gate.name)
    if not failed:
        names = ", ".join(absent.gate for absent in missing)
        apart = f", {len(missing)} {'does' if len(missing) == 1 else 'do'} not apply: {names}" if missing else ""
        return Verdict(True, gates, f"good: {len(gates)} gates passed{apart}", not_measured=missing)
    worst = "; ".join(f"{gate.name} {gate.value:.3g}, needed {gate.relation} {gate.limit:.3g}" for _, gate in failed)
    unverified = all(row.proof for row, _ in failed)
    first = next(gate for row, gate in failed if unverified or not row.proof)
    said = f"{'unverified' if unverified else 'below the gates'}: {first.finding}; {first.remedy} ({worst})"
    return Verdict(False, gates, said, unverified=unverified, not_measured=missing)


def _rows(e: Evidence, c: QualityConfig) -> list[_Row]:
    """What every scene is asked."""
    return [
        _Row("refined share", e.refined_share, ">=", c.min_refined_share),
        _Row("match agreement", e.agreement, ">=", c.min_agreement),
        _Row("median error", e.median_error_px, "<=", c.max_median_error_px),
        _Row("p95 error", e.p95_error_px, "<=", c.max_p95_error_px),
        _Row("weakest frames", e.weakest, ">=", c.min_weakest_agreement),
        _Row("odd frame", e.odd_frame, ">=", c.min_odd_frame, "few frames, of which more is asked, or no matches"),
        _Row(
            "weakest cut",
            e.weakest_cut,
            ">=",
            c.min_cut_agreement,
            "fewer than four frames, or too few matches between any parts",
        ),
        _Row(
            "points across",
            e.points_across,
            ">=",
            c.min_points_across,
            "too few points that two frames on either side of a cut see",
        ),
        _Row("observations", e.observations_per_frame, ">=", c.min_observations),
        _Row("track length", e.mean_track_length, ">=", c.least_track_length(e.frames)),
        _Row("parallax", e.ray_spread_deg, ">=", c.min_parallax_deg),
        _Row("narrow view", e.fov_deg, ">=", c.min_fov_deg),
        _Row("wide view", e.fov_deg, "<=", c.max_fov_deg),
        _Row("focal vs EXIF", _log(e.exif_ratio), "<=", c.max_exif_log_ratio, "no focal length in EXIF"),
        _Row(
            "focal vs prior",
            _log(e.prior_ratio),
            "<=",
            c.max_prior_log_ratio,
            "EXIF or the user tells every focal length, or the prior has not proved its own here",
        ),
        _Row("speed jump", e.speed_jump, "<=", c.max_speed_jump, "no video of five frames"),
        _Row(
            "held-out error", e.held_out_px, "<=", c.max_held_out_px, "too few tracks that the adjustment did not use"
        ),
        _Row(
            "halves, rotation",
            e.halves_deg,
            "<=",
            c.max_halves_deg,
            "fewer than three frames or sixty tracks, a rig, or given poses",
        ),
        _Row(
            "halves, position",
            e.halves_position,
            "<=",
            c.max_halves_position,
            "fewer than three frames or sixty tracks, a rig, or given poses",
        ),
        _Row("cells covered", e.cells, ">=", c.min_cells),
        _Row(
            "scale jump",
            e.scale_jump,
            "<=",
            c.max_scale_jump,
            "fewer than ten frames with depth, or the prior has not proved its depth here",
        ),
        _Row(
            "refuted neighbours",
            e.refuted_neighbours,
            "<=",
            c.max_refuted_neighbours,
            "no neighbours with matches enough, or names whose order tells nothing",
        ),
        _Row("refuted overlap", e.refuted_overlap, "<=", c.max_refuted_overlap, "no pairs with matches enough"),
        _Row("bare views", e.bare_views, "<=", c.max_bare_views, "no cameras so near to each other"),
        _Row("image motion", e.image_motion, ">=", c.min_image_motion, "no matches"),
    ]


def _proofs(e: Evidence, c: QualityConfig) -> list[_Row]:
    """What few views, and pictures of look-alikes, must show: what is wrong with them shows in nothing else."""
    pair = e.frames == 2
    most_scatter_deg = c.most_scatter_deg(e.frames, e.agreement or 0.0, e.ray_spread_deg or 0.0)
    return [
        _Row("cropped pictures", e.cropped, "<=", 0.0, proof=True),
        _Row("known focal", e.known_focal, ">=", 1.0, proof=True),
        _Row("relief", e.relief, ">=", c.min_pair_relief, proof=True),
        _Row(
            "points of two views", e.observations_per_frame if pair else None, ">=", c.min_pair_observations, proof=True
        ),
        _Row("parallax of two views", e.ray_spread_deg if pair else None, ">=", c.min_pair_parallax_deg, proof=True),
        _Row("look-alikes", e.look_alikes, "<=", c.max_look_alikes, proof=True),
        _Row("linking points", e.linking_points, ">=", c.min_linking_points, proof=True),
        _Row(
            "agreement of few views",
            e.agreement if e.linking_points is not None else None,
            ">=",
            c.least_agreement(e.frames),
            proof=True,
        ),
        _Row("weakest of few views", e.weakest_of_few, ">=", c.least_weakest(e.frames), proof=True),
        _Row("parts of the scene", e.scatter_deg, "<=", most_scatter_deg, proof=True),
        _Row("focal uncertainty", e.focal_sigma, "<=", c.max_focal_sigma, proof=True),
        _Row("free lens", e.let_bend_deg, "<=", c.most_let_bend_deg(e.bend_explained or 0.0), proof=True),
        _Row(
            "parallax of few views",
            e.ray_spread_deg if e.linking_points is not None else None,
            ">=",
            c.min_few_parallax_deg,
            proof=True,
        ),
        _Row("let go, rotation", e.let_go_deg, "<=", c.max_let_go_deg, proof=True),
        _Row("let go, focal", e.let_go_focal, "<=", c.max_let_go_focal, proof=True),
    ]


def _log(ratio: float | None) -> float | None:
    """|log| of a ratio; infinite for one that is no length's."""
    if ratio is None:
        return None
    return abs(float(np.log(ratio))) if ratio > 0 else float("nan") if np.isnan(ratio) else float("inf")


def cells_covered(frame: Int, xy: Float, size_px: Float) -> Float:
    """(N,) share of the 8 x 8 cells of each image with an observation.

    frame (M,), xy (M, 2) of the observations; size_px (N, 2).
    """
    column, row = np.clip(xy / size_px[frame] * _GRID, 0, _GRID - 1e-6).T.astype(int)
    seen = np.unique((frame * _GRID + row) * _GRID + column) // _GRID**2
    return np.asarray(np.bincount(seen, minlength=len(size_px)) / _GRID**2)
