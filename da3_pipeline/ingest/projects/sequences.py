"""RGB-D sequences as data sets keep them: TUM, 7-Scenes and SUN3D, ScanNet, and pictures with depth beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ...arrays import Float
from ...errors import CaptureError
from ...geometry import PixelMap, invert
from ...guard.bounded import read_document
from ...types import SensorDepth
from ..names import natural_key
from .views import Intrinsics, KnownView, Project, checked, matrix, rigid

__all__ = [
    "read_frames",
    "read_pairs",
    "read_scannet",
    "read_tum",
    "recognises_frames",
    "recognises_pairs",
    "recognises_scannet",
    "recognises_tum",
]

_MILLI = 1e-3
_TUM_UNIT = 1 / 5000
_TUM_APART_S = 0.02  # of two time stamps that are one instant, as TUM's own associate.py has it
_TUM_CAMERAS = {
    "freiburg1": (517.3, 516.5, 318.6, 255.3),
    "freiburg2": (520.9, 521.0, 325.1, 249.7),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
"""fx, fy, cx, cy published with the benchmark, centres of pixels at whole numbers; their distortion is not modelled."""
_KINECT_SIZE = (640, 480)
_KINECT_COLOUR_PX, _KINECT_DEPTH_PX = 525.0, 585.0  # nominal focal lengths of 7-Scenes' uncalibrated Kinect
_PICTURES = frozenset([".jpg", ".jpeg", ".png", ".ppm", ".webp", ".bmp", ".tif", ".tiff"])
_DEPTHS = frozenset([".png", ".tif", ".tiff", ".pgm", ".npy", ".npz", ".exr"])
_COLOUR_FOLDERS = ("rgb", "color", "colour", "images", "image", "rgbs", "colors")
_DEPTH_FOLDERS = ("depth", "depths", "depth_maps", "aligned_depth")
_LAST_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)$")


def recognises_tum(folder: Path) -> bool:
    return (folder / "rgb.txt").is_file() and (folder / "rgb").is_dir()


def read_tum(folder: Path) -> Project:
    """rgb.txt, depth.txt and groundtruth.txt, joined by time: poses are world_from_cam of the colour camera."""
    pictures = _timed(folder / "rgb.txt")
    depths = _timed(folder / "depth.txt") if (folder / "depth.txt").is_file() else []
    truth = _timed(folder / "groundtruth.txt") if (folder / "groundtruth.txt").is_file() else []
    camera = next((values for name, values in _TUM_CAMERAS.items() if name in folder.resolve().name), None)
    intrinsics = None
    if camera is not None:
        fx, fy, cx, cy = camera
        intrinsics = Intrinsics("PINHOLE", (fx, fy, cx + 0.5, cy + 0.5), *_KINECT_SIZE)
    views = []
    for time_s, (name, *_) in pictures:
        depth, pose = _nearest(depths, time_s), _nearest(truth, time_s)
        views.append(
            KnownView(
                name,
                intrinsics,
                None if pose is None else _from_quaternion(pose, f"{folder}: {name}"),
                path=folder / name,
                depth=None if depth is None else SensorDepth(folder / depth[0], _TUM_UNIT),
                calibrated=False,
            )
        )
    return Project("TUM RGB-D", folder, tuple(views), metric=bool(truth), beside=(folder / "depth",))


def recognises_frames(folder: Path) -> bool:
    """frame-000000.color.png (7-Scenes) or .color.jpg (SUN3D) with .pose.txt, here or in seq-01 and the like."""
    return bool(_frame_poses(folder))


def read_frames(folder: Path) -> Project:
    """7-Scenes and SUN3D: poses world_from_cam with OpenCV's axes, depth in millimetres.

    SUN3D tells the camera in camera-intrinsics.txt. 7-Scenes' Kinect was not calibrated: nominal focal lengths are
    where its solution starts.
    """
    told = next((path for path in (folder, folder.parent) if (path / "camera-intrinsics.txt").is_file()), None)
    start: Intrinsics | None = Intrinsics("SIMPLE_PINHOLE", (_KINECT_COLOUR_PX, 320.0, 240.0), *_KINECT_SIZE)
    onto_colour: PixelMap | None = None
    if told is not None:
        start = _from_matrix(told / "camera-intrinsics.txt", None)
    else:
        zoom = _KINECT_COLOUR_PX / _KINECT_DEPTH_PX
        onto_colour = PixelMap((zoom, zoom), (320 * (1 - zoom), 240 * (1 - zoom)))
    views, beside = [], []
    for path in _frame_poses(folder):
        stem = path.name.removesuffix(".pose.txt")
        picture = _first(path.parent / f"{stem}.color{suffix}" for suffix in (".png", ".jpg"))
        depth = _first(path.parent / f"{stem}{ending}" for ending in (".depth.proj.png", ".depth.png"))
        name = f"{stem}.color.png" if picture is None else picture.relative_to(folder).as_posix()
        sensor = None if depth is None else SensorDepth(depth, _MILLI, pixel_map=onto_colour)
        views.append(KnownView(name, start, _from_file(path), path=picture, depth=sensor, calibrated=told is not None))
        beside += sorted(path.parent.glob(f"{stem}.depth*.png"))
    return Project("7-Scenes" if told is None else "SUN3D", folder, tuple(views), True, beside=tuple(beside))


def recognises_scannet(folder: Path) -> bool:
    return (folder / "pose").is_dir() and any((folder / name).is_dir() for name in _COLOUR_FOLDERS)


def read_scannet(folder: Path) -> Project:
    """color/0.jpg, depth/0.png in millimetres, pose/0.txt world_from_cam (-inf where lost), intrinsic/*.txt."""
    colour = next(folder / name for name in _COLOUR_FOLDERS if (folder / name).is_dir())
    depths = next((folder / name for name in _DEPTH_FOLDERS if (folder / name).is_dir()), None)
    places = (folder / "intrinsic", folder)
    own = _first(place / name for place in places for name in ("intrinsic_color.txt", "intrinsics.txt"))
    of_depth = _first(place / "intrinsic_depth.txt" for place in places)
    views = []
    for path in _pictures(colour):
        pose, depth = folder / "pose" / f"{path.stem}.txt", None if depths is None else _with_stem(depths, path.stem)
        intrinsics = None if own is None else _from_matrix(own, path)
        sensor = None
        if depth is not None:
            sensor = SensorDepth(depth, _MILLI, pixel_map=_between(of_depth, intrinsics))
        views.append(
            KnownView(
                path.relative_to(folder).as_posix(),
                intrinsics,
                _from_file(pose) if pose.is_file() else None,
                path=path,
                depth=sensor,
            )
        )
    return Project("ScanNet", folder, tuple(views), True, beside=() if depths is None else (depths,))


def recognises_pairs(folder: Path) -> bool:
    """Pictures with 16-bit or float depth maps of their names: NAME.depth.png beside them, or rgb/ and depth/."""
    return bool(_pairs(folder))


def read_pairs(folder: Path) -> Project:
    """Depth by name; else, in two folders of unlike names, by the time or number in them. Integers are millimetres."""
    pairs = _pairs(folder)
    views = tuple(
        KnownView(
            picture.relative_to(folder).as_posix(),
            None,
            None,
            path=picture,
            depth=SensorDepth(depth, 1.0 if depth.suffix.lower() in (".npy", ".npz", ".exr") else _MILLI),
        )
        for picture, depth in pairs.items()
    )
    folders = {depth.parent for depth in pairs.values()} - {picture.parent for picture in pairs}
    beside = folders | {path for depth in pairs.values() if depth.parent not in folders for path in [depth]}
    return Project("RGB-D", folder, views, beside=tuple(sorted(beside)))


def _pairs(folder: Path) -> dict[Path, Path]:
    own = _pictures(folder)
    beside = {path.stem.removesuffix(".depth"): path for path in own if path.stem.endswith(".depth")}
    beside |= {path.stem.removesuffix("_depth"): path for path in own if path.stem.endswith("_depth")}
    if beside:
        stems = {path: re.sub(r"[._](color|rgb)$", "", path.stem) for path in own if path not in beside.values()}
        return {path: beside[stem] for path, stem in stems.items() if stem in beside}
    colour = next((folder / name for name in _COLOUR_FOLDERS if (folder / name).is_dir()), None)
    depths = next((folder / name for name in _DEPTH_FOLDERS if (folder / name).is_dir()), None)
    if colour is None or depths is None:
        return {}
    maps = [path for path in sorted(depths.iterdir()) if path.suffix.lower() in _DEPTHS]
    by_stem = {path.stem: path for path in maps}
    pictures = _pictures(colour)
    named = {path: by_stem[path.stem] for path in pictures if path.stem in by_stem}
    if named or not maps:
        return {path: depth for path, depth in named.items() if _is_depth(depth)}
    timed = [(_number(path), (str(path),)) for path in maps]
    found = {path: _nearest(timed, _number(path)) for path in pictures}
    return {path: Path(row[0]) for path, row in found.items() if row is not None and _is_depth(Path(row[0]))}


def _is_depth(path: Path) -> bool:
    """Not a picture of depth, in eight bits or colours, of which nobody knows the unit."""
    from PIL import Image

    if path.suffix.lower() in (".npy", ".npz", ".exr"):
        return True
    try:
        with Image.open(path) as image:
            return image.mode.startswith("I") or image.mode == "F"
    except OSError:
        return False


def _pictures(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.suffix.lower() in _PICTURES] if folder.is_dir() else []
    return sorted((path for path in found if not path.name.startswith(".")), key=lambda path: natural_key(path.name))


def _with_stem(folder: Path, stem: str) -> Path | None:
    return _first(folder / f"{stem}{suffix}" for suffix in sorted(_DEPTHS))


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _number(path: Path) -> float:
    found = _LAST_NUMBER.search(path.stem)
    return float(found[1]) if found else float("nan")


def _timed(path: Path) -> list[tuple[float, tuple[str, ...]]]:
    """Rows of TUM's lists: seconds, and the words after them."""
    rows = []
    for line in read_document(path, errors="replace").splitlines():
        words = line.replace(",", " ").split()
        if words and not words[0].startswith("#"):
            try:
                rows.append((float(words[0]), tuple(words[1:])))
            except ValueError:
                raise CaptureError(f"{path}: '{line[:60]}' does not begin with a time; correct the line") from None
    return rows


def _nearest(rows: Sequence[tuple[float, tuple[str, ...]]], time_s: float) -> tuple[str, ...] | None:
    if not rows:
        return None
    times = np.array([row[0] for row in rows])
    gaps = np.abs(times - time_s)
    best = int(np.nanargmin(gaps)) if np.isfinite(gaps).any() else 0
    return rows[best][1] if gaps[best] <= _TUM_APART_S else None


def _from_quaternion(words: Sequence[str], where: str) -> Float:
    """tx ty tz qx qy qz qw of world_from_cam, as cam_from_world."""
    try:
        numbers = np.array([float(word) for word in words[:7]])
        turn = Rotation.from_quat(numbers[3:7]).as_matrix()
    except ValueError:
        raise CaptureError(f"{where}: its pose is no tx ty tz qx qy qz qw; correct the file") from None
    return invert(rigid(np.concatenate([turn, numbers[:3, None]], axis=1), where))


def _from_file(path: Path) -> Float | None:
    """world_from_cam of a text file as cam_from_world; None where the tracker was lost."""
    try:
        numbers = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise CaptureError(f"{path}: no 4 x 4 matrix ({error}); export it again") from error
    if not np.isfinite(numbers).all():
        return None
    return invert(rigid(matrix(numbers, str(path), "the pose"), str(path)))


def _from_matrix(path: Path, picture: Path | None) -> Intrinsics:
    """A (3, 3) or (4, 4) matrix, centres of pixels at whole numbers; the size is that of the picture, where asked."""
    try:
        numbers = np.loadtxt(path)[:2, :3]
        fx, cx, fy, cy = (float(numbers[0, 0]), float(numbers[0, 2]), float(numbers[1, 1]), float(numbers[1, 2]))
    except (ValueError, IndexError) as error:
        raise CaptureError(f"{path}: no matrix of intrinsics; export it again") from error
    size = _size(picture) if picture is not None else (None, None)
    return checked(Intrinsics("PINHOLE", (fx, fy, cx + 0.5, cy + 0.5), *size), [fx, fy], str(path))


def _size(picture: Path) -> tuple[int, int] | tuple[None, None]:
    from PIL import Image

    try:
        with Image.open(picture) as image:
            return image.size
    except OSError:
        return None, None


def _between(of_depth: Path | None, colour: Intrinsics | None) -> PixelMap | None:
    """From pixels of the depth camera to those of the colour camera, which stand in one place."""
    if of_depth is None or colour is None:
        return None
    depth = _from_matrix(of_depth, None).params
    zoom = (colour.params[0] / depth[0], colour.params[1] / depth[1])
    return PixelMap(zoom, (colour.params[2] - zoom[0] * depth[2], colour.params[3] - zoom[1] * depth[3]))


def _frame_poses(folder: Path) -> list[Path]:
    """frame-*.pose.txt of a folder or of its sequences; one pattern, that many files are listed once."""
    own = sorted(folder.glob("frame-*.pose.txt"))
    return own or sorted(folder.glob("seq-*/frame-*.pose.txt"))
