"""Is the scene good enough to train on? Gates in code, judged without any truth."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...arrays import Bool, Float, Int
from ...types import Frame, Gate, Verdict
from ..config import QualityConfig

__all__ = ["Evidence", "cells_covered", "judge_evidence", "scale_jump", "speed_jump"]


_WINDOW = 5  # frames on either side of a jump
_GRID = 8


@dataclass(frozen=True)
class Evidence:
    """What the gates look at; NaN where a figure does not apply. Pixels are working pixels.

    refined_share: frames in the one component that verified tracks carry. agreement: share of all verified matches
    that the poses explain. weakest: the same of the refined frame at the tenth percentile.
    weakest_cut: the same across the worst cut of the refined frames in two (see `cuts`). median_error_px,
    p95_error_px: reprojection over all kept observations. ray_spread_deg: median over points. fov_deg: the longer
    side's, of the camera farthest from 60 degrees. exif_ratio: refined over EXIF focal length, the worst camera;
    prior_ratio: over the prior's, of cameras without EXIF that the user did not give.
    speed_jump, scale_jump: see there. held_out_px: median error of observations that nothing was fitted to.
    halves_deg, halves_position: how far solutions from either half of the tracks differ (see `halves`). cells: share
    of an image, in cells of an 8 x 8 grid, that tracks cover, the median frame. aspect: fx / fy, the worst camera.
    image_motion: how far matches lie apart in their two images, a share of the longer side, the median pair's median.
    false_pairs: verified pairs most of whose matches the poses refute, look-alikes among them; a figure, no gate.
    """

    frames: int
    refined_share: float
    agreement: float
    median_error_px: float
    p95_error_px: float
    weakest: float
    weakest_cut: float
    observations_per_frame: float
    mean_track_length: float
    ray_spread_deg: float
    fov_deg: float
    exif_ratio: float
    prior_ratio: float
    speed_jump: float
    held_out_px: float
    halves_deg: float
    halves_position: float
    cells: float
    scale_jump: float
    aspect: float
    image_motion: float
    false_pairs: float

    @classmethod
    def nothing(cls, frames: int) -> Evidence:
        """No frame was refined, so nothing else can be said."""
        unknown = [float("nan")] * (len(fields(cls)) - 2)
        return cls(frames, 0.0, *unknown)


def judge_evidence(evidence: Evidence, config: QualityConfig) -> Verdict:
    """The verdict: passed when every gate that applies is."""
    e, c = evidence, config
    rows = (
        ("refined share", e.refined_share, ">=", c.min_refined_share, "frames held together by verified tracks"),
        ("match agreement", e.agreement, ">=", c.min_agreement, "verified matches that the poses explain"),
        ("median error", e.median_error_px, "<=", c.max_median_error_px, "pixels between tracks and their points"),
        ("p95 error", e.p95_error_px, "<=", c.max_p95_error_px, "pixels, the worst twentieth"),
        (
            "weakest frames",
            e.weakest,
            ">=",
            c.min_weakest_agreement,
            "agreeing matches of the worst tenth of the frames",
        ),
        (
            "weakest cut",
            e.weakest_cut,
            ">=",
            c.min_cut_agreement,
            "agreeing matches between the two parts that agree least",
        ),
        ("observations", e.observations_per_frame, ">=", c.min_observations, "tracks seen by the median frame"),
        ("track length", e.mean_track_length, ">=", 2.0 if e.frames == 2 else c.min_track_length, "frames a point"),
        ("parallax", e.ray_spread_deg, ">=", c.min_parallax_deg, "degrees between the rays of the median point"),
        ("narrow view", e.fov_deg, ">=", c.min_fov_deg, "degrees of field of view"),
        ("wide view", e.fov_deg, "<=", c.max_fov_deg, "degrees of field of view"),
        ("focal vs EXIF", abs(np.log(e.exif_ratio)), "<=", c.max_exif_log_ratio, "log ratio of focal lengths"),
        ("focal vs prior", abs(np.log(e.prior_ratio)), "<=", c.max_prior_log_ratio, "log ratio of focal lengths"),
        ("speed jump", e.speed_jump, "<=", c.max_speed_jump, "largest step over the usual one in the video"),
        ("held-out error", e.held_out_px, "<=", c.max_held_out_px, "pixels, median of observations fitted to nothing"),
        ("halves, rotation", e.halves_deg, "<=", c.max_halves_deg, "degrees between fits to either half of the tracks"),
        ("halves, position", e.halves_position, "<=", c.max_halves_position, "the same, a share of the extent"),
        ("cells covered", e.cells, ">=", c.min_cells, "share of the median image that tracks cover"),
        (
            "scale jump",
            e.scale_jump,
            "<=",
            c.max_scale_jump,
            "log ratio of scales from depth to tracks",
        ),
        ("image motion", e.image_motion, ">=", c.min_image_motion, "of an image, between matches of the median pair"),
        ("pixel aspect", abs(np.log(e.aspect)), "<=", c.max_aspect_log_ratio, "log ratio of fx and fy"),
    )
    gates = tuple(
        _gate(name, float(value), relation, float(limit), meaning)
        for name, value, relation, limit, meaning in rows
        if np.isfinite(value)
    )
    failed = [gate for gate in gates if not gate.passed]
    if not failed:
        return Verdict(True, gates, f"good: {len(gates)} of {len(gates)} gates passed")
    worst = "; ".join(f"{gate.name} {gate.value:.3g}, needed {gate.relation} {gate.limit:.3g}" for gate in failed)
    return Verdict(False, gates, f"below the gates: {worst}")


def _gate(name: str, value: float, relation: str, limit: float, meaning: str) -> Gate:
    return Gate(name, value, relation, limit, value >= limit if relation == ">=" else value <= limit, meaning)


def speed_jump(frames: tuple[Frame, ...], centres: Float) -> float:
    """Largest speed between consecutive posed frames of a video over its upper quartile; NaN without video.

    Right trajectories are smooth; a fold or a wrong registration makes one step far longer than the rest.
    """
    worst = float("nan")
    for video in sorted({frame.video for frame in frames if frame.video is not None}):
        mine = [k for k, f in enumerate(frames) if f.video == video and f.time_s is not None]
        mine = [k for k in mine if np.isfinite(centres[k]).all()]
        if len(mine) < 5:
            continue
        times = np.array([frames[k].time_s for k in mine], float)
        steps = np.linalg.norm(np.diff(centres[mine], axis=0), axis=1) / np.maximum(np.diff(times), 1e-6)
        typical = float(np.quantile(steps, 0.75))
        if typical > 0:
            worst = float(np.fmax(worst, steps.max() / typical))
    return worst


def scale_jump(scales: Float) -> float:
    """Largest |log ratio| between the scale of frames before and after any place of the capture; NaN for few frames.

    scales (N,) in capture order, from predicted depth to tracks (see `depth_scale`). One network pass predicts all
    depth at one scale, so parts of a solution that drifted apart in size show. Medians of five frames on either side
    bear single frames whose depth is poor.
    """
    known = np.log(scales[np.isfinite(scales) & (scales > 0)])
    if len(known) < 2 * _WINDOW:
        return float("nan")
    medians = np.array([np.median(known[k : k + _WINDOW]) for k in range(len(known) - _WINDOW + 1)])
    return float(np.abs(medians[_WINDOW:] - medians[:-_WINDOW]).max())


def cells_covered(frame: Int, xy: Float, size_px: Float, frames: Bool) -> float:
    """Share of the 8 x 8 cells of an image with an observation, the median of `frames` (N,); NaN without any.

    frame (M,), xy (M, 2) of the observations; size_px (N, 2).
    """
    if not frames.any():
        return float("nan")
    column, row = np.clip(xy / size_px[frame] * _GRID, 0, _GRID - 1e-6).T.astype(int)
    seen = np.unique((frame * _GRID + row) * _GRID + column) // _GRID**2
    return float(np.median(np.bincount(seen, minlength=len(frames))[frames])) / _GRID**2
