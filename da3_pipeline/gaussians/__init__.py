"""Gaussians for splatting: moving, pruning, files, pictures, videos; knows nothing of stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .paths import centre_of_attention, flight_path, orbit_path
    from .ply import read_gaussians_ply, write_gaussians_ply
    from .rendering import Picture, Renderer, Rendering, rasterise, render
    from .selection import Pruning, View, concatenate, pruned, subset, with_bands
    from .splats import PinholeView, Splats, pinhole_view, splats_of
    from .spz import read_spz, write_spz
    from .transform import moved, moved_by_view
    from .video import VideoStyle, encode_video, render_video
    from .with_gsplat import gsplat_is_usable

__all__ = [
    "Picture",
    "PinholeView",
    "Pruning",
    "Renderer",
    "Rendering",
    "Splats",
    "VideoStyle",
    "View",
    "centre_of_attention",
    "concatenate",
    "encode_video",
    "flight_path",
    "gsplat_is_usable",
    "moved",
    "moved_by_view",
    "orbit_path",
    "pinhole_view",
    "pruned",
    "rasterise",
    "read_gaussians_ply",
    "read_spz",
    "render",
    "render_video",
    "splats_of",
    "subset",
    "with_bands",
    "write_gaussians_ply",
    "write_spz",
]

_HOMES = {
    "paths": ("centre_of_attention", "flight_path", "orbit_path"),
    "ply": ("read_gaussians_ply", "write_gaussians_ply"),
    "rendering": ("Picture", "Renderer", "Rendering", "rasterise", "render"),
    "selection": ("Pruning", "View", "concatenate", "pruned", "subset", "with_bands"),
    "splats": ("PinholeView", "Splats", "pinhole_view", "splats_of"),
    "spz": ("read_spz", "write_spz"),
    "transform": ("moved", "moved_by_view"),
    "video": ("VideoStyle", "encode_video", "render_video"),
    "with_gsplat": ("gsplat_is_usable",),
}

__getattr__ = lazy_names(__name__, {name: home for home, names in _HOMES.items() for name in names})
