"""RealityCapture's and RealityScan's cameras: XMP beside each picture, or a table in CSV."""

from __future__ import annotations

import csv
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from ...errors import CaptureError
from ...guard.bounded import check_document, read_document
from ...guard.foreign import OverLimitError
from ..names import natural_key
from .views import Intrinsics, KnownView, Project, brown, checked, from_opengl, rigid

__all__ = ["read_csv", "read_xmp", "recognises_csv", "recognises_xmp"]

logger = logging.getLogger(__name__)

_XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".JPG", ".JPEG", ".PNG", ".TIF", ".TIFF")
_FILM_MM = 36.0  # focal lengths are told for film whose longer side has this
_BROWN = frozenset(["brown3", "brown3t2", "brown4", "brown4t2"])
_SKEWED = 1e-6  # by the longer side: less moves no pixel that anybody sees
_COLUMNS = frozenset(["x", "y", "alt", "heading", "pitch", "roll", "f"])


def recognises_xmp(folder: Path) -> bool:
    """A side-car with RealityCapture's pose, here or in a folder of images."""
    return next(iter(_sidecars(folder)), None) is not None


def read_xmp(folder: Path) -> Project:
    """Rotation is that of cam_from_world, row by row, OpenCV's axes; Position is the camera's centre.

    FocalLength35mm and the principal point are told by the longer side, AspectRatio is fy over fx. The coefficients of
    Brown's models are k1 k2 k3 k4 t1 t2 on the plane z = 1, t1 and t2 OpenCV's p2 and p1 (as Epic's own writer of these
    files and Fraunhofer's camorph have them). Of a lens that no camera here describes, by division or with k4 or skew,
    the focal length alone is taken, as a start, and it is said.
    """
    views: list[KnownView] = []
    unlike: dict[str, Path] = {}
    for path in _sidecars(folder):
        view, why = _of_sidecar(path, folder)
        if view is not None:
            views.append(view)
        if why is not None:
            unlike.setdefault(why, path)
    for why, path in unlike.items():
        logger.warning("%s: %s has no camera here: the lens is solved anew", path, why)
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
    check_document(path)
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
        text = read_document(path, errors="replace")
    except (OSError, OverLimitError):
        return False
    return "capturingreality.com" in text and "xcr:Rotation" in text


def _of_sidecar(path: Path, folder: Path) -> tuple[KnownView | None, str | None]:
    """What a side-car says, None for a calibration without a pose; and what of its lens has no camera here."""
    told = _told(path)
    try:
        turn = np.array(told["Rotation"].split(), float).reshape(3, 3)
        centre = np.array(told["Position"].split(), float).reshape(3)
        lens = _Lens.of(told)
    except KeyError:
        return None, None
    except ValueError as error:
        raise CaptureError(f"{path}: its camera is not made of numbers ({error}); export it again") from error
    pose = rigid(np.concatenate([turn, -(turn @ centre)[:, None]], axis=1), str(path))
    picture = next((found for suffix in _PICTURES if (found := path.with_suffix(suffix)).is_file()), None)
    name = path.with_suffix("") if picture is None else picture
    intrinsics, why = _intrinsics(lens, picture, path), lens.unlike
    view = KnownView(
        name.relative_to(folder).as_posix(), intrinsics, pose, path=picture, calibrated=why is None and bool(lens.focal)
    )
    return view, why


def _told(path: Path) -> dict[str, str]:
    """RealityCapture's own attributes and elements, by name."""
    try:
        root = ElementTree.fromstring(read_document(path, errors="replace"))
    except ElementTree.ParseError as error:
        raise CaptureError(f"{path}: no XMP ({error}); export it again") from error
    told: dict[str, str] = {}
    for element in root.iter():
        told |= {key.removeprefix(_XCR): value for key, value in element.attrib.items() if key.startswith(_XCR)}
        if element.tag.startswith(_XCR) and element.text:
            told[element.tag.removeprefix(_XCR)] = element.text
    return told


@dataclass(frozen=True)
class _Lens:
    """focal: of film, mm; u, v: of the centre, from the middle by the longer side; aspect: fy over fx.

    bent: k1 k2 k3 k4 t1 t2 of `model`.
    """

    focal: float
    u: float = 0.0
    v: float = 0.0
    aspect: float = 1.0
    skew: float = 0.0
    model: str = "perspective"
    bent: tuple[float, ...] = (0.0,) * 6

    @classmethod
    def of(cls, told: dict[str, str]) -> _Lens:
        focal, u, v = (float(told.get(key, 0)) for key in ("FocalLength35mm", "PrincipalPointU", "PrincipalPointV"))
        bent = tuple(float(word) for word in told.get("DistortionCoeficients", "").split())
        model = told.get("DistortionModel", "perspective").strip().lower()
        return cls(
            focal, u, v, float(told.get("AspectRatio", 1)), float(told.get("Skew", 0)), model, (*bent, *[0.0] * 6)[:6]
        )

    @property
    def unlike(self) -> str | None:
        """What of it no camera here describes; None where all of it is."""
        if abs(self.skew) > _SKEWED:
            return "skew"
        if not any(self.bent) or (self.model in _BROWN and not self.bent[3]):
            return None
        return f"the distortion model {self.model}" + (" with k4" if self.model in _BROWN else "")


def _intrinsics(lens: _Lens, picture: Path | None, path: Path) -> Intrinsics | None:
    """None where the size, by which everything is told, is not known."""
    if not lens.focal or picture is None:
        return None
    try:
        with Image.open(picture) as image:
            width, height = image.size
    except OSError:
        return None
    longer = max(width, height)
    fx = lens.focal / _FILM_MM * longer
    focal_px = (fx, fx * lens.aspect)
    k1, k2, k3, _, t1, t2 = lens.bent if lens.unlike is None else (0.0,) * 6
    centre_px = (width / 2 + lens.u * longer, height / 2 + lens.v * longer)
    return checked(brown(focal_px, centre_px, (width, height), (k1, k2, k3), (t2, t1)), focal_px, str(path))


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
    intrinsics = None if not math.isfinite(focal) else _intrinsics(_Lens(focal), picture, path)
    return KnownView(row["name"], intrinsics, pose, "transforms", picture, calibrated=False)


def _picture(folder: Path, name: str) -> Path | None:
    plain = name.replace("\\", "/")
    tail = plain.rsplit("/", 1)[-1]
    places = [folder / plain, folder / tail, *(folder / sub / tail for sub in ("images", "image", "input", "photos"))]
    return next((path for path in places if path.is_file()), None)
