"""What can be set about inference, with units, defaults and why they are what they are.

"Chosen" is a value that nobody has measured by itself. What comes of a long capture was measured with all of them as
they stand (docs/LONG_CAPTURES.md). What follows from the networks (patch, normalisation, published resolutions, memory
per token) is no setting and stands where it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = [
    "AUTO",
    "AlignmentConfig",
    "BlendConfig",
    "BudgetConfig",
    "CameraConfig",
    "GraphConfig",
    "InferConfig",
    "LoopConfig",
    "PlacementConfig",
    "ReferenceView",
    "ResizeMethod",
    "RevisitConfig",
    "SequenceConfig",
    "Spread",
    "ViewConfig",
]

AUTO = "auto"

ResizeMethod = Literal["upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop"]
ReferenceView = Literal["saddle_balanced", "saddle_sim_range", "first", "middle"]


class BudgetConfig(Settings):
    """What one pass of the network may cost, and what is given up first where it would cost more."""

    share_of_free: float = Field(
        default=0.8, gt=0, le=1, description="of the free memory; the rest is slack of the allocator (chosen)"
    )
    cpu_attention_ratio: float = Field(
        default=4.0,
        gt=0,
        description="arithmetic of attention across views, quadratic in them, over that of the rest of the trunk: on a "
        "CPU, where time is short before memory is, a pass takes no more views (chosen)",
    )
    least_share_for_one_pass: float = Field(
        default=0.5, gt=0, le=1, description="of the resolution, to which it may fall so that all frames fit (chosen)"
    )
    least_resolution_px: int = Field(
        default=56, ge=28, description="four patches; the resolution falls no further (chosen)"
    )
    least_chunk_views: int = Field(
        default=24,
        ge=2,
        description="resolution falls until so many fit: coarser frames that hold together, rather than fewer "
        "sharper ones (24 took the place of 8; no figure was kept)",
    )
    harmless_scores_gb: float = Field(
        default=1.0, gt=0, description="attention scores that a plain kernel may hold at once on a GPU (chosen)"
    )


class ViewConfig(Settings):
    """How photographs are brought to the network's size, beyond what the published rules say."""

    ordinary_aspect: float = Field(
        default=2.0,
        ge=1,
        description="longer pictures (a panorama, a strip) do not shape the rectangle that all are cropped to (chosen)",
    )
    much_larger: float = Field(
        default=3.0, ge=1, description="times the view: larger photographs are decoded at reduced size (chosen)"
    )
    decoded_per_view: int = Field(
        default=2, ge=1, description="that size, in times the view: so that some averaging is left to do (chosen)"
    )
    little_kept: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="share of a photograph: where less is left of it, a warning says so (chosen)",
    )


class CameraConfig(Settings):
    """What focal lengths and scales are believed."""

    least_fov_deg: float = Field(
        default=15.0, gt=0, lt=180, description="along the longest side; longer focal lengths are not believed (chosen)"
    )
    most_fov_deg: float = Field(
        default=150.0,
        gt=0,
        lt=180,
        description="along the longest side; shorter focal lengths are not believed (chosen)",
    )
    fallback_focal: float = Field(
        default=1.2,
        gt=0,
        description="in longest sides, where nobody says anything: COLMAP's default, about 45 degrees",
    )
    disagreement: float = Field(
        default=1.5, gt=1, description="factor between EXIF's focal length and the prior's that is warned of (chosen)"
    )
    scale_trust: float = Field(
        default=3.0,
        gt=1,
        description="factor by which a network's scale may differ from that of the poses it was told; further is noise "
        "(chosen)",
    )
    least_metric_pixels: int = Field(
        default=100, ge=1, description="clear of sky, without which a view is given no metres (chosen)"
    )


class Spread(Settings):
    """One sigma of one frame: rotation_deg; centre, in units of the frame's depth; log_scale."""

    rotation_deg: float = Field(ge=0)
    centre: float = Field(ge=0)
    log_scale: float = Field(ge=0)


class AlignmentConfig(Settings):
    """How two chunks are aligned by the frames that they share."""

    sampled_pixels: int = Field(default=4096, ge=1, description="of a depth map that are compared, for time (chosen)")
    max_rounds: int = Field(default=8, ge=1, description="of reweighting; it ends before when nothing moves (chosen)")
    half_weight: float = Field(
        default=9.0,
        gt=0,
        description="squared residual of a frame, in sigmas, at which it counts for half; 7 are expected (chosen)",
    )
    floor: Spread = Field(
        default=Spread(rotation_deg=0.05, centre=0.001, log_scale=0.001),
        description="differences below are rounding, and no agreement is worth more (chosen)",
    )
    expected: Spread = Field(
        default=Spread(rotation_deg=1.0, centre=0.02, log_scale=0.03),
        description="what the spread is taken for while few frames tell (chosen)",
    )
    expected_frames: float = Field(default=2.0, gt=0, description="how many frames that is worth (chosen)")
    scale_sigma: float = Field(
        default=1.0,
        gt=0,
        description="of the logarithm of the scale where neither depth nor motion tells it: keeps it where it is "
        "(chosen)",
    )
    least_confidence: float = Field(
        default=0.25, gt=0, le=1, description="of a frame over that of the middle one; lower counts as this (chosen)"
    )
    most_confidence: float = Field(default=4.0, ge=1, description="the same, upwards (chosen)")


class PlacementConfig(Settings):
    """How chunks are cut into segments and tied to each other."""

    segment_views: int = Field(default=12, ge=2, description="of a segment, which is not bent in itself (chosen)")
    bend: Spread = Field(
        default=Spread(rotation_deg=1.0, centre=0.03, log_scale=0.02),
        description="of one segment against the next (chosen; the simulated network of `bench long`, as good as the "
        "best published, drifts by 0.6 degrees and 2 % over four of them)",
    )
    bends: tuple[float, ...] = Field(
        default=(2.0, 4.0),
        description="times that, tried where loops do not fit; with 8 and 16 wrong loops would find room as well",
    )
    all_pairs_up_to: int = Field(default=12, ge=1, description="chunks, of which all are compared, for time (chosen)")
    most_shared: int = Field(default=24, ge=1, description="frames of an overlap that are read, for time (chosen)")
    kept_weight: float = Field(
        default=0.25, gt=0, lt=1, description="of a loop in the graph: with less it is switched off (chosen)"
    )
    several_loops: int = Field(default=3, ge=1, description="so many that they speak about the bend (chosen)")
    least_standing: float = Field(default=0.7, ge=0, le=1, description="share of them that must stand (chosen)")


class GraphConfig(Settings):
    """The robust solution of the pose graph."""

    likely: float = Field(
        default=16.6, gt=0, description="squared residual of seven normal numbers that 98 in 100 stay below"
    )
    convexity_step: float = Field(
        default=1.6, gt=1, description="factor from one convexity to the next; 1.4 in the paper (chosen, for time)"
    )
    inner_steps: int = Field(default=3, ge=1, description="of the solver at each convexity (chosen)")
    final_steps: int = Field(default=30, ge=1, description="of the solver at the last (chosen)")


class RevisitConfig(Settings):
    """Which frames may show a place that was seen before.

    With these, on a rendered tour of 2,000 frames in two seeds, 85 and 95 % of da3-nano's 20 best candidates were
    revisits, and the candidates reached 66 and 81 % of the frames that revisit a place.
    """

    shrinkage: float = Field(
        default=0.1, gt=0, description="of the largest variance: lesser directions are not blown up to it (chosen)"
    )
    neighbours: int = Field(default=3, ge=0, description="frames to either side that speak with a frame (chosen)")
    least_gap: int = Field(
        default=48,
        ge=1,
        description="frames between two visits (raised from 12 when the tour was first measured; no figure was kept)",
    )
    apart: int = Field(default=12, ge=1, description="frames between two pairs that are both worth a look (chosen)")
    least_similarity: float = Field(default=0.35, ge=-1, le=1, description="cosine of whitened descriptors (chosen)")
    block_rows: int = Field(default=256, ge=1, description="frames compared with all at once, for memory (chosen)")
    pairs_per_block: int = Field(default=1024, ge=1, description="that a block keeps, the most similar (chosen)")


class LoopConfig(Settings):
    """Which revisits are believed. A false loop is worse than none."""

    fewest_chunks: int = Field(default=3, ge=2, description="to look for loops: neighbours share frames anyhow")
    half_window: int = Field(default=4, ge=1, description="frames to either side of the one that looks alike (chosen)")
    fewest_views: int = Field(default=3, ge=1, description="usable ones in each stretch (chosen)")
    least_agreeing: float = Field(
        default=0.5, ge=0, le=1, description="share of a stretch's frames that fit the chunk they were seen in (chosen)"
    )
    most_spread: Spread = Field(
        default=Spread(rotation_deg=5.0, centre=0.1, log_scale=0.15),
        description="of them about that chunk (chosen)",
    )
    probes: int = Field(
        default=3, ge=1, description="views of either stretch that are held against the other's (chosen)"
    )
    grid_px: int = Field(default=3, ge=1, description="between the pixels that are carried over, for time (chosen)")
    same_depth: float = Field(default=0.1, gt=0, description="log ratio within which two depths are one (chosen)")
    finest: float = Field(
        default=1 / 84,
        gt=0,
        description="detail compared, in picture widths: below, a prior does not place it (chosen)",
    )
    coarsest: float = Field(
        default=1 / 21, gt=0, description="the same, upwards: floors are dark and skies bright everywhere (chosen)"
    )
    fewest_points: int = Field(default=50, ge=2, description="in a picture, without which it says nothing (chosen)")
    least_seen: float = Field(default=0.25, ge=0, le=1, description="share of points inside the other picture (chosen)")
    least_evidence: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="share of agreeing depth times correlation of the pictures. Over 1,000 frames of the tour wrong "
        "candidates had up to 0.25 (simulated network, two seeds) and 0.19 (da3-nano), right ones 0.75 to 0.98 and "
        "0.03 to 0.78",
    )
    joint: Spread = Field(
        default=Spread(rotation_deg=2.0, centre=0.08, log_scale=0.04),
        description="what a chunk of two far stretches is trusted to (chosen)",
    )


class BlendConfig(Settings):
    """How several views of one frame become one."""

    same_surface: float = Field(
        default=0.08, gt=0, description="of depth; values further apart are of two surfaces and not averaged (chosen)"
    )
    sampled_pixels: int = Field(default=4096, ge=1, description="of a map that tell its scale, for time (chosen)")
    negligible: float = Field(
        default=1e-3, ge=0, lt=1, description="weight beside the weightiest view's under which one is not read (chosen)"
    )


class SequenceConfig(Settings):
    """How a capture that no single pass can hold becomes one prediction."""

    anchored_up_to: int = Field(
        default=200,
        ge=0,
        description="frames, which may be photographs in no order: hung on anchors that every chunk holds; more are "
        "walked through (chosen)",
    )
    alignment: AlignmentConfig = AlignmentConfig()
    placement: PlacementConfig = PlacementConfig()
    graph: GraphConfig = GraphConfig()
    revisits: RevisitConfig = RevisitConfig()
    loops: LoopConfig = LoopConfig()
    blending: BlendConfig = BlendConfig()


class SensorConfig(Settings):
    """How depth that a sensor measured is taken in."""

    use: bool = Field(default=True, description="it takes the place of the network's depth, and brings metres")
    fewest_pixels: int = Field(
        default=50, ge=1, description="of the network's, with measured depth: fewer tell no scale (chosen)"
    )


class InferConfig(Settings):
    """Which network looks at the frames, at what size, on what machine; or which file speaks in its place."""

    model: str = Field(
        default=AUTO,
        description="a name listed by `da3-pipeline models`, a file, or auto: da3-base on a GPU, da3-small without "
        "one, if here or to be fetched, else the built-in da3-nano (what may be used for anything, in seconds a view)",
    )
    predictions: Path | None = Field(
        default=None, description="an npz of depth, conf, extrinsics and intrinsics to use instead of a network"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:N or mps")
    process_res_px: int | None = Field(
        default=None,
        ge=28,
        description="the side that `resize_method` bounds; default: the network's own",
    )
    resize_method: ResizeMethod = Field(default="upper_bound_resize", description="which side is bounded; fit or crop")
    reference_view: ReferenceView = Field(default="saddle_balanced", description="how the reference is picked")
    ray_pose: bool = Field(default=False, description="poses from the ray map instead of the camera decoder")
    gaussians: bool = Field(
        default=False, description="also a Gaussian for each pixel; of da3-giant and da3nested-giant-large"
    )
    metric_model: str | None = Field(
        default=None,
        description="a monocular metric network (da3metric-large) beside the other, for metres and sky",
    )
    compile: bool = Field(
        default=False,
        description="compile the network for the size and number of views of its passes; each new one takes minutes",
    )
    max_memory_gb: float | None = Field(
        default=None, gt=0, description="memory that inference may take on the device; default: most of what is free"
    )
    max_views_per_pass: int | None = Field(
        default=None, ge=2, description="views that the network sees at once; default: as many as memory and time allow"
    )
    chunk_overlap: int = Field(
        default=8, ge=2, description="frames that two neighbouring chunks share when one pass cannot hold all frames"
    )
    loop_closure: bool = Field(
        default=True, description="in long captures, look for places that are visited again and take the drift out"
    )
    reading_threads: int = Field(default=0, ge=0, description="threads that read photographs; 0: one for each core")
    budget: BudgetConfig = BudgetConfig()
    views: ViewConfig = ViewConfig()
    cameras: CameraConfig = CameraConfig()
    sequence: SequenceConfig = SequenceConfig()
    sensor: SensorConfig = SensorConfig()
