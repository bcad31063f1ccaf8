"""What other programs read of a session, taken apart again by the public rules of each format."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.export.ply import write_ply
from da3_pipeline.gaussians import read_spz, write_gaussians_ply
from da3_pipeline.gaussians.harmonics import basis
from da3_pipeline.interchange import convert
from da3_pipeline.types import GaussianCloud

Run = Callable[..., tuple[int, str, str]]
LENS = {"fl_x": 300.0, "fl_y": 310.0, "cx": 165.0, "cy": 118.0, "w": 320, "h": 240, "k1": -0.1, "k2": 0.02, "p1": 0.001}
POINTS = np.array([[1.0, 2.0, 3.0], [-4.0, 5.0, -6.0]])
COLOURS = np.array([[255, 0, 7], [8, 90, 200]], np.uint8)
APPLIED = np.column_stack([Rotation.from_euler("x", 90, degrees=True).as_matrix(), np.zeros(3)])
TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def pose(turn: tuple[float, float, float], centre: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("ZXY", turn, degrees=True).as_matrix()
    matrix[:3, 3] = centre
    return matrix


POSES = [pose((30, 80, 5), (1, 2, 3)), pose((-100, 60, -20), (2, 2, 3.5)), pose((10, 95, 0), (0, -2, 2))]


def cloud() -> GaussianCloud:
    generator = np.random.default_rng(0)
    q = generator.normal(size=(5, 4))
    return GaussianCloud(
        generator.normal(size=(5, 3)).astype(np.float32),
        generator.uniform(0.1, 2, (5, 3)).astype(np.float32),
        (q / np.linalg.norm(q, axis=1, keepdims=True)).astype(np.float32),
        generator.normal(0, 0.3, (5, 3, 9)).astype(np.float32),
        generator.uniform(0.05, 0.95, 5).astype(np.float32),
        np.zeros(5, np.int32),
    )


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """As a run leaves it: three images of one lens, two points, a depth map, five Gaussians."""
    folder = tmp_path / "session"
    (folder / "depths" / "clip").mkdir(parents=True)
    frames = [
        {"file_path": f"images/clip/{number}.jpg", "transform_matrix": matrix.tolist()}
        for number, matrix in enumerate(POSES)
    ]
    document = LENS | {"camera_model": "OPENCV", "applied_transform": APPLIED.tolist(), "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))
    write_ply(folder / "sparse_pc.ply", POINTS, COLOURS)
    write_gaussians_ply(folder / "gaussians.ply", cloud(), degree=2)
    ramp = np.linspace(1000, 4000, 48 * 64, dtype=np.float32).reshape(48, 64)
    ramp[:4] = 0
    np.save(folder / "depths" / "clip" / "0.npy", ramp)
    return folder


def read_glb(path: Path) -> tuple[dict[str, Any], Callable[[int], np.ndarray]]:
    """The document, and what gives an accessor's values."""
    data = path.read_bytes()
    magic, version, length, json_length, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    document = json.loads(data[20 : 20 + json_length])
    size, kind = struct.unpack("<I4s", data[20 + json_length : 28 + json_length])
    assert kind == b"BIN\0" and length == 28 + json_length + size and json_length % 4 == size % 4 == 0
    binary = data[28 + json_length :]
    kinds, widths = {5126: "<f4", 5121: "u1"}, {"SCALAR": 1, "VEC3": 3, "VEC4": 4}

    def values(index: int) -> np.ndarray:
        accessor = document["accessors"][index]
        view = document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0 and view["byteOffset"] + view["byteLength"] <= size
        found = np.frombuffer(binary, kinds[accessor["componentType"]], offset=view["byteOffset"])
        width = widths[accessor["type"]]
        array = found[: accessor["count"] * width].reshape(accessor["count"], width)
        if "min" in accessor:
            assert (array.min(0) == np.float32(accessor["min"])).all()
            assert (array.max(0) == np.float32(accessor["max"])).all()
        return array

    return document, values


def test_a_scene_has_its_points_and_cameras_with_y_up(session: Path, tmp_path: Path) -> None:
    convert(session, tmp_path / "out", ["glb"])
    document, values = read_glb(tmp_path / "out" / "scene.glb")
    points, lines = (document["meshes"][number]["primitives"][0] for number in (0, 1))
    assert (points["mode"], lines["mode"]) == (0, 1)
    np.testing.assert_allclose(values(points["attributes"]["POSITION"]), POINTS @ TO_Y_UP.T, atol=1e-6)
    np.testing.assert_array_equal(values(points["attributes"]["COLOR_0"])[:, :3], COLOURS)
    assert document["accessors"][points["attributes"]["POSITION"]]["min"]
    cameras = [node for node in document["nodes"] if "camera" in node]
    assert [node["name"] for node in cameras] == ["clip/0.jpg", "clip/1.jpg", "clip/2.jpg"]
    for node, matrix in zip(cameras, POSES, strict=True):
        found = np.array(node["matrix"]).reshape(4, 4).T
        np.testing.assert_allclose(found[:3, 3], TO_Y_UP @ matrix[:3, 3], atol=1e-9)
        np.testing.assert_allclose(found[:3, :3], TO_Y_UP @ matrix[:3, :3], atol=1e-9)
        lens = document["cameras"][node["camera"]]["perspective"]
        assert np.tan(lens["yfov"] / 2) == pytest.approx(240 / 2 / 310)
        assert np.tan(lens["yfov"] / 2) * lens["aspectRatio"] == pytest.approx(320 / 2 / 300)


def test_a_drawn_camera_opens_to_where_its_pictures_corners_look(session: Path, tmp_path: Path) -> None:
    convert(session, tmp_path / "out", ["glb"])
    document, values = read_glb(tmp_path / "out" / "scene.glb")
    ends = values(document["meshes"][1]["primitives"][0]["attributes"]["POSITION"]).reshape(3, 8, 2, 3)
    apex, corner = ends[0, 0]
    in_camera = (TO_Y_UP @ POSES[0][:3, :3]).T @ (corner - apex)
    np.testing.assert_allclose(in_camera / -in_camera[2], [-165 / 300, 118 / 310, -1], atol=1e-5)


def test_the_table_of_cameras_gives_back_poses_and_lens_by_its_public_formulas(session: Path, tmp_path: Path) -> None:
    convert(session, tmp_path / "out", ["csv"])
    with (tmp_path / "out" / "cameras.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["#name"] for row in rows] == ["0.jpg", "1.jpg", "2.jpg"]
    for row, matrix in zip(rows, POSES, strict=True):
        number = {key: float(value) for key, value in row.items() if key != "#name"}
        turn = [-number["heading"], number["pitch"], number["roll"]]
        rotation = (
            Rotation.from_euler("z", turn[0], degrees=True)
            * Rotation.from_euler("x", turn[1], degrees=True)
            * Rotation.from_euler("y", turn[2], degrees=True)
        )
        np.testing.assert_allclose(rotation.as_matrix(), matrix[:3, :3], atol=1e-9)
        assert [number["x"], number["y"], number["alt"]] == list(matrix[:3, 3])
        assert number["f"] * 320 / 36 == pytest.approx(305)
        assert number["px"] * 320 + 160 == pytest.approx(165)
        assert number["py"] * 320 + 120 == pytest.approx(118)
        assert [number[key] for key in ("k1", "k2", "k3", "k4", "t1", "t2")] == [-0.1, 0.02, 0, 0, 0.001, 0]


def test_splats_keep_place_shape_and_the_colour_that_each_side_sees(session: Path, tmp_path: Path) -> None:
    convert(session, tmp_path / "out", ["splats"])
    document, values = read_glb(tmp_path / "out" / "gaussians.glb")
    primitive = document["meshes"][0]["primitives"][0]
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"] and "extensionsRequired" not in document
    assert primitive["mode"] == 0 and primitive["extensions"]["KHR_gaussian_splatting"]["kernel"] == "ellipse"

    def of(name: str) -> np.ndarray:
        return values(primitive["attributes"][name])

    true, turn = cloud(), TO_Y_UP @ APPLIED[:, :3]
    np.testing.assert_allclose(of("POSITION"), true.means @ turn.T, atol=1e-5)
    np.testing.assert_allclose(of("KHR_gaussian_splatting:OPACITY")[:, 0], true.opacities, atol=1e-5)
    scales = of("KHR_gaussian_splatting:SCALE")
    found = Rotation.from_quat(of("KHR_gaussian_splatting:ROTATION")).as_matrix()
    before = Rotation.from_quat(np.roll(true.rotations, -1, axis=1)).as_matrix()
    spread = np.einsum("gij,gj,gkj->gik", found, scales**2, found)
    expected = np.einsum("gij,gj,gkj->gik", turn @ before, true.scales**2, turn @ before)
    np.testing.assert_allclose(spread, expected, rtol=1e-4, atol=1e-5)
    bands = [f"KHR_gaussian_splatting:SH_DEGREE_{l}_COEF_{m}" for l in range(3) for m in range(2 * l + 1)]  # noqa: E741
    harmonics = np.stack([of(name) for name in bands], axis=2)
    directions = np.random.default_rng(1).normal(size=(5, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen, meant = colours(harmonics, directions @ turn.T), colours(true.harmonics, directions)
    np.testing.assert_allclose(seen, meant, atol=1e-4)


def test_gaussians_in_version_four_are_those_of_the_session(session: Path, tmp_path: Path) -> None:
    """In its world, unlike gaussians.glb; only when asked for."""
    pytest.importorskip("zstandard")
    convert(session, tmp_path / "out", ["spz4"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gaussians_4.spz"]
    np.testing.assert_allclose(read_spz(tmp_path / "out" / "gaussians_4.spz").means, cloud().means, atol=1e-5)


def colours(harmonics: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(G, 3) of Gaussians that are looked at along (G, 3) directions."""
    functions = np.stack([np.broadcast_to(value, len(directions)) for value in basis(*directions.T, 9)], axis=1)
    return np.asarray(np.einsum("gck,gk->gc", harmonics, functions))


def test_depth_is_shown_near_bright_and_unknown_black(session: Path, tmp_path: Path) -> None:
    convert(session, tmp_path / "out", ["depth"])
    picture = np.array(Image.open(tmp_path / "out" / "depth_pictures" / "clip" / "0.png")).astype(int)
    assert picture.shape == (48, 64, 3)
    assert (picture[:4] == 0).all() and (picture[4:].sum(axis=2) > 0).all()
    red_less_blue = (picture[..., 0] - picture[..., 2])[4:].mean(axis=1)
    assert red_less_blue[0] > 50 > -50 > red_less_blue[-8], "from warm, near, to cold, far"


def test_by_default_all_is_written_that_there_is_something_for(session: Path, tmp_path: Path, cli: Run) -> None:
    code, stdout, _ = cli("convert", session, "-o", tmp_path / "out")
    assert code == 0
    assert stdout.splitlines()[0] == "scene.glb: 3 cameras, 2 points"
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["cameras.csv", "depth_pictures", "gaussians.glb", "scene.glb"]
    (session / "gaussians.ply").unlink()
    (session / "depths" / "clip" / "0.npy").unlink()
    assert [line.partition(":")[0] for line in convert(session, tmp_path / "less")] == ["scene.glb", "cameras.csv"]


def test_what_cannot_be_is_one_clear_error(session: Path, tmp_path: Path, cli: Run) -> None:
    (session / "gaussians.ply").unlink()
    with pytest.raises(UsageError, match="--gaussians"):
        convert(session, tmp_path / "out", ["splats"])
    with pytest.raises(UsageError, match="known: glb, csv"):
        convert(session, tmp_path / "out", ["obj"])
    with pytest.raises(UsageError, match="another folder"):
        convert(session, session)
    with pytest.raises(CaptureError, match="no finished session"):
        convert(tmp_path, tmp_path / "out")
    document = json.loads((session / "transforms.json").read_text())
    (session / "transforms.json").write_text(json.dumps(document | {"camera_model": "OPENCV_FISHEYE"}))
    assert "cameras.csv" not in " ".join(convert(session, tmp_path / "fisheye"))
    assert "--undistort" in cli("convert", session, "-o", tmp_path / "out", "--format", "csv")[2]
    document["frames"][1]["file_path"] = "images/other/0.jpg"
    (session / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match=r"two images are called 0\.jpg"):
        convert(session, tmp_path / "out", ["csv"])
