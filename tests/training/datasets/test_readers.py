"""Each public layout, laid out as a tiny tree: the known point falls on its pixel, and depth says how far it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from da3_pipeline.arrays import Float, Float32
from da3_pipeline.errors import CaptureError, UsageError
from da3_pipeline.training.datasets.contract import PosedScene
from da3_pipeline.training.datasets.registry import DATA_SETS, data_set

WIDTH, HEIGHT = 64, 48
POINT = np.array([0.3, -0.2, 4.0])
FAR_M = 3.0


@dataclass(frozen=True)
class Camera:
    """Right, down and forward of a camera in the world, its centre, and its lens in pixels with a corner origin."""

    right: Float
    down: Float
    forward: Float
    centre: Float
    lens: tuple[float, float, float, float] = (60.0, 62.0, 31.0, 25.5)

    def pixel(self, lens: tuple[float, float, float, float] | None = None) -> tuple[float, float, float]:
        """x, y and z-depth of POINT."""
        fx, fy, cx, cy = lens or self.lens
        offset = POINT - self.centre
        z = offset @ self.forward
        return fx * (offset @ self.right) / z + cx, fy * (offset @ self.down) / z + cy, z

    @property
    def depth(self) -> Float32:
        """A wall at 3 m, the first row unknown."""
        wall = np.full((HEIGHT, WIDTH), FAR_M, np.float32)
        wall[0] = 0
        return wall


def _cameras() -> list[Camera]:
    turns = Rotation.from_rotvec([[0.1, -0.2, 0.05], [-0.15, 0.1, 0.3]]).as_matrix()
    centres = np.array([[0.1, 0.2, 0.0], [-0.5, 0.1, 0.3]])
    return [Camera(*turn.T, centre) for turn, centre in zip(turns, centres, strict=True)]


def _columns(*axes: Float, centre: Float | None = None) -> Float:
    """(4, 4) world_from_cam from the camera's axes in the world."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(axes, 1)
    matrix[:3, 3] = 0 if centre is None else centre
    return matrix


def _opengl(camera: Camera) -> Float:
    return _columns(camera.right, -camera.down, -camera.forward, centre=camera.centre)


def _opencv(camera: Camera) -> Float:
    return _columns(camera.right, camera.down, camera.forward, centre=camera.centre)


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 128, np.uint8))


def _depth_png(path: Path, camera: Camera, unit: float, unknown: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.where(camera.depth > 0, camera.depth / unit, unknown).astype(np.uint16))


def _tartanair(root: Path, cameras: list[Camera]) -> None:
    scene = root / "carwelding" / "Easy" / "P001"
    lines = []
    for number, camera in enumerate(cameras):
        _picture(scene / "image_left" / f"{number:06d}_left.png")
        axes = np.stack([camera.forward, camera.right, camera.down], 1)
        lines.append([*camera.centre, *Rotation.from_matrix(axes).as_quat()])
        (scene / "depth_left").mkdir(exist_ok=True)
        np.save(scene / "depth_left" / f"{number:06d}_left_depth.npy", np.where(camera.depth > 0, FAR_M, 1e4))
    np.savetxt(scene / "pose_left.txt", lines)


def _vkitti2(root: Path, cameras: list[Camera]) -> None:
    scene = root / "Scene01" / "fog"
    frames = scene / "frames"
    intrinsic, extrinsic = ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]"], ["frame cameraID r1,1 r1,2 ..."]
    for number, camera in enumerate(cameras):  # the left and the right camera of one frame
        _picture(frames / "rgb" / f"Camera_{number}" / "rgb_00007.jpg")
        _depth_png(frames / "depth" / f"Camera_{number}" / "depth_00007.png", camera, 0.01, 65535)
        intrinsic.append(" ".join(map(str, (7, number, *camera.lens))))
        extrinsic.append(" ".join(map(str, (7, number, *np.linalg.inv(_opencv(camera)).ravel()))))
    (scene / "intrinsic.txt").write_text("\n".join(intrinsic))
    (scene / "extrinsic.txt").write_text("\n".join(extrinsic))


def _arkitscenes(root: Path, cameras: list[Camera]) -> None:
    scene = root / "Training" / "40753679"
    lines = [[100.0, 0, 0, 0, 9, 9, 9]]
    for number, camera in enumerate(cameras):
        name = f"40753679_{6780.5 + number:.3f}"
        _picture(scene / "lowres_wide" / f"{name}.png")
        _depth_png(scene / "lowres_depth" / f"{name}.png", camera, 0.001)
        lens = scene / "lowres_wide_intrinsics" / f"40753679_{6780.5 + number + 0.001 * number:.3f}.pincam"
        lens.parent.mkdir(exist_ok=True)
        lens.write_text(" ".join(map(str, (WIDTH, HEIGHT, *camera.lens))))
        inverse = np.linalg.inv(_opencv(camera))
        lines.append([6780.503 + number, *Rotation.from_matrix(inverse[:3, :3]).as_rotvec(), *inverse[:3, 3]])
    _picture(scene / "lowres_wide" / "40753679_6799.000.png")  # no pose close by
    np.savetxt(scene / "lowres_wide.traj", lines)


def _blendedmvs(root: Path, cameras: list[Camera]) -> None:
    scene = root / "5a3ca9cb270f0e3f14d0eddb"
    (scene / "cams").mkdir(parents=True)
    (scene / "cams" / "pair.txt").write_text("2\n")
    for number, camera in enumerate(cameras):
        _picture(scene / "blended_images" / f"{number:08d}.jpg")
        fx, fy, cx, cy = camera.lens
        K = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
        rows = [" ".join(map(str, row)) for row in np.linalg.inv(_opencv(camera))]
        inner = [" ".join(map(str, row)) for row in K]
        text = "\n".join(["extrinsic", *rows, "", "intrinsic", *inner, "", "0.5 0.1 128 9.0", ""])
        (scene / "cams" / f"{number:08d}_cam.txt").write_text(text)
        depth = scene / "rendered_depth_maps" / f"{number:08d}.pfm"
        depth.parent.mkdir(exist_ok=True)
        depth.write_bytes(f"Pf\n{WIDTH} {HEIGHT}\n-1.000000\n".encode() + camera.depth[::-1].astype("<f4").tobytes())


def _wildrgbd(root: Path, cameras: list[Camera]) -> None:
    scene = root / "apple" / "scenes" / "scene_003"
    lines = []
    for number, camera in enumerate(cameras):
        _picture(scene / "rgb" / f"{number:05d}.png")
        _depth_png(scene / "depth" / f"{number:05d}.png", camera, 0.001)
        lines.append([number, *_opencv(camera).ravel()])
    fx, fy, cx, cy = cameras[0].lens
    (scene / "metadata").write_text(json.dumps({"w": WIDTH, "h": HEIGHT, "K": [fx, 0, 0, 0, fy, 0, cx, cy, 1]}))
    np.savetxt(scene / "cam_poses.txt", lines)


def _dl3dv(root: Path, cameras: list[Camera]) -> None:
    """The file speaks of pictures four times as large; one of its frames has none."""
    scene = root / "1K" / "0a1b7c20"
    frames = [{"file_path": "images/frame_00009.png", "transform_matrix": np.eye(4).tolist()}]
    for number, camera in enumerate(cameras):
        _picture(scene / "images_4" / f"frame_{number:05d}.png")
        pose = _opengl(camera).tolist()
        frames.append({"file_path": f"images/frame_{number:05d}.png", "transform_matrix": pose})
    fx, fy, cx, cy = (4 * value for value in cameras[0].lens)
    lens = {"w": 4 * WIDTH, "h": 4 * HEIGHT, "fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "k1": 0.01}
    (scene / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))


def _scannetpp(root: Path, cameras: list[Camera]) -> None:
    dslr = root / "data" / "036bce3393" / "dslr"
    frames = [{"file_path": "DSC00009.JPG", "is_bad": True, "transform_matrix": np.eye(4).tolist()}]
    for number, camera in enumerate(cameras):
        _picture(dslr / "undistorted_images" / f"DSC0000{number}.JPG")
        _depth_png(dslr / "render_depth" / f"DSC0000{number}.png", camera, 0.001)
        pose = _opengl(camera).tolist()
        frames.append({"file_path": f"DSC0000{number}.JPG", "is_bad": False, "transform_matrix": pose})
    lens = dict(zip(("fl_x", "fl_y", "cx", "cy"), cameras[0].lens, strict=True))
    path = dslr / "nerfstudio" / "transforms_undistorted.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**lens, "w": WIDTH, "h": HEIGHT, "frames": frames}))


def _co3d(root: Path, cameras: list[Camera]) -> None:
    """One frame with each format of intrinsics; depth in half the units of the poses."""
    frames = []
    formats = ("ndc_isotropic", "ndc_norm_image_bounds")
    for number, (camera, kind) in enumerate(zip(cameras, formats, strict=True)):
        name = f"frame{number + 1:06d}.jpg"
        picture, depth = f"apple/110_13051/images/{name}", f"apple/110_13051/depths/{name}.geometric.png"
        _picture(root / picture)
        bits = (camera.depth / 2).astype(np.float16).view(np.uint16)
        (root / depth).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(root / depth), bits)
        fx, fy, cx, cy = camera.lens
        unit_x, unit_y = (HEIGHT / 2, HEIGHT / 2) if kind == "ndc_isotropic" else (WIDTH / 2, HEIGHT / 2)
        R = np.stack([-camera.right, -camera.down, camera.forward], 1)
        viewpoint = {
            "R": R.tolist(),
            "T": (-camera.centre @ R).tolist(),
            "focal_length": [fx / unit_x, fy / unit_y],
            "principal_point": [(WIDTH / 2 - cx) / unit_x, (HEIGHT / 2 - cy) / unit_y],
            "intrinsics_format": kind,
        }
        image = {"path": picture, "size": [HEIGHT, WIDTH]}
        frame = {"sequence_name": "110_13051", "frame_number": number, "image": image, "viewpoint": viewpoint}
        frames.append({**frame, "depth": {"path": depth, "scale_adjustment": 2.0}})
    with gzip.open(root / "apple" / "frame_annotations.jgz", "wt") as file:
        json.dump(frames[::-1], file)


def _hdf5(path: Path, key: str, values: Float | Float32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file[key] = values


def _hypersim(root: Path, cameras: list[Camera]) -> None:
    """Units of 2 cm; the table of cameras has a lens off the middle, and another scene's."""
    scene, detail = root / "ai_001_001", root / "ai_001_001" / "_detail"
    named = {
        "orientations": np.stack([_opengl(camera)[:3, :3] for camera in cameras]),
        "positions": np.stack([camera.centre for camera in cameras]) / 0.02,
        "frame_indices": np.array([0.0, 7]),
    }
    for name, values in named.items():
        _hdf5(detail / "cam_00" / f"camera_keyframe_{name}.hdf5", "dataset", values)
    (detail / "metadata_scene.csv").write_text("parameter_name, parameter_value\nmeters_per_asset_unit, 0.02\n")
    fx, fy, cx, cy = cameras[0].lens
    M = np.array([[32 / fx, 0, (32 - cx) / fx], [0, 24 / fy, (cy - 24) / fy], [0, 0, -1]])
    header = ["scene_name", "settings_output_img_width", "settings_output_img_height"]
    header += [f"M_cam_from_uv_{i}{j}" for i in range(3) for j in range(3)]
    rows = [["ai_001_001", WIDTH, HEIGHT, *(2 * M).ravel()], ["ai_001_002", 1, 1, *np.eye(3).ravel()]]
    lines = [",".join(str(value) for value in row) for row in (header, *rows)]
    (root / "metadata_camera_parameters.csv").write_text("\n".join(lines))
    x, y = (np.arange(WIDTH) + 0.5 - cx) / fx, (np.arange(HEIGHT) + 0.5 - cy) / fy
    for frame, camera in zip((0, 7), cameras, strict=True):
        _picture(scene / "images" / "scene_cam_00_final_preview" / f"frame.{frame:04d}.tonemap.jpg")
        distance = camera.depth * np.sqrt(1 + x**2 + y[:, None] ** 2)
        distance[0] = np.nan
        stored = scene / "images" / "scene_cam_00_geometry_hdf5" / f"frame.{frame:04d}.depth_meters.hdf5"
        _hdf5(stored, "dataset", distance.astype(np.float16))


def _megadepth(root: Path, cameras: list[Camera]) -> None:
    """The third picture has no depth and is left out; negative depth says an order alone."""
    folder = root / "Undistorted_SfM" / "0001"
    (folder / "sparse").mkdir(parents=True)
    fx, fy, cx, cy = cameras[0].lens
    (folder / "sparse" / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} {fx} {fy} {cx} {cy}\n")
    (folder / "sparse" / "points3D.txt").write_text("")
    lines = []
    for number, camera in enumerate((*cameras, cameras[0])):
        pose = np.linalg.inv(_opencv(camera))
        x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
        values = " ".join(f"{value:.12f}" for value in (w, x, y, z, *pose[:3, 3]))
        lines += [f"{number + 1} {values} 1 {number}.jpg", ""]
        _picture(folder / "images" / f"{number}.jpg")
    (folder / "sparse" / "images.txt").write_text("\n".join(lines) + "\n")
    for number, camera in enumerate(cameras):
        depth = np.where(camera.depth > 0, camera.depth, -1).astype(np.float32)
        _hdf5(root / f"phoenix/S6/zl548/MegaDepth_v1/0001/dense0/depths/{number}.h5", "depth", depth)


LAYOUTS: dict[str, Callable[[Path, list[Camera]], None]] = {
    "arkitscenes": _arkitscenes,
    "blendedmvs": _blendedmvs,
    "co3d": _co3d,
    "dl3dv": _dl3dv,
    "hypersim": _hypersim,
    "megadepth": _megadepth,
    "scannetpp": _scannetpp,
    "tartanair": _tartanair,
    "vkitti2": _vkitti2,
    "wildrgbd": _wildrgbd,
}
LENSES = {"tartanair": (320.0, 320.0, 320.0, 240.0)}


def _read(name: str, root: Path) -> PosedScene:
    LAYOUTS[name](root, _cameras())
    (folder,) = data_set(name).find(root)
    return data_set(name).read(folder)


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_a_known_point_falls_on_its_pixel(name: str, tmp_path: Path) -> None:
    scene = _read(name, tmp_path)
    assert len(scene.views) == 2
    for view, camera in zip(scene.views, _cameras(), strict=True):
        x, y, z = camera.pixel(LENSES.get(name))
        point = view.K @ (view.cam_from_world[:, :3] @ POINT + view.cam_from_world[:, 3])
        np.testing.assert_allclose(point, [x * z, y * z, z], rtol=1e-4)
        assert view.image.is_file()


@pytest.mark.parametrize("name", sorted(set(DATA_SETS) - {"dl3dv"}))
def test_depth_is_in_the_units_of_the_poses_and_0_where_unknown(name: str, tmp_path: Path) -> None:
    scene = _read(name, tmp_path)
    assert scene.has_depth and scene.metric == (name not in ("blendedmvs", "co3d", "megadepth"))
    for view, camera in zip(scene.views, _cameras(), strict=True):
        assert view.depth is not None
        depth = view.depth()
        assert depth.dtype == np.float32
        np.testing.assert_allclose(depth, camera.depth, rtol=1e-3)


def test_pictures_without_depth_say_so(tmp_path: Path) -> None:
    assert not _read("dl3dv", tmp_path).has_depth


BROKEN = {
    "arkitscenes": "lowres_wide.traj",
    "blendedmvs": "00000000_cam.txt",
    "dl3dv": "transforms.json",
    "hypersim": "camera_keyframe_positions.hdf5",
    "megadepth": "images.txt",
    "scannetpp": "transforms_undistorted.json",
    "tartanair": "pose_left.txt",
    "vkitti2": "extrinsic.txt",
    "wildrgbd": "cam_poses.txt",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
@pytest.mark.filterwarnings("ignore:.*input contained no data")
def test_a_broken_file_is_named(name: str, tmp_path: Path) -> None:
    LAYOUTS[name](tmp_path, _cameras())
    (folder,) = data_set(name).find(tmp_path)
    (path,) = tmp_path.rglob(BROKEN[name])
    path.write_text("what is this\n")
    with pytest.raises(CaptureError, match=BROKEN[name]):
        data_set(name).read(folder)


def test_a_scene_of_hypersim_without_the_table_has_the_usual_lens(tmp_path: Path) -> None:
    _hypersim(tmp_path, _cameras())
    table = tmp_path / "metadata_camera_parameters.csv"
    text = table.read_text()
    table.unlink()
    K = data_set("hypersim").read(tmp_path / "ai_001_001").views[0].K
    assert 2 * np.degrees(np.arctan(512 / K[0, 0])) == pytest.approx(60) and (K[0, 2], K[1, 2]) == (512, 384)
    cells = text.splitlines()[1].split(",")
    cells[-2] = "0.1"  # what comes from v in the direction of view
    table.write_text("\n".join([text.splitlines()[0], ",".join(cells)]))
    with pytest.raises(CaptureError, match="tilted"):
        data_set("hypersim").read(tmp_path / "ai_001_001")


def test_broken_depth_and_archives_are_named(tmp_path: Path) -> None:
    scene = _read("blendedmvs", tmp_path / "b")
    (path,) = (tmp_path / "b").rglob("00000001.pfm")
    path.write_bytes(path.read_bytes()[:-4])
    assert scene.views[1].depth is not None
    with pytest.raises(CaptureError, match="cut short"):
        scene.views[1].depth()
    scene = _read("wildrgbd", tmp_path / "w")
    (path,) = (tmp_path / "w").rglob("depth/00000.png")
    path.write_bytes(b"PNG")
    assert scene.views[0].depth is not None
    with pytest.raises(CaptureError, match="no 16-bit grey PNG"):
        scene.views[0].depth()
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "frame_annotations.jgz").write_bytes(gzip.compress(b"[1]"))
    with pytest.raises(CaptureError, match="CO3Dv2"):
        data_set("co3d").find(tmp_path / "c")
    with pytest.raises(UsageError, match="tartanair"):
        data_set("none")
