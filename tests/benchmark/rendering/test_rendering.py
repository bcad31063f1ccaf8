"""The comparison of splats from several sources: what they start from, which views count, what the table says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
import torch

from da3_pipeline.benchmark.peers.colmap import COLMAP_MODES, ColmapRun
from da3_pipeline.benchmark.rendering import runs as rendering
from da3_pipeline.benchmark.rendering.posed_scene import PosedScene, posed_by_colmap, posed_by_us
from da3_pipeline.benchmark.rendering.runs import HeldOut, RenderingOptions, RenderingRun, measure_rendering
from da3_pipeline.benchmark.rendering.splat_trainer import TargetView, TrainerOptions
from da3_pipeline.benchmark.rendering.tables import rendering_json, rendering_table
from da3_pipeline.benchmark.truth.verdicts import JudgedVerdict
from da3_pipeline.config import PipelineConfig
from da3_pipeline.errors import UsageError
from da3_pipeline.export.ply import write_ply
from da3_pipeline.gaussians import PinholeView
from da3_pipeline.geometry import Camera
from da3_pipeline.imageio import write_rgb
from da3_pipeline.progress import SilentProgress

Cli = Callable[..., tuple[int, str, str]]

LENS = Camera("OPENCV", 240, 160, (180.0, 182.0, 122.0, 79.0, -0.1, 0.02, 0.0, 0.0))


def paint(points: np.ndarray) -> np.ndarray:
    return (127.5 + 100 * np.sin(points * [1.3, 1.7, 0.9] + [0.3, 1.1, 2.0])).astype(np.uint8)


def wall_model(folder: Path, camera: Camera) -> pycolmap.Reconstruction:
    """A painted wall at z = 3 seen by three cameras; pictures are written below `folder`."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-1.5, 1.5, 200), rng.uniform(-1, 1, 200), np.full(200, 3.0)])
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera.to_pycolmap(1))
    pixels = np.stack(np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5), axis=-1).reshape(
        -1, 2
    )
    rays = np.column_stack([camera.unproject(pixels), np.ones(len(pixels))])
    for index, across in enumerate((-0.3, 0.0, 0.3)):
        pose = np.column_stack([np.eye(3), [-across, 0, 0]])
        seen = 3 * rays + [across, 0, 0]
        name = f"{index}.png"
        write_rgb(folder / name, paint(seen).reshape(camera.height, camera.width, 3))
        image = pycolmap.Image(name=name, keypoints=np.zeros((1, 2)), camera_id=1, image_id=index + 1)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    for point in points:
        model.add_point3D(point, pycolmap.Track(), paint(point[None])[0])
    return model


def check_colours(scene: PosedScene) -> None:
    """Seeds seen through the reduced cameras have the colours of the reduced pictures."""
    for target in scene.views.values():
        pose, view = target.view.cam_from_world.numpy().astype(float), target.view
        in_camera = scene.points @ pose[:, :3].T + pose[:, 3]
        at = in_camera[:, :2] / in_camera[:, 2:] * view.focal_px + view.centre_px
        inside = ((at > 1) & (at < (view.width - 1, view.height - 1))).all(axis=1)
        columns, rows = at[inside].astype(int).T
        seen = 255 * target.photograph.numpy()[rows, columns]
        assert inside.sum() > 50 and target.photograph.shape == (view.height, view.width, 3)
        assert np.abs(seen - scene.colours[inside]).max() < 12  # a pixel, here 3/90 wide, changes colours by up to 6


def test_colmaps_model_is_undistorted_and_reduced_with_its_camera(tmp_path: Path) -> None:
    model = wall_model(tmp_path / "images", LENS)
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    model.write_binary(tmp_path / "sparse" / "0")
    scene = posed_by_colmap(ColmapRun(COLMAP_MODES["photographs"], 3.5, 4.0, tmp_path), 120)
    assert scene is not None and scene.seconds_to_pose == 3.5
    assert list(scene.views) == ["0.png", "1.png", "2.png"] and {t.view.width for t in scene.views.values()} == {120}
    check_colours(scene)
    assert posed_by_colmap(ColmapRun(COLMAP_MODES["photographs"], 3.5, 4.0, None), 120) is None


@pytest.mark.parametrize("turned", [False, True])
def test_our_session_is_read_in_the_world_of_its_model(tmp_path: Path, turned: bool) -> None:
    pinhole = Camera("PINHOLE", 240, 160, LENS.params[:4])
    model = wall_model(tmp_path / "images", pinhole)
    (tmp_path / "sparse" / "0").mkdir(parents=True)
    model.write_binary(tmp_path / "sparse" / "0")
    points = np.array([point.xyz for point in model.points3D.values()])
    colours = np.array([point.color for point in model.points3D.values()])
    if turned:
        write_ply(tmp_path / "init.ply", points, colours)
        write_ply(tmp_path / "sparse_pc.ply", points[:, [1, 2, 0]], colours)
    else:
        write_ply(tmp_path / "sparse_pc.ply", points, colours)
    frames = [{"name": f"walk/{k}.heic", "image": f"{k}.png"} for k in range(3)] + [{"name": "lost", "image": None}]
    (tmp_path / "report.json").write_text(json.dumps({"frames": frames}))
    scene = posed_by_us(tmp_path, 1.0, 90)
    assert list(scene.views) == ["walk/0.heic", "walk/1.heic", "walk/2.heic"]
    check_colours(scene)
    whole = posed_by_us(tmp_path, 1.0, 0)
    assert {(t.view.width, t.view.height) for t in whole.views.values()} == {(240, 160)}


def posed(names: list[str], points: int = 40) -> PosedScene:
    """Views of a grey world, each darker than the last."""
    views = {}
    for k, name in enumerate(names):
        pose = torch.eye(3, 4)
        pose[0, 3] = -0.1 * k
        picture = torch.full((12, 18, 3), 0.3 + 0.02 * k)
        views[name] = TargetView(picture, PinholeView(pose, (16.0, 16.0), (9.0, 6.0), 18, 12))
    rng = np.random.default_rng(0)
    seeds = rng.uniform((-1, -1, 2), (1, 1, 4), (points, 3))
    return PosedScene(views, seeds, np.full((points, 3), 90, np.uint8), 7.0)


NAMES = [f"{k:02d}.png" for k in range(10)]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    (tmp_path / "wall" / "images").mkdir(parents=True)
    for name in NAMES:
        write_rgb(tmp_path / "wall" / "images" / name, np.zeros((2, 2, 3), np.uint8))
    return tmp_path / "wall"


SMALL = RenderingOptions(seeds=2, evaluate_every=2, trainer=TrainerOptions(iterations=3, gaussians=30))


def sources(monkeypatch: pytest.MonkeyPatch, **scenes: PosedScene | None) -> None:
    """The sources pose as given, by their last word; None is a failure."""

    def pose(source: str, *_: object) -> rendering.PosedSource:
        scene = scenes[source.split(" ")[-1]]
        return rendering.PosedSource(source, scene, None if scene else "no model")  # type: ignore[arg-type]

    monkeypatch.setattr(rendering, "_pose", pose)


def test_only_views_that_all_sources_posed_are_compared(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = [name for name in NAMES if name not in ("08.png", "03.png")]
    sources(monkeypatch, unrefined=posed(NAMES), refined=posed(NAMES), matched=posed(NAMES), COLMAP=posed(without))
    runs = measure_rendering([capture], PipelineConfig(), SMALL, SilentProgress())
    assert [(run.source, run.seed, run.posed) for run in runs[:4]] == [
        ("ours unrefined", 0, 10),
        ("ours refined", 0, 10),
        ("ours matched", 0, 10),
        ("COLMAP", 0, 8),
    ]
    assert len(runs) == 8
    for run in runs:
        assert [view.name for view in run.held_out] == ["00.png"]  # 08.png is missing in one
        assert [iteration for iteration, _, _ in run.curve] == [2, 3]
        assert run.curve[-1][2] == pytest.approx(run.psnr_db) and run.lpips is None


def test_a_source_that_fails_takes_nothing_from_the_others(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources(monkeypatch, unrefined=posed(NAMES[8:]), refined=posed(NAMES), matched=posed(NAMES), COLMAP=None)
    runs = measure_rendering([capture], PipelineConfig(), replace(SMALL, seeds=1), SilentProgress())
    failures = {run.source: run.failure for run in runs}
    assert failures == {
        "ours unrefined": "too little to train on, or nothing to compare",
        "ours refined": None,
        "ours matched": None,
        "COLMAP": "no model",
    }
    table = rendering_table(runs, 30)
    assert "no model" in table and "nan" not in table.lower()
    assert json.loads(rendering_json(runs))[3]["seconds_to_pose"] is None


def test_held_out_views_are_never_trained_on(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = posed(NAMES)
    seen: list[int] = []
    original = rendering.train_splats

    def spy(views: list[TargetView], *rest: object) -> object:
        seen.extend(id(view) for view in views)
        return original(views, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rendering, "train_splats", spy)
    sources(monkeypatch, unrefined=scene, refined=scene, matched=scene, COLMAP=scene)
    measure_rendering([capture], PipelineConfig(), replace(SMALL, seeds=1), SilentProgress())
    assert set(seen) == {id(view) for name, view in scene.views.items() if name not in ("00.png", "08.png")}


def run(source: str, psnr: float, seed: int = 0) -> RenderingRun:
    views = (HeldOut("a.png", psnr - 1, 0.8, None), HeldOut("b.png", psnr + 1, 0.9, None))
    curve = ((50, 4.0, psnr - 5), (100, 8.0, psnr))
    return RenderingRun("wall", source, seed, 9, 9, 6.0, 1000, 8.0, views, curve)  # type: ignore[arg-type]


def test_the_table_tells_means_differences_and_times() -> None:
    runs = [run("ours refined", 25.0), run("COLMAP", 24.5), run("ours refined", 24.6, 1), run("COLMAP", 24.8, 1)]
    lines = rendering_table(runs, 20).splitlines()
    assert " ".join(lines[1].split()) == "wall ours refined 9/9 2 1000 24.80 ± 0.20 0.850 not available 6.0 8.0 12.0"
    assert "wall: ours refined minus COLMAP +0.15 dB (+0.50, -0.20)" in lines
    assert "verdict against truth" not in "\n".join(lines), "the truth is not known"
    wrong = JudgedVerdict("wall, ours refined", 9, "AUC@5 12.0", True, "passed")
    judged = rendering_table([replace(one, verdict=wrong, mode="OPENCV shared") for one in runs[:2]], 20)
    assert "wrong and passed: wall, ours refined, 9 views: AUC@5 12.0" in judged
    assert "wall: COLMAP is OPENCV shared" in judged
    assert "not reached" in rendering_table(runs, 30)
    assert runs[0].seconds_to(20.0) == 10.0 and runs[0].seconds_to(25.0) == 14.0 and runs[0].seconds_to(26) is None


def test_a_folder_without_photographs_is_refused(tmp_path: Path, cli: Cli) -> None:
    with pytest.raises(UsageError, match="at least three photographs"):
        measure_rendering([tmp_path], PipelineConfig(), SMALL, SilentProgress())
    code, _, err = cli("bench", "rendering", tmp_path / "none")
    assert code == 2 and "at least three photographs" in err


@pytest.mark.slow
def test_all_sources_of_a_rendered_capture(rendered_capture: Path, tmp_path: Path, cli: Cli) -> None:
    small = ("--seeds", 1, "--iterations", 60, "--gaussians", 800, "--width", 64)
    code, out, err = cli("bench", "rendering", rendered_capture, "--ab", *small, "--json", tmp_path / "all.json")
    assert code == 0, err
    by_source = {entry["source"]: entry for entry in json.loads((tmp_path / "all.json").read_text())}
    assert [entry["failure"] for entry in by_source.values()] == [None] * 4
    refined = np.mean([view["psnr_db"] for view in by_source["ours refined"]["held_out"]])
    assert refined > 16 and "ours refined minus COLMAP" in out
