"""What the report says about the world of the data set: its unit, axes, place on the earth, sky, and what is masked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ...types import ExportResult, Scene
from ..config import ReportConfig

__all__ = ["world_document", "world_rows"]

_KINDS = ("distance", "gps", "network")
_SOURCES = {"distance": "the given distance", "gps": "GPS", "network": "the network"}
_UP = {
    "gps": "GPS",
    "cameras": "level cameras",
    "gps and cameras": "GPS and level cameras",
    "gimbals": "gimbals",
    "gps and gimbals": "GPS and gimbals",
}
_GPS = ("photos", "positions", "positions_used", "rms_horizontal_m", "rms_vertical_m")
_ORIGIN = ("latitude_deg", "longitude_deg", "altitude_m")


def world_document(scene: Scene, result: ExportResult | None) -> dict[str, Any]:
    """The `world` of report.json: plain values, None where nothing is known."""
    figures, metric = scene.figures, scene.metric
    gps = {name: figures[f"gps_{name}"] for name in _GPS} if "gps_photos" in figures else None
    origin = {name: figures[f"origin_{name}"] for name in _ORIGIN} if "origin_latitude_deg" in figures else None
    sources = [
        {
            "source": kind,
            "metres_per_unit": figures[f"metres_per_unit_by_{kind}"],
            "relative_sigma": figures[f"relative_sigma_by_{kind}"],
        }
        for kind in _KINDS
        if f"metres_per_unit_by_{kind}" in figures
    ]
    return {
        "metres_per_unit": metric.metres_per_unit if metric else None,
        "relative_sigma": metric.relative_sigma if metric else None,
        "scale_source": metric.source if metric else None,
        "scale_sources": sources,
        "scale_disagreement_sigmas": figures.get("scale_disagreement_sigmas"),
        "up_source": scene.up_source,
        "up_sigma_deg": figures.get("up_sigma_deg"),
        "heading_sigma_deg": figures.get("heading_sigma_deg"),
        "origin": origin,
        "gps": gps,
        "offset": _offset(result) if result else None,
        "sky_share": result.figures.get("sky_share") if result else None,
        "masks": int(result.figures.get("masks", 0)) if result else 0,
        "masked": _masked(result) if result and result.masked_share else None,
    }


def _masked(result: ExportResult) -> dict[str, float]:
    """How many images have masked parts, how many have none, and the masked share of all pixels."""
    share = sum(result.masked_share.values()) / result.images
    return {"images": len(result.masked_share), "whole": result.images - len(result.masked_share), "share": share}


def _offset(result: ExportResult) -> list[float] | None:
    """What transforms.json and the seeds leave out of their positions, in the axes of sparse/0."""
    figures = result.figures
    return [figures[f"offset_{axis}"] for axis in "xyz"] if "offset_x" in figures else None


def world_rows(world: Mapping[str, Any], config: ReportConfig) -> list[tuple[str, str, str]]:
    """What, value and note, for people; from the `world` of a report."""
    rows = [_scale_row(world), *_other_rows(world, config.disagreement_sigmas), _up_row(world)]
    if world["origin"]:
        origin = world["origin"]
        latitude = f"{abs(origin['latitude_deg']):.6f}° {'N' if origin['latitude_deg'] >= 0 else 'S'}"
        longitude = f"{abs(origin['longitude_deg']):.6f}° {'E' if origin['longitude_deg'] >= 0 else 'W'}"
        note = f"x is east and y north, ± {world['heading_sigma_deg']:.2g}°"
        rows.append(("Origin", f"{latitude}, {longitude}, {origin['altitude_m']:.1f} m", note))
    if world["offset"]:
        value = ", ".join(f"{part:,.10g}".replace(",", "\u202f") for part in world["offset"])
        rows.append(("Offset", value, "left out in transforms.json and the seeds, which name it; sparse/0 is whole"))
    if world["gps"]:
        rows.append(_gps_row(world["gps"]))
    if world["sky_share"] is not None:
        note = "black in masks/, no points in it" if world["masks"] else "no masks are needed"
        rows.append(("Sky", f"{100 * world['sky_share']:.3g} % of the images", note))
    if world["masked"]:
        rows.append(_masked_row(world["masked"]))
    return rows


def _scale_row(world: Mapping[str, Any]) -> tuple[str, str, str]:
    if world["metres_per_unit"] is None:
        remedy = "give one measured length as --distance, photographs with GPS, or a metric model"
        return "Scale", "of no known unit", remedy
    if world["relative_sigma"] is None:
        return "Scale", "that of the given poses", "taken for metres: nothing measures it"
    value = f"1 unit = {world['metres_per_unit']:.4g} m ± {100 * world['relative_sigma']:.2g} %"
    return "Scale", value, f"from {world['scale_source']}"


def _up_row(world: Mapping[str, Any]) -> tuple[str, str, str]:
    if world["up_source"] is None:
        return "Up", "not known in sparse/0", "transforms.json is turned so that the cameras' up is +z"
    sigma = world["up_sigma_deg"]
    value = "+z" if sigma is None else f"+z ± {sigma:.2g}°"
    return "Up", value, f"from {_UP.get(world['up_source'], world['up_source'])}"


def _gps_row(gps: Mapping[str, Any]) -> tuple[str, str, str]:
    used, total = int(gps["positions_used"]), int(gps["positions"])
    note = f"cameras are off by {gps['rms_horizontal_m']:.2g} m RMS in the plane"
    if gps["rms_vertical_m"] is not None:
        note += f", {gps['rms_vertical_m']:.2g} m in height"
    return "GPS", f"{used} of {total} positions agree", note


def _masked_row(masked: Mapping[str, Any]) -> tuple[str, str, str]:
    value = f"{masked['images']} images, {100 * masked['share']:.3g} % of all pixels"
    whole = f"; {masked['whole']} images are used whole" if masked["whole"] else ""
    return "Masks", value, f"black in masks/, no points in it{whole}"


def _other_rows(world: Mapping[str, Any], disagreement_sigmas: float) -> Iterator[tuple[str, str, str]]:
    """What the sources say that the scale is not from, and how far that is from it."""
    length, sigma = world["metres_per_unit"], world["relative_sigma"]
    for other in world["scale_sources"]:
        if (other["metres_per_unit"], other["relative_sigma"]) == (length, sigma):
            continue
        value = f"1 unit = {other['metres_per_unit']:.4g} m ± {100 * other['relative_sigma']:.2g} %"
        note = "not used: too uncertain, or not wanted"
        if sigma is not None:
            apart = abs(math.log(other["metres_per_unit"] / length)) / math.hypot(sigma, other["relative_sigma"])
            note = f"{apart:.1f} sigma from it" + ("; check both" if apart > disagreement_sigmas else "")
        yield f"By {_SOURCES[other['source']]}", value, note
