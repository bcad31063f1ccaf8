"""Tiny trees of the layouts of the benchmark's data sets: three views of known poses and cameras each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from da3_pipeline.benchmark.truth.scene_truth import write_truth
from da3_pipeline.geometry import invert

WIDTH, HEIGHT = 16, 12
PLACES = np.random.default_rng(0).normal(size=(3, 3, 1))
POSES = np.concatenate([Rotation.random(3, random_state=0).as_matrix(), PLACES], axis=2)
K = np.array([[20.0, 0, 8], [0, 21, 6], [0, 0, 1]])


def square(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([pose, [0, 0, 0, 1]])


def picture(path: Path, value: int = 128, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(path)


def grey(path: Path, values: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def raised(value: int) -> NDArray[np.uint16]:
    depth = np.full((HEIGHT, WIDTH), value, np.uint16)
    depth[0, 0] = 0
    return depth


def hiroom(root: Path) -> None:
    scene = root / "data" / "a" / "b" / "c"
    for index, pose in enumerate(POSES):
        picture(scene / "image" / f"{index}.jpg")
        grey(scene / "depth" / f"{index}.png", raised(round(2 * 655.35)))
        grey(scene / "aliasing_mask" / f"{index}.png", np.eye(HEIGHT, WIDTH, dtype=np.uint8))
        (scene / "pose").mkdir(exist_ok=True)
        np.save(scene / "pose" / f"{index}.npy", square(pose))
    np.save(scene / "cam_K.npy", K)
    (root / "selected_scene_list_val.txt").write_text("a/b/c\nnot/here/yet\n")


def seven_scenes(root: Path) -> None:
    folder = root / "7Scenes" / "stairs" / "seq-02"
    for index, pose in enumerate(POSES):
        picture(folder / f"frame-{index:06d}.color.png")
        grey(folder / f"frame-{index:06d}.depth.png", raised(2000))
        np.savetxt(folder / f"frame-{index:06d}.pose.txt", square(invert(pose)))
    picture(folder / "frame-000009.color.png")  # without a pose
    (root / "7Scenes" / "meshes").mkdir()


def eth3d(root: Path) -> None:
    scene = root / "delivery_area"
    lines = ["# 1", "# 2", "# 3", "# 4"]
    for index, pose in zip((2, 0, 1), POSES[[2, 0, 1]], strict=True):
        x, y, z, w = Rotation.from_matrix(pose[:, :3]).as_quat()
        words = [index, w, x, y, z, *pose[:, 3], 7, f"dslr_images/DSC_{index}.JPG"]
        lines += [" ".join(map(str, words)), "1.5 2.5 -1 3 4 5"]
        picture(scene / "images" / "dslr_images" / f"DSC_{index}.JPG")
    lines += ["9 1 0 0 0 0 0 0 7 dslr_images/DSC_0711.JPG", ""]
    picture(scene / "images" / "dslr_images" / "DSC_0711.JPG")
    calibration = scene / "dslr_calibration_jpg"
    calibration.mkdir()
    (calibration / "images.txt").write_text("\n".join(lines))
    (calibration / "cameras.txt").write_text("#\n#\n#\n7 THIN_PRISM_FISHEYE 16 12 20 21 8 6 .1 .1 0 0 0 0 0 0\n")
    depth = np.full((HEIGHT, WIDTH), 2.0, np.float32)
    depth[0, 0] = np.inf
    (scene / "ground_truth_depth" / "dslr_images").mkdir(parents=True)
    for index in range(3):
        depth.tofile(scene / "ground_truth_depth" / "dslr_images" / f"DSC_{index}.JPG")
        grey(scene / "masks_for_images" / "dslr_images" / f"DSC_{index}.png", np.eye(HEIGHT, WIDTH, dtype=np.uint8))


def camera_file(path: Path, pose: NDArray[np.float64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = K.copy()
    matrix[:2, 2] -= 0.5
    rows = [" ".join(map(str, row)) for row in square(pose)], [" ".join(map(str, row)) for row in matrix]
    path.write_text("\n".join(["extrinsic", *rows[0], "", "intrinsic", *rows[1], "", "425 2.5", ""]))


def dtu(root: Path) -> None:
    for index, pose in enumerate(POSES):
        picture(root / "Rectified" / "scan4" / f"rect_{index + 1:03d}_3_r5000.png")
        camera_file(root / "Cameras" / f"{index:08d}_cam.txt", pose)
        mask = np.where(np.eye(HEIGHT, WIDTH) > 0, 0, 255).astype(np.uint8)
        grey(root / "depth_raw" / "Depths" / "scan4" / f"depth_visual_{index:04d}.png", mask)
    observed = root / "SampleSet" / "mvs_data" / "ObsMask"
    observed.mkdir(parents=True)
    savemat(observed / "ObsMask4_10.mat", {"ObsMask": np.ones((2, 3, 4), np.uint8), "BB": np.eye(2, 3), "Res": 10.0})
    savemat(observed / "Plane4.mat", {"P": np.array([[0.0], [0], [1], [-5]])})


def dtu64(root: Path) -> None:
    for index, pose in enumerate(POSES):
        picture(root / "scan24" / "image" / f"{index:08d}.png")
        camera_file(root / "Cameras" / f"{index:08d}_cam.txt", pose)


def scannetpp(root: Path) -> None:
    import pycolmap

    scene = root / "0a1b" / "merge_dslr_iphone"
    model = pycolmap.Reconstruction()
    params = [20 * 64.0, 21 * 64, 8 * 64, 6 * 64, 0.05, 0.01, 0.0, 0.0]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model="OPENCV", width=1024, height=768, params=params)
    )
    for index, pose in enumerate(POSES):
        for device in ("iphone", "dslr"):
            name = f"{device}/frame_{index}.jpg"
            image = pycolmap.Image(name=name, camera_id=1, image_id=1 + 2 * index + (device == "dslr"))
            model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
            picture(scene / "images" / name, size=(1024, 768))
        grey(scene / "render_depth" / f"frame_{index}.png", np.full((768, 1024), 2000, np.uint16))
    (scene / "colmap" / "sparse_render_rgb").mkdir(parents=True)
    model.write(scene / "colmap" / "sparse_render_rgb")


def dl3dv(root: Path) -> None:
    """As nerfstudio processes videos: OpenGL's axes in a world that was turned, cameras of pictures in full size."""
    folder = root / "1K" / "0a1b2c" / "nerfstudio"
    turned = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1]])
    frames = []
    for index, pose in enumerate(POSES):
        name = f"frame_{index + 1:05d}.png"
        picture(folder / "images_8" / name)
        world_from_cam = turned @ square(invert(pose)) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": f"images/{name}", "transform_matrix": world_from_cam.tolist()})
    frames.append({"file_path": "images/frame_00009.png", "transform_matrix": np.eye(4).tolist()})  # is not there
    camera = {"w": 8 * WIDTH, "h": 8 * HEIGHT, "fl_x": 160, "fl_y": 168, "cx": 64, "cy": 48, "k1": 0, "k2": 0}
    document = {**camera, "camera_model": "OPENCV", "applied_transform": turned[:3].tolist(), "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))


def tanksandtemples(root: Path) -> None:
    posed_model(root / "truck" / "sparse" / "0", "PINHOLE", [20.0, 21.0, 8.0, 6.0])
    for index in range(3):
        picture(root / "truck" / "images" / f"{index:06d}.jpg")


def megadepth(root: Path) -> None:
    posed_model(root / "0015" / "sparse" / "manhattan" / "0", "SIMPLE_RADIAL", [20.0, 8.0, 6.0, 0.0])
    for index in range(3):
        picture(root / "0015" / "images" / f"{index:06d}.jpg")


def posed_model(folder: Path, camera_model: str, params: list[float], size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """COLMAP's model of the three views and one point."""
    import pycolmap

    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(camera_id=1, model=camera_model, width=size[0], height=size[1], params=params)
    )
    for index, pose in enumerate(POSES):
        image = pycolmap.Image(name=f"{index:06d}.jpg", camera_id=1, image_id=1 + index)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    model.add_point3D(np.array([1.0, 2, 3]), pycolmap.Track(), np.array([9, 8, 7], np.uint8))
    folder.mkdir(parents=True)
    model.write(folder)


def strecha(root: Path) -> None:
    names = [f"{index}.jpg" for index in range(3)]
    for name in names:
        picture(root / "fountain" / "images" / name)
    write_truth(root / "fountain", names, POSES, np.stack([K] * 3))


def tum(root: Path) -> None:
    scene = root / "rgbd_dataset_freiburg3_office"
    lists: dict[str, list[str]] = {"rgb": [], "depth": [], "groundtruth": []}
    for index, pose in enumerate(POSES):
        picture(scene / "rgb" / f"{index}.png", size=(640, 480))
        grey(scene / "depth" / f"{index}.png", raised(10_000))
        world = invert(pose)
        numbers = [*world[:, 3], *Rotation.from_matrix(world[:, :3]).as_quat()]
        lists["rgb"].append(f"{index}.00 rgb/{index}.png")
        lists["depth"].append(f"{index}.01 depth/{index}.png")
        lists["groundtruth"].append(f"{index}.005 " + " ".join(map(str, numbers)))
    lists["rgb"].append("9.0 rgb/9.png")
    for name, lines in lists.items():
        (scene / f"{name}.txt").write_text("# head\n" + "\n".join(lines))


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "hiroom": hiroom,
    "eth3d": eth3d,
    "dtu": dtu,
    "dtu64": dtu64,
    "7scenes": seven_scenes,
    "scannetpp": scannetpp,
    "dl3dv": dl3dv,
    "tanksandtemples": tanksandtemples,
    "megadepth": megadepth,
    "strecha": strecha,
    "tum": tum,
}
