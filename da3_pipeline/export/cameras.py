"""Cameras in the few models that every trainer reads."""

from __future__ import annotations

from ..errors import ExportError
from ..geometry import Camera

__all__ = ["trainer_camera"]


def trainer_camera(camera: Camera, camera_id: str) -> Camera:
    """The same camera as PINHOLE, OPENCV or OPENCV_FISHEYE: exact, never an approximation.

    Radial models become OPENCV, since older gsplat misreads SIMPLE_RADIAL. Raises ExportError for a model that
    none of the three can express.
    """
    p = camera.params
    match camera.model:
        case "PINHOLE" | "OPENCV" | "OPENCV_FISHEYE":
            return camera
        case "SIMPLE_PINHOLE":
            model, params = "PINHOLE", (p[0], p[0], *p[1:3])
        case "SIMPLE_RADIAL":
            model, params = "OPENCV", (p[0], p[0], *p[1:3], p[3], 0.0, 0.0, 0.0)
        case "RADIAL":
            model, params = "OPENCV", (p[0], p[0], *p[1:3], p[3], p[4], 0.0, 0.0)
        case "SIMPLE_RADIAL_FISHEYE":
            model, params = "OPENCV_FISHEYE", (p[0], p[0], *p[1:3], p[3], 0.0, 0.0, 0.0)
        case "RADIAL_FISHEYE":
            model, params = "OPENCV_FISHEYE", (p[0], p[0], *p[1:3], p[3], p[4], 0.0, 0.0)
        case "FULL_OPENCV" if not any(p[8:]):
            model, params = "OPENCV", p[:8]
        case _:
            raise ExportError(
                f"camera {camera_id}: trainers cannot read the model {camera.model}; add --undistort, or give "
                "intrinsics as PINHOLE, OPENCV or OPENCV_FISHEYE"
            )
    return Camera(model, camera.width, camera.height, params)
