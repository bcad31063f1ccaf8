"""Methods of the geometry benchmark: what lies on disk is laid onto a scene's views, depth onto their pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pycolmap
import pytest

from da3_pipeline.benchmark.datasets.contract import GeometryScene, SceneView
from da3_pipeline.benchmark.methods import programs
from da3_pipeline.benchmark.methods.contract import DenseViews
from da3_pipeline.benchmark.methods.own_process import write_scene
from da3_pipeline.benchmark.methods.pictures import lay_pictures, picture_size
from da3_pipeline.benchmark.methods.programs import LONG_PASS, own_network, own_pipeline
from da3_pipeline.benchmark.methods.registry import KINDS, all_variants, method
from da3_pipeline.benchmark.methods.single_process import predict_singly
from da3_pipeline.errors import CaptureError, InferenceError, PipelineError, UsageError
from da3_pipeline.geometry import Camera, PixelMap
from da3_pipeline.imageio import read_rgb, write_rgb
from da3_pipeline.infer.prediction_file import read_predictions
from da3_pipeline.model.variants import VARIANTS
from da3_pipeline.types import Frame, FrameSet, Prediction, Scene, Tracks, Verdict

WIDTH, HEIGHT = 32, 24
K = np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]])


@pytest.fixture
def scene(tmp_path: Path) -> GeometryScene:
    """Three cameras in a row."""
    views = []
    for k in range(3):
        path = tmp_path / "pictures" / f"{k}" / f"view {k}.png"
        path.parent.mkdir(parents=True)
        write_rgb(path, np.full((HEIGHT, WIDTH, 3), 60 * k, np.uint8))
        pose = np.hstack([np.eye(3), [[-0.5 * k], [0], [0]]])
        views.append(SceneView(f"{k}/view {k}.png", path, pose, K))
    return GeometryScene("a set", "here", tuple(views))


def saved(root: Path, scene: GeometryScene, rows: tuple[int, ...], **more: Any) -> None:
    """Predictions of some of the views, in this order, on maps of half the pictures' size."""
    (root / "set").mkdir(parents=True, exist_ok=True)
    half = np.diag([0.5, 0.5, 1.0]) @ K
    depth = np.stack([np.full((HEIGHT // 2, WIDTH // 2), 1.0 + k, np.float32) for k in rows])
    arrays = {
        "depth": depth,
        "extrinsics": scene.cam_from_world[list(rows)],
        "intrinsics": np.stack([half] * len(rows)),
    }
    names = np.array([Path(scene.names[k]).stem for k in rows])
    np.savez(root / "set" / "here.npz", **(arrays | {"names": names} | more))


def test_predictions_are_laid_onto_the_views_they_name(scene: GeometryScene, tmp_path: Path) -> None:
    saved(tmp_path / "theirs", scene, (2, 0), seconds=1.5)
    found = method(f"npz:{tmp_path / 'theirs'}", "set").estimate(scene, tmp_path)
    assert found.posed == [0, 2] and found.wall_s == 1.5 and found.passed is None
    np.testing.assert_allclose(found.cam_from_world[[0, 2]], scene.cam_from_world[[0, 2]])
    assert found.dense is not None and sorted(found.dense.row) == [0, 2]
    for view in (0, 2):
        picture = found.dense.of_picture(view)
        assert picture.shape == (HEIGHT, WIDTH) and (picture == 1.0 + view).all()
        np.testing.assert_allclose(found.dense.of_pinhole(view)[1], K)
    with pytest.raises(KeyError):
        found.dense.of_picture(1)


def test_predictions_of_other_pictures_are_refused(scene: GeometryScene, tmp_path: Path) -> None:
    asked = method(f"npz:{tmp_path}", "set")
    with pytest.raises(InferenceError, match="no such predictions file"):
        asked.estimate(scene, tmp_path)
    saved(tmp_path, scene, (0, 1), names=np.array(["x", "y"]))
    with pytest.raises(InferenceError, match="none of its names"):
        asked.estimate(scene, tmp_path)
    saved(tmp_path, scene, (0, 1), seconds=-1.0)
    with pytest.raises(InferenceError, match="seconds is no positive number"):
        asked.estimate(scene, tmp_path)


def test_a_colmap_model_gives_the_poses_of_its_images(scene: GeometryScene, tmp_path: Path) -> None:
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(Camera.from_matrix(K, WIDTH, HEIGHT).to_pycolmap(1))
    for k in (1, 2):
        image = pycolmap.Image(name=f"view {k}.png", camera_id=1, image_id=k)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(scene.cam_from_world[k]))
    folder = tmp_path / "solved" / "set" / "here" / "sparse" / "0"
    folder.mkdir(parents=True)
    model.write_binary(folder)
    asked = method(f"model:{tmp_path / 'solved'}", "set")
    found = asked.estimate(scene, tmp_path)
    assert found.posed == [1, 2] and found.dense is None
    np.testing.assert_allclose(found.cam_from_world[1:], scene.cam_from_world[1:], atol=1e-12)
    with pytest.raises(CaptureError, match="holds no COLMAP model"):
        asked.estimate(replace(scene, name="elsewhere"), tmp_path)
    (tmp_path / "solved" / "set" / "here").rename(tmp_path / "solved" / "set" / "other")
    others = replace(scene, name="other", views=tuple(replace(view, name=f"{view.name}.x.png") for view in scene.views))
    with pytest.raises(CaptureError, match="none of its images is one of other"):
        asked.estimate(others, tmp_path)


def test_depth_lies_where_the_map_lies_and_is_unbent() -> None:
    """A map of the middle half of a picture, twice as fine as it, through a lens that bends."""
    lens = Camera("SIMPLE_RADIAL", 80, 40, (60.0, 40.0, 20.0, 0.5))
    ramp = np.tile(np.arange(1.0, 81.0, dtype=np.float32), (40, 1))
    ramp[-2:] = -1
    views = DenseViews(ramp[None], (PixelMap((0.5, 0.5), (20.0, 10.0)),), (lens,), {7: 0})
    picture = views.of_picture(7)
    assert np.isnan(picture[:, :20]).all() and np.isnan(picture[:10]).all() and np.isnan(picture[29:]).all()
    np.testing.assert_array_equal(picture[12, 20:60], np.arange(2, 82, 2))  # centres lie on the finer map's corners
    straight, matrix = views.of_pinhole(7)
    row, column = 12, 25
    x, y = (column + 0.5 - 40) / 60, (row + 0.5 - 20) / 60
    bent = 40 + 60 * x * (1 + 0.5 * (x * x + y * y))
    assert straight[row, column] == np.floor(2 * (bent - 20)) + 1 != picture[row, column]
    np.testing.assert_allclose(matrix, lens.K)


def test_pictures_are_laid_in_order_and_straight(scene: GeometryScene, tmp_path: Path) -> None:
    bent = replace(scene.views[1], undistort=lambda stored: stored[:, ::2])
    laid = lay_pictures(replace(scene, views=(scene.views[2], bent)), tmp_path / "laid")
    assert laid.names == ("0000.png", "0001.png")
    assert read_rgb(laid.folder / laid.names[0])[0, 0, 0] == 120
    assert read_rgb(laid.folder / laid.names[1]).shape == (HEIGHT, WIDTH // 2, 3)
    assert (picture_size(bent), picture_size(scene.views[0])) == ((WIDTH // 2, HEIGHT), (WIDTH, HEIGHT))


def test_floors_are_the_same_each_time_and_say_nothing(scene: GeometryScene, tmp_path: Path) -> None:
    first, again = (method("floor:random", "set").estimate(scene, tmp_path).cam_from_world for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(np.linalg.det(first[:, :, :3]), 1)
    assert np.ptp(first[:, :, :3], axis=0).min() > 0
    other = method("floor:random", "set").estimate(replace(scene, name="there"), tmp_path).cam_from_world
    assert not np.allclose(first, other)
    constant = method("floor:constant", "set").estimate(scene, tmp_path).cam_from_world
    assert np.ptp(constant, axis=0).max() == 0


def test_what_is_asked_for_becomes_the_settings_of_a_run(
    scene: GeometryScene, tmp_path: Path, monkeypatch: Any
) -> None:
    """Without a process: what it would be asked."""
    asked: list[dict[str, Any]] = []

    def ask(what: str, command: Any, request: dict[str, Any]) -> Any:
        asked.append(request)
        poses = {"0000.png": scene.cam_from_world[0].tolist(), "0002.png": scene.cam_from_world[2].tolist()}
        told = {"poses": poses, "lenses": {}, "dense": False, "peak_mb": 9.0, "set_aside": ["0001.png"]}
        return SimpleNamespace(answer=told | {"passed": False, "verdict": "torn"}, wall_s=2.0, cpu_s=3.0)

    monkeypatch.setattr(programs, "ask", ask)
    (tmp_path / "scratch").mkdir()
    for number, kind in enumerate(("raw", "ray", "long", "refined")):
        found = method(f"{kind}:da3-nano", "set", "cpu").estimate(scene, tmp_path / f"scratch {number}")
        assert found.posed == [0, 2] and found.set_aside == {1} and found.dense is None
        assert (found.wall_s, found.cpu_s, found.peak_mb, found.passed) == (2.0, 3.0, 9.0, False)
    infer = [one["config"]["infer"] for one in asked]
    assert [one["refined"] for one in asked] == [False, False, False, True]
    assert [one["ray_pose"] for one in infer] == [False, True, False, False]
    assert [one["max_views_per_pass"] for one in infer] == [None, None, LONG_PASS["max_views_per_pass"], None]
    assert all(one["model"] == "da3-nano" and one["device"] == "cpu" for one in infer)


def test_a_solved_scene_is_written_in_its_own_units(scene: GeometryScene, tmp_path: Path) -> None:
    """Depth times the scale of its frame; frames for the poses only belong, those without a pose or a proof do not."""
    size = (WIDTH, HEIGHT)
    frames = tuple(Frame(f"{k}.png", tmp_path, *size, "one", "", training=k != 1) for k in range(4))
    lens = Camera("SIMPLE_RADIAL", *size, (28.0, 16.0, 12.0, 0.1))
    poses = np.tile(np.eye(3, 4), (4, 1, 1))
    half = PixelMap((2.0, 2.0), (0.0, 0.0))
    depth = np.ones((4, HEIGHT // 2, WIDTH // 2), np.float32)
    prediction = Prediction(
        FrameSet(frames, ()), "a network", depth, depth, poses, {"one": lens}, np.stack([K] * 4), (half,) * 4
    )
    solved = Scene(
        prediction=prediction,
        cameras={"one": lens},
        cam_from_world=np.where(np.arange(4)[:, None, None] == 2, np.nan, 2 * poses - np.eye(3, 4)),
        pose_source=("refined", "refined", "none", "unverified"),
        tracks=Tracks.empty(),
        depth_scale=np.array([3.0, np.nan, 1.0, 1.0]),
        verdict=Verdict(True, (), "good"),
        candidates=(),
    )
    told = write_scene(solved, {"0.png"}, tmp_path / "out.npz")
    assert list(told["poses"]) == ["0.png", "1.png"] and told["dense"]
    assert told["lenses"]["0.png"] == ["SIMPLE_RADIAL", 28.0, 16.0, 12.0, 0.1]
    file = read_predictions(tmp_path / "out.npz")
    assert (file.views.depth[0] == 3).all() and np.isnan(file.views.depth[1]).all()
    np.testing.assert_allclose(file.views.intrinsics[0], [[14, 0, 8], [0, 14, 6], [0, 0, 1]])
    nothing = write_scene(replace(solved, depth_scale=np.full(4, np.nan)), {"0.png"}, tmp_path / "none.npz")
    assert not nothing["dense"] and not (tmp_path / "none.npz").exists()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("refined", "give KIND:WHAT"),
        ("guess:x", "KIND being one of raw, ray"),
        ("raw:da3-none", "no model is called 'da3-none'"),
        ("colmap:fast", "no such mode of COLMAP"),
        ("floor:flat", "floor:constant, floor:random"),
        ("npz:/nowhere", "no such folder"),
    ],
)
def test_what_there_is_not_is_refused(asked: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        method(asked, "set")


def test_every_registered_network_with_cameras_can_be_asked_for() -> None:
    names = all_variants("ray")
    assert len(names) == sum(not entry.config.is_monocular for entry in VARIANTS.values())
    assert [method(name, "set").name for name in names] == list(names)
    assert set(KINDS) >= {"raw", "ray", "refined", "long", "npz", "model", "colmap", "floor"}


def test_our_network_answers_in_a_process_of_its_own(rendered_capture: Path, tmp_path: Path) -> None:
    """Two pictures through the network that is built in: depth and poses come back on the pictures."""
    paths = sorted((rendered_capture / "images").iterdir())[:2]
    views = tuple(SceneView(path.name, path, np.eye(3, 4), K) for path in paths)
    found = own_network("da3-nano", "cpu", process_res_px=56)(GeometryScene("a", "b", views), tmp_path / "scratch")
    assert found.posed == [0, 1] and found.dense is not None and found.peak_mb and found.wall_s
    shown = found.dense.of_picture(1)
    assert shown.shape[::-1] == picture_size(views[1]) and np.isfinite(shown).mean() > 0.9


@pytest.fixture
def monocular(tmp_path: Path) -> Path:
    """A small network of single pictures, with random weights."""
    import torch

    from da3_pipeline.model import ModelConfig, build, save_checkpoint

    config = ModelConfig(64, 6, 6, (1, 2, 4, 5), 8, (4, 4, 8, 8))
    path = tmp_path / "monocular.safetensors"
    save_checkpoint(build(config, generator=torch.Generator().manual_seed(1)), path)
    return path


def singly(scene: GeometryScene, folder: Path, model: str, matrices: Any = None) -> np.ndarray:
    pictures = lay_pictures(scene, folder / "images")
    asked = {"images": str(pictures.folder), "output": str(folder / "out.npz"), "model": model, "device": "cpu"}
    assert predict_singly(asked | {"intrinsics": matrices})["peak_mb"] > 0
    with np.load(folder / "out.npz") as file:
        assert file["scales"].shape == file["offsets"].shape == (len(scene), 2)
        return np.array(file["depth"])


@pytest.mark.parametrize("kind", ["any-view", "monocular"])
def test_each_picture_is_seen_by_itself(kind: str, scene: GeometryScene, monocular: Path, tmp_path: Path) -> None:
    model = "da3-nano" if kind == "any-view" else str(monocular)
    whole = singly(scene, tmp_path / "three", model)
    alone = singly(scene.subset([1]), tmp_path / "one", model)
    assert np.isfinite(whole).any() and not np.array_equal(whole[0], whole[1])
    np.testing.assert_allclose(whole[1], alone[0], rtol=1e-4)


def test_metres_go_with_the_focal_length(scene: GeometryScene, monocular: Path, tmp_path: Path) -> None:
    """Of the picture as the network sees it, beside 300 px."""
    plain = singly(scene, tmp_path / "a", str(monocular))
    near = singly(scene, tmp_path / "b", str(monocular), scene.intrinsics.tolist())
    far = singly(scene, tmp_path / "c", str(monocular), (np.diag([2.0, 2, 1]) @ scene.intrinsics).tolist())
    np.testing.assert_allclose(far, 2 * near, rtol=1e-5)
    focal = K[0, 0] * plain.shape[2] / WIDTH
    assert np.nanmedian(near / plain) == pytest.approx(focal / 300, rel=0.1)
    with pytest.raises(UsageError, match="its depth is not in metres"):
        singly(scene, tmp_path / "d", "da3-nano", scene.intrinsics.tolist())


def test_depth_alone_comes_back_on_the_pictures(
    scene: GeometryScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(what: str, command: Any, request: dict[str, Any]) -> SimpleNamespace:
        answer = predict_singly(request | {"device": "cpu"})
        return SimpleNamespace(answer=answer, wall_s=2.0, cpu_s=3.0)

    monkeypatch.setattr(programs, "ask", ask)
    found = method("mono:da3-nano", "set", "cpu").estimate(scene, tmp_path / "scratch")
    assert not found.has_poses and not found.in_metres and found.posed == [] and found.wall_s == 2.0
    assert found.dense is not None and found.dense.of_picture(2).shape == (HEIGHT, WIDTH)
    unknown = tuple(replace(view, intrinsics=np.full((3, 3), np.nan)) for view in scene.views)
    with pytest.raises(CaptureError, match="its cameras are not known"):
        method("metric:da3metric-large", "set", "cpu").estimate(replace(scene, views=unknown), tmp_path / "other")


def test_what_a_process_refuses_comes_back_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "a.png"
    write_rgb(broken, np.zeros((8, 8, 3), np.uint8))
    views = (SceneView("a.png", broken, np.eye(3, 4), K),)
    with pytest.raises(PipelineError, match="our pipeline: "):
        own_pipeline("da3-nano", "cpu")(GeometryScene("a", "b", views), tmp_path / "scratch")
