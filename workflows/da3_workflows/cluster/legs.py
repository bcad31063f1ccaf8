"""What of a capture runs in one go: its stages, cut where the kind of machine changes that they want."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Leg", "legs_of"]

_LEARNED = frozenset({"aliked", "disk", "xfeat"})


@dataclass(frozen=True)
class Leg:
    """Stages up to `through`, as `da3_pipeline.pipeline.advance` names it; '' is the end."""

    through: str
    on_gpu: bool


def legs_of(config: Mapping[str, Any], has_gpus: bool) -> tuple[Leg, ...]:
    """A capture's legs in order; a single one where the cluster has no GPUs, or nothing in `config` wants one.

    The matcher `auto` begins with SIFT and mostly ends with it, so that the refinement goes where the many cores are;
    a learned one by name goes to a GPU.
    """
    infer, mask, refine = (config.get(stage) or {} for stage in ("infer", "mask", "refine"))
    wants = {
        "select": mask.get("people") and mask.get("device") != "cpu",
        "infer": infer.get("predictions") is None and infer.get("device") != "cpu",
        "": refine.get("refine", True) and refine.get("matcher") in _LEARNED and refine.get("device") != "cpu",
    }
    legs: list[Leg] = []
    for through, wanted in wants.items():
        leg = Leg(through, bool(wanted) and has_gpus)
        if legs and legs[-1].on_gpu == leg.on_gpu:
            legs.pop()
        legs.append(leg)
    return tuple(legs)
