"""RealityCapture's and RealityScan's cameras: XMP beside each picture, or a table in CSV."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from ...errors import CaptureError
from ..names import natural_key
from .views import Intrinsics, KnownView, Project, checked, from_opengl, rigid

__all__ = ["read_csv", "read_xmp", "recognises_csv", "recognises_xmp"]

_XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".JPG", ".JPEG", ".PNG", ".TIF", ".TIFF")
_FILM_MM = 36.0  # focal lengths are told for film whose longer side has this
_COLUMNS = frozenset(["x", "y", "alt", "heading", "pitch", "roll", "f"])


def recognises_xmp(folder: Path) -> bool:
    """A side-car with RealityCapture's pose, here or in a folder of images."""
    return next(iter(_sidecars(folder)), None) is not None


def read_xmp(folder: Path) -> Project:
    """Rotation is that of cam_from_world, row by row, OpenCV's axes; Position is the camera's centre.

    FocalLength35mm and the principal point are told by the longer side. Of a lens that bends only the focal length
    is taken, as a start: which formula the coefficients belong to is not published for every model.
    """
    views = [view for path in _sidecars(folder) if (view := _of_sidecar(path, folder)) is not None]
    return Project("RealityCapture", folder, tuple(views))


def recognises_csv(folder: Path) -> bool:
    return _table(folder) is not None


def read_csv(folder: Path) -> Project:
    """#name, x, y, alt, heading, pitch, roll, f: z up, heading clockwise from +y, pitch 0 straight down; degrees.

    Of the lens the focal length alone is taken, as a start: the unit of px and py is not published.
    """
    path = _table(folder)
    if path is None:
        raise CaptureError(f"{folder}: holds no table of RealityCapture's cameras; export it again")
    views = []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream):
            values = {str(key).lstrip("#").strip().lower(): value for key, value in row.items() if key is not None}
            views.append(_of_row(values, path))
    if not views:
        raise CaptureError(f"{path}: it lists no cameras; export it again")
    return Project("RealityCapture", path, tuple(views))


def _sidecars(folder: Path) -> list[Path]:
    places = (folder, *(folder / name for name in ("images", "image", "input", "photos")))
    files = (path for place in places if place.is_dir() for path in place.glob("*.[xX][mM][pP]"))
    return sorted((path for path in files if _holds_pose(path)), key=lambda path: natural_key(path.name))


def _holds_pose(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "capturingreality.com" in text and "xcr:Rotation" in text


def _of_sidecar(path: Path, folder: Path) -> KnownView | None:
    try:
        root = ElementTree.fromstring(path.read_text(encoding="utf-8", errors="replace"))
    except ElementTree.ParseError as error:
        raise CaptureError(f"{path}: no XMP ({error}); export it again") from error
    told: dict[str, str] = {}
    for element in root.iter():
        told |= {key.removeprefix(_XCR): value for key, value in element.attrib.items() if key.startswith(_XCR)}
        if element.tag.startswith(_XCR) and element.text:
            told[element.tag.removeprefix(_XCR)] = element.text
    try:
        turn = np.array(told["Rotation"].split(), float).reshape(3, 3)
        centre = np.array(told["Position"].split(), float).reshape(3)
        distortion = [float(word) for word in told.get("DistortionCoeficients", "").split()]
        focal, u, v = (float(told.get(key, 0)) for key in ("FocalLength35mm", "PrincipalPointU", "PrincipalPointV"))
    except KeyError:
        return None  # a calibration without a pose
    except ValueError as error:
        raise CaptureError(f"{path}: its camera is not made of numbers ({error}); export it again") from error
    pose = rigid(np.concatenate([turn, -(turn @ centre)[:, None]], axis=1), str(path))
    picture = next((found for suffix in _PICTURES if (found := path.with_suffix(suffix)).is_file()), None)
    name = path.with_suffix("") if picture is None else picture
    intrinsics = _intrinsics(focal, u, v, picture, path)
    calibrated = not any(distortion)
    return KnownView(name.relative_to(folder).as_posix(), intrinsics, pose, path=picture, calibrated=calibrated)


def _intrinsics(focal_mm: float, u: float, v: float, picture: Path | None, path: Path) -> Intrinsics | None:
    """None where the size, by which everything is told, is not known."""
    if not focal_mm or picture is None:
        return None
    try:
        with Image.open(picture) as image:
            width, height = image.size
    except OSError:
        return None
    longer = max(width, height)
    focal_px = focal_mm / _FILM_MM * longer
    params = (focal_px, focal_px, width / 2 + u * longer, height / 2 + v * longer)
    return checked(Intrinsics("PINHOLE", params, width, height), [focal_px], str(path))


def _table(folder: Path) -> Path | None:
    """A CSV whose head has the columns of RealityCapture's internal and external camera parameters."""
    for path in sorted(folder.glob("*.[cC][sS][vV]")) if folder.is_dir() else []:
        try:
            with path.open(encoding="utf-8-sig", errors="replace") as stream:
                head = stream.readline(4096)
        except OSError:
            continue
        if {word.strip().lower() for word in head.lstrip("#").split(",")} >= _COLUMNS:
            return path
    return None


def _of_row(row: dict[str, str], path: Path) -> KnownView:
    where = f"{path}: {row.get('name', '')}"
    try:
        x, y, z, heading, pitch, roll, focal = (
            float(row[key]) for key in ("x", "y", "alt", "heading", "pitch", "roll", "f")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CaptureError(f"{where}: a number is missing or none ({error}); export it again") from error
    world_from_cam = np.eye(4)
    world_from_cam[:3, :3] = Rotation.from_euler("ZXY", [-heading, pitch, roll], degrees=True).as_matrix()
    world_from_cam[:3, 3] = (x, y, z)
    if not np.isfinite(world_from_cam).all():
        raise CaptureError(f"{where}: the pose holds NaN or infinity; export it again")
    pose = from_opengl(np.vstack([rigid(world_from_cam, where), [0.0, 0.0, 0.0, 1.0]]))
    picture = _picture(path.parent, row["name"])
    intrinsics = None if not math.isfinite(focal) else _intrinsics(focal, 0.0, 0.0, picture, path)
    return KnownView(row["name"], intrinsics, pose, "transforms", picture, calibrated=False)


def _picture(folder: Path, name: str) -> Path | None:
    plain = name.replace("\\", "/")
    tail = plain.rsplit("/", 1)[-1]
    places = [folder / plain, folder / tail, *(folder / sub / tail for sub in ("images", "image", "input", "photos"))]
    return next((path for path in places if path.is_file()), None)
