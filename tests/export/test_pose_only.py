"""Frames that are for the poses only: in no file of the data set, named in the report, their points kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from da3_pipeline.export import ExportConfig, run, write_report
from da3_pipeline.export.config import ReportConfig
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import ExportResult, Exposure, Frame, Scene

SPARE = (1, 4)
REMARK = "blurred: sharper frames show this"


def changed(scene: Scene, change: Callable[[int, Frame], Frame]) -> Scene:
    frames = tuple(change(index, frame) for index, frame in enumerate(scene.frames))
    frame_set = replace(scene.prediction.frames, frames=frames)
    return replace(scene, prediction=replace(scene.prediction, frames=frame_set))


def with_spare(scene: Scene, spare: tuple[int, ...] = SPARE) -> Scene:
    return changed(scene, lambda k, frame: replace(frame, training=False, remark=REMARK) if k in spare else frame)


def masked(scene: Scene, folder: Path) -> Scene:
    path = folder / "half.png"
    Image.fromarray(np.repeat([[0, 255]], 8, axis=0).repeat(6, axis=1).astype(np.uint8)).save(path)
    return changed(scene, lambda _, frame: replace(frame, mask=path))


def exported(scene: Scene, folder: Path, **settings: object) -> ExportResult:
    return run(scene, ExportConfig(**settings), SilentProgress(), folder)


@pytest.mark.parametrize("undistort", [False, True])
def test_no_file_of_the_data_set_has_them(room: Callable[..., Scene], tmp_path: Path, undistort: bool) -> None:
    scene = with_spare(masked(room(), tmp_path))
    out = tmp_path / "out"
    result = exported(scene, out, undistort=undistort, depths=True)
    kept = [frame.name for index, frame in enumerate(scene.frames) if index not in SPARE]
    stems = {Path(name).stem for name in kept}
    transforms = json.loads((out / "transforms.json").read_text())
    assert {Path(frame["file_path"]).stem for frame in transforms["frames"]} == stems
    assert {path.stem for path in (out / "images").iterdir()} == stems
    assert {Path(path.stem).stem for path in (out / "masks").iterdir()} == stems
    assert {path.stem for path in (out / "depths").iterdir()} == stems
    model = pycolmap.Reconstruction(out / "sparse" / "0")
    assert {Path(image.name).stem for image in model.images.values()} == stems
    assert set(result.image_names) == set(kept)
    assert result.images == len(kept)
    assert {(item.frame, item.reason) for item in result.dropped} == {
        (scene.frames[index].name, f"for the poses only: {REMARK}") for index in SPARE
    }


def test_their_points_stay_where_an_image_sees_them(room: Callable[..., Scene], tmp_path: Path) -> None:
    scene = room()
    point, frame = scene.tracks.observation_point, scene.tracks.observation_frame
    by_spare = set(point[np.isin(frame, SPARE)].tolist())
    by_image = set(point[~np.isin(frame, SPARE)].tolist())
    result = exported(with_spare(scene), tmp_path / "out", depth_seeds=False)
    assert result.figures["tracks_measured"] == len(by_image) == result.seed_points
    assert result.figures["observations_measured"] == int((~np.isin(frame, SPARE)).sum())
    alone = {p for p in by_image & by_spare if (~np.isin(frame[point == p], SPARE)).sum() == 1}
    model = pycolmap.Reconstruction(tmp_path / "out" / "sparse" / "0")
    assert len(alone) == sum(entry.track.length() == 1 for entry in model.points3D.values()) > 0


def test_errors_are_those_of_the_images(room: Callable[..., Scene], tmp_path: Path) -> None:
    """Observations of pose-only frames, 3 px off, do not count in the errors of the model."""
    scene = with_spare(room())
    off = np.isin(scene.tracks.observation_frame, SPARE)
    pixels = scene.tracks.observation_xy + np.where(off, 3.0, 0.0)[:, None]
    errors = np.full(len(scene.tracks), 1.0)
    exported(replace(scene, tracks=replace(scene.tracks, observation_xy=pixels, point_error_px=errors)), tmp_path / "o")
    model = pycolmap.Reconstruction(tmp_path / "o" / "sparse" / "0")
    seen_by_spare = set(scene.tracks.observation_point[off].tolist())
    names = np.unique(scene.tracks.observation_point[~off]).tolist()
    for number, original in enumerate(names, start=1):
        expected = 0.0 if original in seen_by_spare else 1.0
        assert model.points3D[number].error == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("spare", [(0, 1, 2, 3, 4, 5), (0, 1, 2, 3, 4)])
def test_where_hardly_anything_else_has_a_pose_they_are_images(
    room: Callable[..., Scene], tmp_path: Path, spare: tuple[int, ...]
) -> None:
    assert exported(with_spare(room(), spare), tmp_path / "out").images == 6


HDR = "HDR (HLG), tone-mapped to SDR"


def test_the_report_names_them_and_tells_of_light(room: Callable[..., Scene], tmp_path: Path) -> None:
    def filmed(index: int, frame: Frame) -> Frame:
        exposure = Exposure(0.4 + 0.02 * index, 0.0, 0.1 if index == 0 else 0.0, stops=0.4 * index)
        return replace(frame, video="walk.mp4", time_s=index / 2, sharpness=0.3, exposure=exposure, pixels=(HDR,))

    scene = with_spare(changed(room(), filmed))
    result = exported(scene, tmp_path / "out")
    write_report(tmp_path / "out", scene, result, (), {}, result.dropped, ReportConfig())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    row = report["frames"][1]
    assert (row["training"], row["image"], row["dropped"]) == (False, None, f"for the poses only: {REMARK}")
    assert row["exposure"]["brightness"] == pytest.approx(0.42) and row["exposure"]["iso"] is None
    assert report["frames"][0]["training"] is True and report["frames"][0]["sharpness"] == 0.3
    (source,) = report["capture"]
    assert (source["source"], source["frames"], source["training"]) == ("walk.mp4", 6, 4)
    assert source["stops_range"] == pytest.approx(2.0) and source["clipped_frames"] == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert source["pixels"] == [HDR] and HDR in page
    assert "4 frames and 2 for the poses only" in page and "exposure changes by 2.0 stops" in page
    assert page.count('class="curve"') == 1 and "from +0.00 to +2.00 stops" in page


def test_photographs_of_unlike_settings_are_told(room: Callable[..., Scene]) -> None:
    from da3_pipeline.export.report.capture import capture_document, capture_rows

    def shot(index: int, frame: Frame) -> Frame:
        return replace(frame, exposure=Exposure(0.5, 0.0, 0.0, None, 1 / 100 / (index + 1), 100.0, 2.0))

    (row,) = capture_document(changed(room(), shot).frames, ReportConfig())
    assert row["source"] == "photographs" and row["stops_range"] == pytest.approx(np.log2(6))
    ((_, _, note),) = capture_rows([row], ReportConfig())
    assert note == "exposure changes by 2.6 stops: lock it while filming"
    (unknown,) = capture_document(room().frames, ReportConfig())
    assert unknown["stops_range"] is None and unknown["sharpness_median"] is None
