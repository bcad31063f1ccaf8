"""Metashape's cameras.xml: sensors with Brown's or a fisheye's distortion, poses within a chunk that may be placed."""

from __future__ import annotations

import logging
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ...arrays import Float
from ...errors import CaptureError
from ...geometry import invert
from ...guard.bounded import check_document
from .views import Intrinsics, KnownView, Project, brown, checked, matrix, rigid

__all__ = ["read", "recognises"]

logger = logging.getLogger(__name__)

_HEAD_BYTES = 2000
_SQUARE_PX = 1e-3  # a skew of less moves no pixel that anybody sees


def recognises(folder: Path) -> bool:
    return _document(folder) is not None


def read(folder: Path) -> Project:
    """A camera's transform is world_from_cam of its chunk, OpenCV's axes; the chunk's own leads on, with a scale.

    Metres where the chunk is placed. cx and cy are told from the middle of the picture; P1 and P2 are OpenCV's p2, p1.
    """
    path = _document(folder)
    if path is None:
        raise CaptureError(f"{folder}: holds no cameras of Metashape's; export them as XML")
    try:
        check_document(path)
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise CaptureError(f"{path}: no XML ({error}); export the cameras again") from error
    views: list[KnownView] = []
    placed = True
    for chunk in root.iter("chunk"):
        world_from_chunk = _chunk(chunk, path)
        placed &= world_from_chunk is not None
        sensors = {sensor.get("id"): _sensor(sensor, path) for sensor in chunk.iter("sensor")}
        for camera in chunk.iter("camera"):
            views.append(_view(camera, sensors, np.eye(4) if world_from_chunk is None else world_from_chunk, path))
    if not views:
        raise CaptureError(f"{path}: it lists no cameras; export them again")
    return Project("Metashape", path, tuple(views), metric=placed)


def _document(folder: Path) -> Path | None:
    """An XML whose root is a Metashape document; `cameras.xml` before others."""
    found = folder.glob("*.xml") if folder.is_dir() else ()
    for path in sorted(found, key=lambda path: (path.name != "cameras.xml", path.name)):
        try:
            with path.open(encoding="utf-8", errors="replace") as stream:
                head = stream.read(_HEAD_BYTES)
        except OSError:
            continue
        if "<document" in head and "<chunk" in head:
            return path
    return None


def _chunk(chunk: ElementTree.Element, path: Path) -> Float | None:
    """(4, 4) world_from_chunk with its scale; None for one that lies anywhere."""
    placed = chunk.find("transform")
    if placed is None or placed.find("rotation") is None:
        return None
    turn = np.array(_numbers(placed, "rotation", path, 9)).reshape(3, 3)
    scale = _numbers(placed, "scale", path, 1)[0] if placed.find("scale") is not None else 1.0
    world_from_chunk = np.eye(4)
    world_from_chunk[:3, :3] = scale * turn
    if placed.find("translation") is not None:
        world_from_chunk[:3, 3] = _numbers(placed, "translation", path, 3)
    return world_from_chunk


def _view(
    camera: ElementTree.Element, sensors: dict[str | None, Intrinsics | None], world_from_chunk: Float, path: Path
) -> KnownView:
    label = camera.get("label") or camera.get("id") or ""
    where = f"{path}: {label}"
    told, pose = camera.findtext("transform"), None
    if told is not None:
        placed = world_from_chunk @ matrix([float(word) for word in told.split()], where, "transform")
        # The scale of the chunk moves the camera; its axes stay as long as they are.
        placed[:3, :3] /= np.cbrt(np.linalg.det(world_from_chunk[:3, :3]))
        pose = invert(rigid(placed[:3], where))
    return KnownView(label, sensors.get(camera.get("sensor_id")), pose, stored=True)


def _sensor(sensor: ElementTree.Element, path: Path) -> Intrinsics | None:
    """The adjusted calibration; None, said, for one that no camera of ours has."""
    where = f"{path}: sensor {sensor.get('label') or sensor.get('id')}"
    calibrations = sensor.findall("calibration")
    found = next((one for one in calibrations if one.get("class") == "adjusted"), next(iter(calibrations), None))
    kind = (found.get("type") if found is not None else None) or sensor.get("type") or "frame"
    if found is None or found.find("f") is None:
        return None
    resolution = found.find("resolution") if found.find("resolution") is not None else sensor.find("resolution")
    try:
        if resolution is None:
            return None
        width, height = int(resolution.get("width") or 0), int(resolution.get("height") or 0)
        value = {key: float(found.findtext(key) or 0) for key in _TERMS}
    except ValueError as error:
        raise CaptureError(f"{where}: its calibration is not made of numbers ({error}); export it again") from error
    fx, fy = value["f"] + value["b1"], value["f"]
    centre = (width / 2 + value["cx"], height / 2 + value["cy"])
    radial, tangential = (value["k1"], value["k2"], value["k3"]), (value["p2"], value["p1"])
    if abs(value["b2"]) > _SQUARE_PX or value["p3"] or value["p4"]:
        logger.warning("%s: has skew or p3, p4, for which there is no camera: its lens is solved anew", where)
        return None
    if kind == "fisheye":
        params = (fx, fy, *centre, value["k1"], value["k2"], *tangential, value["k3"], value["k4"], 0.0, 0.0)
        if any(tangential):
            return checked(Intrinsics("THIN_PRISM_FISHEYE", params, width, height), [fx, fy], where)
        flat = (fx, fy, *centre, *radial, value["k4"])
        return checked(Intrinsics("OPENCV_FISHEYE", flat, width, height), [fx, fy], where)
    if kind != "frame" or value["k4"]:
        logger.warning("%s: a %s sensor%s has no camera here: its lens is solved anew", where, kind, " with k4")
        return None
    return checked(brown((fx, fy), centre, (width, height), radial, tangential), [fx, fy], where)


_TERMS = ("f", "cx", "cy", "b1", "b2", "k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4")


def _numbers(parent: ElementTree.Element, key: str, path: Path, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in (parent.findtext(key) or "").split()]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise CaptureError(f"{path}: the chunk's {key} is not {count} numbers; export the cameras again")
    return numbers
