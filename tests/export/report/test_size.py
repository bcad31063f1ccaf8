"""The report of many images stays small: it is sent by mail, and opened on phones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from da3_pipeline.export import write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.types import ExportResult, Scene, Tracks

FRAMES = 100


def repeated(scene: Scene, times: int) -> Scene:
    """The same frames under new names, in one place, each copy with points of its own."""
    count, tracks, prediction = len(scene.frames), scene.tracks, scene.prediction
    frames = tuple(replace(frame, name=f"{k:02d}_{frame.name}") for k in range(times) for frame in scene.frames)
    copy = np.repeat(np.arange(times), len(tracks.observation_point))
    many = Tracks(
        np.tile(tracks.points, (times, 1)),
        np.tile(tracks.colours, (times, 1)),
        np.tile(tracks.point_error_px, times),
        np.tile(tracks.observation_point, times) + copy * len(tracks),
        np.tile(tracks.observation_frame, times) + copy * count,
        np.tile(tracks.observation_xy, (times, 1)),
    )
    prior = replace(
        prediction,
        frames=replace(prediction.frames, frames=frames),
        depth=np.tile(prediction.depth, (times, 1, 1)),
        conf=np.tile(prediction.conf, (times, 1, 1)),
    )
    return replace(
        scene,
        prediction=prior,
        tracks=many,
        cam_from_world=np.tile(scene.cam_from_world, (times, 1, 1)),
        pose_source=scene.pose_source * times,
        depth_scale=np.tile(scene.depth_scale, times),
    )


def test_a_hundred_images_are_all_shown_in_less_than_5_mb(room: Any, tmp_path: Path) -> None:
    """Pictures of noise, which JPEG makes hardly smaller, and more points than are drawn."""
    few = room(names=tuple(f"{k}.jpg" for k in range(4)), track_count=1000)
    scene, images = repeated(few, FRAMES // 4), tmp_path / "out" / "images"
    images.mkdir(parents=True)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 240, 3), dtype=np.uint8))
    for place in (*(frame.path for frame in few.frames), images / "one.jpg"):
        noise.save(place)
    names = {frame.name: "one.jpg" for frame in scene.frames}
    figures = dict.fromkeys(("tracks_measured", "tracks_from_depth", "observations_measured"), 1)
    figures["images_without_measured_tracks"] = 0
    result = ExportResult(tmp_path / "out", FRAMES, len(scene.tracks), 0, image_names=names, figures=figures)
    write_report(tmp_path / "out", scene, result, (), {}, (), ReportConfig(), scene.frames)
    page = (tmp_path / "out" / "report.html").read_bytes()
    sheet = page[page.index(b'class="sheet"') : page.index(b"<h2>World")]
    assert sheet.count(b"data:image/jpeg") == FRAMES
    assert len(page) < 5_000_000
