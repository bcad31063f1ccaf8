"""The data set as six trainers read it: their loading rules, written down anew, on one exported scene.

Every reader below gives images, cameras, poses and seeds as its trainer would have them after loading. Whatever the
way there, seeds seen through the cameras must have the colours of the images: that holds only if poses, intrinsics,
lens handling, image lookup and the world of the seeds all agree.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.export import ExportConfig, run
from da3_pipeline.geometry import Camera, transform_points
from da3_pipeline.imageio import write_mask
from da3_pipeline.progress import SilentProgress
from da3_pipeline.types import Scene

Float = NDArray[np.float64]
Bytes = NDArray[np.uint8]

PHONE = {"phone": Camera("SIMPLE_RADIAL", 240, 160, (180.0, 120.0, 80.0, -0.08))}
TWO = PHONE | {"tablet": Camera("RADIAL", 240, 160, (170.0, 121.0, 79.0, -0.06, 0.01))}
FISHEYE = {"action": Camera("OPENCV_FISHEYE", 240, 160, (120.0, 121.0, 120.0, 80.0, 0.05, -0.01, 0.002, 0.0))}
FLAT = tuple(f"IMG_{k:02d}.png" for k in range(6))
NESTED = ("2.jpg", "1/2.jpg", "a b/été's 3.png", "clip.mp4/000001.jpg", "c/2.png", "c/2.jpg")

CLOSE = 4
"""Of 255: what JPEG at its usual quality does to these images. A pixel beside is about 6."""


class RefusedError(Exception):
    """The reader stops with a message."""


@dataclass(frozen=True)
class View:
    """What a trainer compares its rendering with. `camera` has a distortion where the trainer renders it."""

    image: Bytes
    camera: Camera
    cam_from_world: Float
    mask: Path | None = None


@dataclass(frozen=True)
class Loaded:
    views: list[View]
    points: Float
    colours: Bytes


# The COLMAP model as readers without pycolmap see it: three files, byte by byte.

MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV")
PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5)


@dataclass
class Stream:
    data: bytes
    at: int = 0

    def read(self, layout: str) -> Any:
        values = struct.unpack_from(f"<{layout}", self.data, self.at)
        self.at += struct.calcsize(f"<{layout}")
        return values[0] if len(values) == 1 else values

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        value = self.data[self.at : end].decode()
        self.at = end + 1
        return value


@dataclass(frozen=True)
class ColmapImage:
    name: str
    cam_from_world: Float
    camera_id: int
    observations: int


def read_binary(folder: Path) -> tuple[dict[int, Camera], list[ColmapImage], Float, Bytes]:
    """Cameras by id, images, points and colours. Trailing bytes are refused, as LichtFeld Studio does."""
    streams = [Stream((folder / f"{name}.bin").read_bytes()) for name in ("cameras", "images", "points3D")]
    cameras, images, points, colours = {}, [], [], []
    for _ in range(streams[0].read("Q")):
        key, model, width, height = streams[0].read("IiQQ")
        cameras[key] = Camera(MODELS[model], width, height, streams[0].read(f"{PARAMETERS[model]}d"))
    for _ in range(streams[1].read("Q")):
        values = streams[1].read("I7dI")
        rotation, translation = pose_of(values[1:5]), np.array(values[5:8])
        name, count = streams[1].text(), streams[1].read("Q")
        streams[1].at += 24 * count
        images.append(ColmapImage(name, np.column_stack([rotation, translation]), values[8], count))
    for _ in range(streams[2].read("Q")):
        values = streams[2].read("Q3d3BdQ")
        points.append(values[1:4])
        colours.append(values[4:7])
        streams[2].at += 8 * values[8]
    if any(stream.at != len(stream.data) for stream in streams):
        raise RefusedError("trailing bytes")
    return cameras, images, np.array(points), np.array(colours, np.uint8)


def pose_of(quaternion: tuple[float, ...]) -> Float:
    w, *vector = quaternion
    cross = np.cross(np.eye(3), vector)
    return np.eye(3) + 2 * w * cross + 2 * cross @ cross


def pixels_of(path: Path) -> Bytes:
    if not path.exists():
        raise RefusedError(f"no file {path}")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def pinhole(K: Float, image: Bytes) -> Camera:
    return Camera("PINHOLE", image.shape[1], image.shape[0], (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))


def opencv_undistorted(image: Bytes, K: Float, distortion: list[float]) -> tuple[Bytes, Camera]:
    """As OpenCV's users do it: the picture without blank pixels, cut to the region that is valid."""
    if not any(distortion):
        return image, pinhole(K, image)
    size = (image.shape[1], image.shape[0])
    new, (x, y, width, height) = cv2.getOptimalNewCameraMatrix(K, np.array(distortion), size, 0)
    flat = cv2.undistort(image, K, np.array(distortion), None, new)[y : y + height, x : x + width]
    new[0, 2] -= x
    new[1, 2] -= y
    return flat, pinhole(new, flat)


def gsplat(folder: Path) -> Loaded:
    """examples/datasets/colmap.py at factor 1: sparse/0, files matched to names in sorted order, lenses undone."""
    model = pycolmap.Reconstruction(folder / "sparse" / "0")
    names = sorted(image.name for image in model.images.values())
    files = sorted(
        os.path.relpath(Path(at) / f, folder / "images") for at, _, fs in os.walk(folder / "images") for f in fs
    )
    if len(files) != len(names) or not names:
        raise RefusedError("files and images are matched by their order")
    path_of = dict(zip(files, files, strict=True))
    views = []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        camera = model.cameras[image.camera_id]
        if camera.model.name not in MODELS[:6]:
            raise RefusedError(camera.model.name)
        if not image.get_observation_points2D():
            raise RefusedError(f"{image.name} has no observations")  # a KeyError of its dictionary of points
        values, K = list(camera.params), camera.calibration_matrix()
        raw = pixels_of(folder / "images" / path_of[image.name])
        if raw.shape[:2] != (camera.height, camera.width):
            raise RefusedError(f"{image.name} is not of its camera's size")
        pose = image.cam_from_world().matrix()
        if camera.model.name == "OPENCV_FISHEYE":
            views.append(View(raw, Camera("OPENCV_FISHEYE", camera.width, camera.height, tuple(values)), pose))
            continue
        terms = {"RADIAL": [*values[3:5], 0.0, 0.0], "SIMPLE_RADIAL": [values[3], 0, 0, 0], "OPENCV": values[4:]}
        flat, seen_by = opencv_undistorted(raw, K, terms.get(camera.model.name, []))
        views.append(View(flat, seen_by, pose))
    points = list(model.points3D.values())
    return Loaded(views, np.array([p.xyz for p in points]), np.array([p.color for p in points]))


def inria(folder: Path, flatten_names: bool = False) -> Loaded:
    """scene/dataset_readers.py: pinhole cameras alone, and of these the fields of view alone.

    Until late 2024 it looked for images by their last name: `flatten_names`.
    """
    cameras, images, points, colours = read_binary(folder / "sparse" / "0")
    views = []
    for image in images:
        camera = cameras[image.camera_id]
        if camera.model not in ("PINHOLE", "SIMPLE_PINHOLE"):
            raise RefusedError(f"only undistorted data sets, not {camera.model}")
        name = os.path.basename(image.name) if flatten_names else image.name
        raw = pixels_of(folder / "images" / name)
        focal_x, focal_y = camera.params[0], camera.params[-3]
        centred = (focal_x, focal_y, camera.width / 2, camera.height / 2)
        views.append(View(raw, Camera("PINHOLE", camera.width, camera.height, centred), image.cam_from_world))
    if (folder / "sparse" / "0" / "points3D.ply").exists():
        raise RefusedError("a ply there would be taken for the points")
    return Loaded(views, points, colours)


def brush(folder: Path) -> Loaded:
    """brush-dataset: walks every file, hidden ones too; a COLMAP model before a transforms.json; images by the end of
    their path, the least first; and any PLY as seeds, init.ply before the last by name."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix)
    keys = {path: "/" + path.as_posix().lower() for path in files}
    models = [path.parent for path in files if keys[path].endswith("/cameras.bin")]
    cameras, images, points, colours = read_binary(folder / models[0])
    views = []
    for image in images:
        ends = [path for path in files if keys[path].endswith("/" + image.name.lower()) and "masks" not in path.parts]
        raw = pixels_of(folder / min(ends, key=lambda path: path.parts))
        mask = brush_mask(min(ends, key=lambda path: path.parts), files)
        camera = cameras[image.camera_id]
        views.append(View(raw, camera, image.cam_from_world, mask and folder / mask))
    plys = [path for path in files if path.suffix.lower() == ".ply"]
    if plys:
        first = [path for path in plys if path.name == "init.ply"] or plys[-1:]
        points, colours = read_simple_ply(folder / first[0])
    return Loaded(views, points, colours)


def brush_mask(image: Path, files: list[Path]) -> Path | None:
    """The one file whose folders after a `masks` are the end of the image's, named after its name or stem."""
    found = []
    for path in files:
        names = {image.name.lower(), image.stem.lower(), f"{image.stem.lower()}.mask"}
        if path.stem.lower() in names and "masks" in path.parts:
            below = path.parts[path.parts.index("masks") + 1 : -1]
            if image.parent.parts[len(image.parent.parts) - len(below) :] == below:
                found.append(path)
    if len(found) > 1:
        raise RefusedError("which of these it takes is chance")
    return found[0] if found else None


def lichtfeld(folder: Path) -> Loaded:
    """LichtFeld Studio: a COLMAP model before transforms.json, names with a suffix that starts with a letter, masks of
    the size of their images. It loads lenses that it then undoes, or renders, only if it is told to."""
    found = next(
        place for place in (folder / "sparse" / "0", folder / "sparse", folder) if (place / "cameras.bin").exists()
    )
    cameras, images, points, colours = read_binary(found)
    by_key = {
        p.relative_to(folder / "masks").as_posix().lower(): p for p in (folder / "masks").rglob("*") if p.is_file()
    }
    views = []
    for image in images:
        if not PurePosixPath(image.name).suffix[1:2].isalpha():
            raise RefusedError(f"{image.name} has no suffix of an image")
        stem, endings = os.path.splitext(image.name)[0], (".png", ".jpg", ".jpeg", ".mask.png")
        keys = [image.name, *(stem + end for end in endings), *(image.name + end for end in endings)]
        mask = next((by_key[key.lower()] for key in keys if key.lower() in by_key), None)
        raw = pixels_of(folder / "images" / image.name)
        if mask is not None and pixels_of(mask).shape != raw.shape:
            raise RefusedError("mask and image differ in size")
        camera = cameras[image.camera_id]
        if camera.model == "FOV":
            raise RefusedError(camera.model)
        views.append(View(raw, camera, image.cam_from_world, mask))
    return Loaded(views, points, colours)


def opensplat(folder: Path) -> Loaded:
    """OpenSplat: transforms.json where there is one. Lenses are Brown's, whatever camera_model says."""
    document = json.loads((folder / "transforms.json").read_text(encoding="utf-8"))
    if not document.get("camera_model") or not document.get("ply_file_path"):
        raise RefusedError("camera_model and ply_file_path are needed")
    points, colours = read_simple_ply(folder / document["ply_file_path"])
    views = []
    for frame in document["frames"]:
        of = {key: frame.get(key) or document.get(key, 0) for key in ("fl_x", "fl_y", "cx", "cy")}
        lens = [frame.get(key) or document.get(key, 0.0) for key in ("k1", "k2", "p1", "p2", "k3")]
        raw = pixels_of(folder / frame["file_path"])
        K = np.array([[of["fl_x"], 0, of["cx"]], [0, of["fl_y"], of["cy"]], [0, 0, 1]], float)
        flat, camera = opencv_undistorted(raw, K, lens)
        opengl_from_world = np.linalg.inv(np.array(frame["transform_matrix"], float))
        views.append(View(flat, camera, (np.diag([1.0, -1, -1, 1]) @ opengl_from_world)[:3]))
    return Loaded(views, points, colours)


def opensplat_colmap(folder: Path) -> Loaded:
    """OpenSplat without a transforms.json."""
    cameras, images, points, colours = read_binary(folder / "sparse" / "0")
    views = []
    for image in images:
        camera = cameras[image.camera_id]
        if camera.model not in ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "OPENCV"):
            raise RefusedError(f"unsupported camera model {camera.model}")
        lens = list(camera.params[4:]) if camera.model == "OPENCV" else []
        flat, seen_by = opencv_undistorted(pixels_of(folder / "images" / image.name), camera.K, lens)
        views.append(View(flat, seen_by, image.cam_from_world))
    return Loaded(views, points, colours)


def read_simple_ply(path: Path) -> tuple[Float, Bytes]:
    """As OpenSplat's quick reader: the header by position, x y z first, then three contiguous colours, no more."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    if lines[:2] != ["ply", "format binary_little_endian 1.0"] or not lines[2].startswith("element vertex "):
        raise RefusedError("not the header that is read")
    properties = [line.split(" ")[1:] for line in lines[3:]]
    if properties != [["float", axis] for axis in "xyz"] + [["uchar", name] for name in ("red", "green", "blue")]:
        raise RefusedError("properties are read by their places")
    rows = np.frombuffer(body, [("at", "<f4", 3), ("colour", "u1", 3)])
    if len(rows) != int(lines[2].split(" ")[2]):
        raise RefusedError("not as many vertices as the header says")
    return rows["at"].astype(float), rows["colour"]


Reader = Callable[[Path], Loaded]
ANY_LENS: dict[str, Reader] = {"gsplat": gsplat, "brush": brush, "lichtfeld": lichtfeld}
EVERY: dict[str, Reader] = ANY_LENS | {"3dgs": inria, "opensplat": opensplat, "opensplat, COLMAP": opensplat_colmap}


def export(scene: Scene, folder: Path, **options: Any) -> Path:
    run(scene, ExportConfig(depth_seeds=False, **options), SilentProgress(), folder)
    return folder


def difference(loaded: Loaded) -> float:
    """Median difference between the colours of seeds and of the images where they are seen, of the worst image."""
    assert len(loaded.points) == len(loaded.colours) > 100 and loaded.views
    worst = 0.0
    for view in loaded.views:
        assert view.image.shape[:2] == (view.camera.height, view.camera.width)
        in_camera = transform_points(view.cam_from_world, loaded.points)
        at = view.camera.project(in_camera)
        inside = ((at > 0) & (at < (view.camera.width, view.camera.height))).all(axis=1) & (in_camera[:, 2] > 0)
        inside &= ~behind_ball(view.cam_from_world, loaded.points)
        assert inside.sum() > 50
        places = (at[inside] - 0.5).astype(np.float32)[:, None]
        seen = cv2.remap(view.image.astype(np.float32), places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        worst = max(worst, float(np.percentile(np.abs(seen[:, 0] - loaded.colours[inside]).max(axis=1), 50)))
    return worst


def behind_ball(cam_from_world: Float, points: Float) -> NDArray[np.bool_]:
    """Points that the ball hides; it is around the origin, which no rotation of the world moves."""
    centre = -cam_from_world[:, :3].T @ cam_from_world[:, 3]
    way = points - centre
    length = np.linalg.norm(way, axis=1)
    along = -(way @ centre) / length  # where the line of sight is nearest to the origin
    half_chord = np.sqrt(np.maximum(0.8**2 - (centre @ centre - along**2), 0))
    return (half_chord > 0) & (along > 0) & (along - half_chord < length - 1e-3)


def scenes(room: Any, names: tuple[str, ...], cameras: dict[str, Camera], turned: bool) -> Scene:
    ids = tuple(list(cameras)[k % len(cameras)] for k in range(len(names)))
    scene = room(names=names, camera_ids=ids, cameras=cameras)
    return scene if turned else replace(scene, up_source="cameras")


def test_the_measure_sees_a_wrong_pose_and_a_forgotten_lens(room: Any, tmp_path: Path) -> None:
    """Before anything is shown with it."""
    loaded = gsplat(export(scenes(room, FLAT, PHONE, False), tmp_path / "out"))
    assert difference(loaded) <= CLOSE
    shift = np.array([[0, 0, 0, 0.1], [0, 0, 0, 0], [0, 0, 0, 0]])
    moved = [replace(view, cam_from_world=view.cam_from_world + shift) for view in loaded.views]
    assert difference(replace(loaded, views=moved)) > 2 * CLOSE
    bare = Camera("PINHOLE", 240, 160, (180.0, 180.0, 120.0, 80.0))
    strong = {"phone": Camera("SIMPLE_RADIAL", 240, 160, (180.0, 120.0, 80.0, -0.16))}
    forgotten = lichtfeld(export(scenes(room, FLAT, strong, False), tmp_path / "strong"))
    assert difference(forgotten) <= CLOSE
    assert difference(replace(forgotten, views=[replace(view, camera=bare) for view in forgotten.views])) > 2 * CLOSE


LENSES = {"one camera": PHONE, "two cameras": TWO, "fisheye": FISHEYE, "both kinds": TWO | FISHEYE}
DataSet = Callable[[str, bool, bool], Path]


@pytest.fixture(scope="module")
def data_set(room_in: Any, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """`data_set(lenses, turned, undistort)` is a folder that was exported once, for readers that only read."""

    @cache
    def exported(lenses: str, turned: bool, undistort: bool) -> Path:
        room = room_in(tmp_path_factory.mktemp("capture"))
        cameras = centred(TWO | FISHEYE) if lenses == "centred" else LENSES[lenses]
        return export(scenes(room, NESTED, cameras, turned), tmp_path_factory.mktemp("out") / "s", undistort=undistort)

    return exported


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "given world"])
@pytest.mark.parametrize("lenses", ["one camera", "two cameras"])
@pytest.mark.parametrize("reader", [*ANY_LENS, "opensplat", "opensplat, COLMAP"])
def test_with_the_lens_in_the_images(data_set: DataSet, reader: str, lenses: str, turned: bool) -> None:
    loaded = EVERY[reader](data_set(lenses, turned, False))
    assert len(loaded.views) == len(NESTED)
    assert difference(loaded) <= CLOSE


@pytest.mark.parametrize("reader", ANY_LENS)
def test_fisheye_images(data_set: DataSet, reader: str) -> None:
    assert difference(EVERY[reader](data_set("fisheye", False, False))) <= CLOSE


@pytest.mark.parametrize("turned", [False, True], ids=["upright", "given world"])
@pytest.mark.parametrize("lenses", ["one camera", "fisheye", "both kinds"])
@pytest.mark.parametrize("reader", EVERY)
def test_undistorted(data_set: DataSet, reader: str, lenses: str, turned: bool) -> None:
    off_centre = reader == "3dgs" and lenses == "both kinds"
    loaded = EVERY[reader](data_set("centred" if off_centre else lenses, turned, True))
    assert len(loaded.views) == len(NESTED)
    assert difference(loaded) <= CLOSE


def test_what_needs_undistort_says_so_itself(room: Any, tmp_path: Path) -> None:
    """docs/OUTPUTS.md names --undistort for these."""
    folder = export(scenes(room, FLAT, PHONE, False), tmp_path / "out")
    with pytest.raises(RefusedError, match="only undistorted"):
        inria(folder)
    folder = export(scenes(room, FLAT, FISHEYE, False), tmp_path / "fisheye")
    with pytest.raises(RefusedError, match="OPENCV_FISHEYE"):
        opensplat_colmap(folder)
    assert difference(opensplat(folder)) > 2 * CLOSE  # read, but as another lens


def test_early_3dgs_reads_captures_without_folders(room: Any, tmp_path: Path) -> None:
    folder = export(scenes(room, FLAT, PHONE, False), tmp_path / "flat", undistort=True)
    assert difference(inria(folder, flatten_names=True)) <= CLOSE
    folder = export(scenes(room, NESTED, PHONE, False), tmp_path / "nested", undistort=True)
    with pytest.raises(RefusedError, match="no file"):
        inria(folder, flatten_names=True)


def centred(cameras: dict[str, Camera]) -> dict[str, Camera]:
    """The same with principal points in the middle of the image."""
    at = {key: 1 if camera.model.startswith(("SIMPLE", "RADIAL")) else 2 for key, camera in cameras.items()}
    return {
        key: replace(c, params=(*c.params[: at[key]], c.width / 2, c.height / 2, *c.params[at[key] + 2 :]))
        for key, c in cameras.items()
    }


def test_a_principal_point_in_the_middle_stays_there(room: Any, tmp_path: Path) -> None:
    """3DGS puts it there whatever the model says."""
    folder = export(scenes(room, FLAT, PHONE, False), tmp_path / "out", undistort=True)
    (camera,) = read_binary(folder / "sparse" / "0")[0].values()
    assert abs(camera.params[2] - camera.width / 2) <= 0.5 and abs(camera.params[3] - camera.height / 2) <= 0.5


@pytest.mark.parametrize("undistort", [False, True])
@pytest.mark.parametrize("reader", ["brush", "lichtfeld"])
def test_each_image_finds_its_own_mask(room: Any, tmp_path: Path, reader: str, undistort: bool) -> None:
    scene = scenes(room, NESTED, PHONE, False)
    frames = []
    for k, frame in enumerate(scene.frames):
        used = np.ones((160, 240), bool)
        used[:, 30 + 20 * k : 50 + 20 * k] = False
        write_mask(tmp_path / f"{k}.png", used)
        frames.append(replace(frame, mask=tmp_path / f"{k}.png"))
    frame_set = replace(scene.prediction.frames, frames=tuple(frames))
    scene = replace(scene, prediction=replace(scene.prediction, frames=frame_set))
    loaded = EVERY[reader](export(scene, tmp_path / "out", undistort=undistort))
    for k, view in enumerate(loaded.views):
        assert view.mask is not None
        ignored = pixels_of(view.mask)[:, :, 0] == 0
        assert ignored.shape == view.image.shape[:2]
        middle = np.nonzero(ignored)[1].mean() / ignored.shape[1]
        assert middle == pytest.approx((40 + 20 * k) / 240, abs=0.03)


def test_no_reader_sees_a_file_that_is_not_meant_for_it(room: Any, tmp_path: Path) -> None:
    """Stray images, models and PLY files are taken up by readers that walk or list folders."""
    folder = export(scenes(room, NESTED, PHONE, True), tmp_path / "out", undistort=True)
    images = [path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    assert sorted(path.relative_to(folder).parts[0] for path in images) == ["images"] * len(NESTED)
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("cameras.*")] == ["sparse/0/cameras.bin"]
    assert {path.name for path in folder.rglob("*.ply")} == {"sparse_pc.ply", "init.ply"}
    outside = (path for path in folder.rglob("*.json") if ".da3" not in path.parts)
    assert [path.relative_to(folder).as_posix() for path in outside] == ["transforms.json"]
