"""report.html: one file, no requests, readable on paper and without scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import ReportConfig
from .capture import capture_rows, light_curves
from .contact_sheet import letter_of
from .histogram import drawn_histogram
from .links import LinkGraph
from .looks import page_template
from .pictures import Pictures
from .reading import ReasonGroup, count, duration
from .trainers import commands, others
from .world import world_rows

__all__ = ["EXAMPLES", "render_html"]

EXAMPLES = 12
"""Names of files that a reason for leaving out is shown with."""

_OPEN = 3  # failed gates that are shown at once


def render_html(
    document: Mapping[str, Any],
    pictures: Pictures,
    left_out: Sequence[ReasonGroup],
    graph: LinkGraph | None,
    folder: Path,
    config: ReportConfig,
) -> str:
    """The page of a report document. Names and reasons are escaped; nothing outside the file is asked for."""
    return page_template("report.html.j2").render(
        report=document,
        pictures=pictures,
        title=folder.resolve().name,
        failed=[gate for gate in document["verdict"]["gates"] if not gate["passed"] and gate["finding"]],
        most_open=_OPEN,
        tiles=_tiles(document),
        world=world_rows(document["world"], config),
        capture=list(capture_rows(document["capture"], config)),
        curves=light_curves(document["frames"], document["capture"]),
        commands=commands(document, folder),
        other_trainers=others(document),
        left_out=[(group, letter_of(number)) for number, group in enumerate(left_out)],
        graph=graph,
        histogram=drawn_histogram(document["reprojection"]) if document["reprojection"] else None,
        most_observations=max((row["observations"] for row in document["frames"]), default=0),
        total_s=sum(stage["seconds"] for stage in document["stages"]),
        config=json.dumps(document["config"], indent=2, ensure_ascii=False, default=str),
    )


def _tiles(document: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Value, what it is, and a note, for the figures that matter most."""
    frames, data = document["frames"], document["data_set"]
    errors = sorted(row["median_error_px"] for row in frames if row["median_error_px"] is not None)
    seconds = sum(stage["seconds"] for stage in document["stages"])
    memory_mb = max((stage["peak_memory_mb"] for stage in document["stages"]), default=0)
    refined = sum(row["pose_source"] == "refined" for row in frames)
    spare = sum(not row["training"] for row in frames)
    note = f"{refined} refined" + (f", {spare} for the poses only" if spare else "")
    tiles = [(f"{data['images'] if data else 0} of {len(frames)}", "images", note)]
    if data:
        sampled = data.get("seed_points_from_depth", 0)
        tiles.append((count(data["tracks_measured"]), "matched points", _track_note(data)))
        tiles.append((count(data["seed_points"]), "seed points", f"{count(sampled)} of them from depth"))
    if errors:
        tiles.append((f"{errors[len(errors) // 2]:.2f} px", "reprojection error", "median image, median observation"))
    tiles += _scale_tile(document["world"])
    tiles.append((duration(seconds), "to compute", f"peak memory {memory_mb / 1024:.1f} GB"))
    return tiles


def _scale_tile(world: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if world["relative_sigma"] is None:
        return []
    return [(f"± {100 * world['relative_sigma']:.2g} %", "scale in metres", f"from {world['scale_source']}")]


def _track_note(data: Mapping[str, Any]) -> str:
    if data["tracks_from_depth"]:
        return f"and {count(data['tracks_from_depth'])} tracks made from depth"
    return f"{data['observations_measured'] / max(data['tracks_measured'], 1):.1f} images see each"
