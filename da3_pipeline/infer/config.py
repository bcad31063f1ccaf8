"""What can be set about inference, with units and defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from ..settings import Settings

__all__ = ["InferConfig", "ReferenceView", "ResizeMethod"]

ResizeMethod = Literal["upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop"]
ReferenceView = Literal["saddle_balanced", "saddle_sim_range", "first", "middle"]


class InferConfig(Settings):
    """Which network looks at the frames, at what size, on what machine; or which file speaks in its place."""

    model: str = Field(default="da3-nano", description="a name listed by `da3-pipeline models`, or a file")
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
