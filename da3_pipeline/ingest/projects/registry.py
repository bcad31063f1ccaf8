"""The readers of other programs' projects, and which of them a folder or file belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import CaptureError
from ...guard.foreign import foreign
from . import colmap, metashape, opensfm, opf, reality, sequences, transforms
from .phones import ar_recorder, ios_logger, polycam, record3d, rtabmap, scanner_app, stray
from .views import KnownView, Project

__all__ = ["READERS", "Reader", "find_project", "read_views"]

_DEEPEST = 2  # a project unpacked into a folder, or two, of its own
_SESSION_MARK = ".da3"
_REMEDY = "export it again, or give its pictures alone"


@dataclass(frozen=True)
class Reader:
    """One format. recognises: looks at names alone. read: raises CaptureError, in one line, for a damaged project."""

    program: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Project]


READERS: tuple[Reader, ...] = (
    Reader("Polycam", polycam.recognises, polycam.read),
    Reader("Record3D", record3d.recognises, record3d.read),
    Reader("3d Scanner App", scanner_app.recognises, scanner_app.read),
    Reader("Stray Scanner", stray.recognises, stray.read),
    Reader("iOS Logger, ARCore", ios_logger.recognises, ios_logger.read),
    Reader("AR Recorder", ar_recorder.recognises, ar_recorder.read),
    Reader("RTAB-Map", rtabmap.recognises, rtabmap.read),
    Reader("nerfstudio, instant-ngp, NeRFCapture, Blender", transforms.recognises, transforms.read),
    Reader("COLMAP", colmap.recognises, colmap.read),
    Reader("Metashape", metashape.recognises, metashape.read),
    Reader("OPF", opf.recognises, opf.read),
    Reader("OpenSfM, OpenDroneMap", opensfm.recognises, opensfm.read),
    Reader("RealityCapture CSV", reality.recognises_csv, reality.read_csv),
    Reader("RealityCapture XMP", reality.recognises_xmp, reality.read_xmp),
    Reader("TUM RGB-D", sequences.recognises_tum, sequences.read_tum),
    Reader("7-Scenes, SUN3D", sequences.recognises_frames, sequences.read_frames),
    Reader("ScanNet", sequences.recognises_scannet, sequences.read_scannet),
    Reader("RGB-D", sequences.recognises_pairs, sequences.read_pairs),
)
"""In the order in which they are asked: a program's own form before those that it also exports."""


def find_project(source: Path) -> Project | None:
    """The project that a source is, if it is one; one that lies alone in folders of its own is found there.

    A finished session of this program is none: its poses are no other program's word. Raises CaptureError where a
    project is recognised and cannot be read.
    """
    folder = source
    for _ in range(_DEEPEST + 1):
        if (folder / _SESSION_MARK).is_dir():
            return None
        with foreign(CaptureError, folder, _REMEDY):
            reader = next((reader for reader in READERS if reader.recognises(folder)), None)
            if reader is not None:
                return reader.read(folder)
        entries = [path for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []
        if len(entries) != 1 or not entries[0].is_dir():
            return None
        folder = entries[0]
    return None


def read_views(path: Path) -> tuple[KnownView, ...]:
    """What a file or folder says of pictures, whatever program wrote it: for options that name it.

    Raises CaptureError for one that is not there, cannot be read, or holds numbers that no camera has.
    """
    if not path.exists():
        raise CaptureError(f"{path}: no such file or folder; give a transforms.json or a folder with a COLMAP model")
    with foreign(CaptureError, path, _REMEDY):
        if path.is_file() and path.suffix.lower() == ".json":
            return transforms.read_transforms(path)
        model = colmap.model_folder(path) if path.is_dir() else None
        if model is not None:
            return colmap.read_model(model, path)
        reader = next((reader for reader in READERS if reader.recognises(path)), None)
        if reader is not None:
            return reader.read(path).views
        if path.is_file():
            return transforms.read_transforms(path)
    raise CaptureError(
        f"{path}: holds neither a COLMAP model (cameras.bin or .txt) nor a transforms.json, "
        "nor another project that is read (docs/PROJECTS.md)"
    )
