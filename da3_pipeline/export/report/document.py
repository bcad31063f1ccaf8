"""What a run came to, as data: the document of report.json (docs/OUTPUTS.md has its fields)."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Float
from ...files.strict_json import finite, strict_json
from ...types import Dropped, ExportResult, Exposure, Frame, Scene, StageRecord
from ..config import ReportConfig
from ..staging import write_atomically
from ..tracks import reprojection_errors_px
from .capture import capture_document
from .contact_sheet import letters
from .histogram import error_figures
from .html import EXAMPLES, render_html
from .links import LinkGraph, link_graph, thin_places_document
from .metrics import metrics_document
from .pictures import collect_pictures
from .reading import by_reason
from .world import world_document

__all__ = ["SCHEMA_VERSION", "report_document", "write_report"]

SCHEMA_VERSION = 1
_PACKAGES = ("da3-pipeline", "pycolmap", "torch", "numpy", "timm", "opencv-python-headless", "pillow")


def write_report(
    folder: Path,
    scene: Scene,
    result: ExportResult | None,
    stages: Sequence[StageRecord],
    config: Mapping[str, object],
    dropped: Sequence[Dropped],
    settings: ReportConfig,
    photos: Sequence[Frame] = (),
) -> tuple[Path, ...]:
    """Write report.json, metrics.json and report.html into `folder` and name them.

    `result` is None where nothing could be exported. `config` is that of the whole run, as it is told; `settings` is
    what the report goes by itself; `photos` are those of the capture, of which those left out are shown. Raises
    ExportError where the folder cannot be written.
    """
    graph = link_graph(scene, settings)
    document = report_document(scene, result, stages, config, dropped, settings, graph)
    text = strict_json(document, indent=1)
    left_out = by_reason(document["dropped"], EXAMPLES)
    pictures = collect_pictures(folder, scene, result, graph, photos, letters(left_out), settings)
    page = render_html(document, pictures, left_out, graph, folder, settings)
    write_atomically(folder / "report.html", page)
    write_atomically(folder / "metrics.json", strict_json(metrics_document(document), indent=1))
    write_atomically(folder / "report.json", text)
    return folder / "report.json", folder / "report.html", folder / "metrics.json"


def report_document(
    scene: Scene,
    result: ExportResult | None,
    stages: Sequence[StageRecord],
    config: Mapping[str, object],
    dropped: Sequence[Dropped],
    settings: ReportConfig,
    links: LinkGraph | None = None,
) -> dict[str, Any]:
    """The content of report.json: plain JSON values, numbers that are not finite as null."""
    refine, errors_px = config.get("refine"), reprojection_errors_px(scene)
    everything = _all_dropped(scene, result, dropped)
    document = {
        "schema": "da3-pipeline/report",
        "version": SCHEMA_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "verdict": {
            "passed": scene.verdict.passed,
            "unverified": scene.verdict.unverified,
            "summary": scene.verdict.summary,
            "gates": [asdict(gate) for gate in scene.verdict.gates],
            "remarks": list(scene.verdict.remarks),
            "not_measured": [vars(gate) for gate in scene.verdict.not_measured],
        },
        "data_set": _data_set(result),
        "world": world_document(scene, result),
        "capture": capture_document(scene.frames, settings),
        "figures": scene.figures,
        "candidates": [vars(candidate) for candidate in scene.candidates],
        "cameras": _cameras(scene),
        "frames": _frames(scene, result, {item.frame: item.reason for item in everything}, errors_px),
        "reprojection": error_figures(errors_px),
        "thin_places": thin_places_document(links, [frame.name for frame in scene.frames]),
        "other_places": scene.other_places,
        "dropped": [vars(item) for item in everything],
        "stages": [vars(stage) for stage in stages],
        "prior": scene.prediction.source,
        "seed": refine.get("seed") if isinstance(refine, Mapping) else None,
        "config": dict(config),
        "versions": _versions(),
    }
    return finite(document)


def _all_dropped(scene: Scene, result: ExportResult | None, dropped: Sequence[Dropped]) -> list[Dropped]:
    """Every frame or file left out, in stage order, once: the first reason is the one that counts."""
    prediction = scene.prediction
    later = (*prediction.frames.dropped, *prediction.dropped, *scene.dropped, *(result.dropped if result else ()))
    return list({item.frame: item for item in reversed((*dropped, *later))}.values())[::-1]


def _data_set(result: ExportResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    counts = {"images": result.images, "tracks": result.tracks, "seed_points": result.seed_points}
    return counts | {name: _whole(value) for name, value in result.figures.items()}


def _cameras(scene: Scene) -> list[dict[str, Any]]:
    counts = Counter(frame.camera_id for frame in scene.frames)
    return [
        {
            "id": key,
            "model": camera.model,
            "width": camera.width,
            "height": camera.height,
            "params": list(camera.params),
            "focal_px": camera.focal_px,
            "fov_deg": list(camera.fov_deg),
            "frames": counts[key],
        }
        for key, camera in scene.cameras.items()
    ]


def _frames(
    scene: Scene, result: ExportResult | None, reasons: Mapping[str, str], errors_px: Float
) -> list[dict[str, Any]]:
    by_frame = scene.tracks.by_frame(len(scene.frames))
    names = result.image_names if result else {}
    rows = []
    for index, frame in enumerate(scene.frames):
        own = errors_px[by_frame[index]]
        rows.append(
            {
                "name": frame.name,
                "image": names.get(frame.name),
                "camera": frame.camera_id,
                "pose_source": scene.pose_source[index],
                "observations": len(own),
                "median_error_px": float(np.nanmedian(own)) if np.isfinite(own).any() else None,
                "depth_scale": float(scene.depth_scale[index]),
                "sharpness": frame.sharpness,
                "training": frame.training,
                "masked_share": result.masked_share.get(frame.name) if result else None,
                "video": frame.video.partition("#")[0] if frame.video else None,
                "time_s": frame.time_s,
                "remark": frame.remark,
                "exposure": vars(frame.exposure or Exposure()),
                "dropped": reasons.get(frame.name) if frame.name not in names else None,
            }
        )
    return rows


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _whole(value: float) -> float:
    return int(value) if float(value).is_integer() else value
