"""What to run next: only what works on this session, as its cameras are (docs/OUTPUTS.md has the rules of each)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["commands", "others"]

_PINHOLE = ("PINHOLE", "SIMPLE_PINHOLE")


def commands(document: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    """(trainer, command line) for those that take every session as it is; none where nothing was exported.

    gsplat halves images twice by itself, into a folder that is not there: hence its factor.
    """
    if not document["data_set"]:
        return []
    place = shlex.quote(str(folder.resolve()))
    return [
        ("nerfstudio", f"ns-train splatfacto --data {place}"),
        ("gsplat", f"python examples/simple_trainer.py default --data_dir {place} --data_factor 1"),
    ]


def others(document: Mapping[str, Any]) -> str:
    """A sentence about the trainers that are told a folder by hand, and the flag that each needs for these lenses."""
    data, models = document["data_set"] or {}, {camera["model"] for camera in document["cameras"]}
    if data.get("undistorted") or models <= set(_PINHOLE):
        return "Brush, LichtFeld Studio, OpenSplat, 3DGS and COLMAP open the folder itself."
    lichtfeld = "LichtFeld Studio needs its --gut or --undistort, since the images are distorted"
    if any("FISHEYE" in model for model in models):
        return f"Brush and COLMAP open the folder itself. {lichtfeld}; OpenSplat and 3DGS need a run with --undistort."
    return f"Brush, OpenSplat and COLMAP open the folder itself. {lichtfeld}; 3DGS needs a run with --undistort."
