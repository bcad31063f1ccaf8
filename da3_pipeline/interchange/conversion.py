"""Every format that a session has something for, written into a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ExportError, UsageError
from ..export.ply import PLY_NAME, read_ply
from ..gaussians import moved, read_gaussians_ply, write_spz
from ..geometry import Sim3
from .camera_table import write_camera_table
from .depth_pictures import write_depth_pictures
from .scene_glb import write_scene_glb
from .session import read_cameras
from .splats_glb import write_splats_glb

__all__ = ["FORMATS", "convert"]

FORMATS = ("glb", "csv", "splats", "depth", "spz4")
_NEEDS = {"splats": "--gaussians", "depth": "--depths", "spz4": "--gaussians"}  # options of run


def convert(session: Path, output: Path, formats: Sequence[str] = ()) -> list[str]:
    """Write `formats` of a finished session into `output`, all but spz4 that it has something for by default.

    glb: scene.glb, cameras and seed points; csv: cameras.csv, RealityCapture's table; splats: gaussians.glb, where the
    session has Gaussians; depth: depth_pictures/, where it has depth maps; spz4: gaussians_4.spz, the session's
    gaussians.spz in the format's version 4. Gives a line for each thing written. Raises CaptureError where `session` is
    none, UsageError for what it does not have, MissingExtraError, ExportError where nothing can be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"--format {unknown[0]}: is not known; known: {', '.join(FORMATS)}")
    if output.resolve() == session.resolve():
        raise UsageError(f"{output}: --output must be another folder than the session's, whose files trainers look for")
    cameras = read_cameras(session)
    splats, depth = (session / "gaussians.ply").is_file(), any((session / "depths").rglob("*.npy"))
    has = {"glb": True, "csv": not cameras.fisheye, "splats": splats, "depth": depth, "spz4": splats}
    for name, remedy in _NEEDS.items():
        if name in formats and not has[name]:
            raise UsageError(f"{session}: has nothing for --format {name}; run da3-pipeline run again with {remedy}")
    wanted = formats or [name for name in FORMATS if has[name] and name != "spz4"]
    try:
        output.mkdir(parents=True, exist_ok=True)
        told = []
        if "glb" in wanted:
            points, colours = read_ply(session / PLY_NAME)
            write_scene_glb(output / "scene.glb", cameras, points, colours)
            told.append(f"scene.glb: {len(cameras.cameras)} cameras, {len(points)} points")
        if "csv" in wanted:
            write_camera_table(output / "cameras.csv", cameras)
            told.append(f"cameras.csv: {len(cameras.cameras)} cameras")
        if "splats" in wanted:
            cloud = moved(read_gaussians_ply(session / "gaussians.ply"), Sim3(1.0, cameras.rotation, np.zeros(3)))
            write_splats_glb(output / "gaussians.glb", cloud)
            told.append(f"gaussians.glb: {len(cloud)} Gaussians")
        if "depth" in wanted:
            told.append(f"depth_pictures/: {write_depth_pictures(session / 'depths', output / 'depth_pictures')} maps")
        if "spz4" in wanted:
            cloud = read_gaussians_ply(session / "gaussians.ply")
            write_spz(output / "gaussians_4.spz", cloud, 4)
            told.append(f"gaussians_4.spz: {len(cloud)} Gaussians")
    except OSError as error:
        raise ExportError(f"{error.filename or output}: {error.strerror or error}; choose another --output") from error
    return told
