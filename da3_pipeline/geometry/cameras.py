"""Camera models in COLMAP's names, parameter order and pixel convention (corner origin, centres at +0.5)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pycolmap

from ..arrays import Float

__all__ = ["Camera", "PixelMap"]

_ISOTROPIC = frozenset(
    [
        *("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_DIVISION", "DIVISION", "FOV", "EUCM"),
        *("SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "OPENCV_FISHEYE", "SIMPLE_FISHEYE", "FISHEYE"),
    ]
)
_VECTORS = {
    "OPENCV": ((7, 6),),
    "FULL_OPENCV": ((7, 6),),
    "THIN_PRISM_FISHEYE": ((7, 6), (10, 11)),
}
"""Places of the x and y components of what is a vector in the image, by model; the other models have none."""


@dataclass(frozen=True)
class Camera:
    """One calibrated camera, in original image pixels. `params` are in COLMAP's order for `model`."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    @classmethod
    def pinhole(cls, width: int, height: int, focal_px: float) -> Camera:
        """SIMPLE_PINHOLE with a centred principal point."""
        return cls("SIMPLE_PINHOLE", width, height, (float(focal_px), width / 2, height / 2))

    @classmethod
    def from_matrix(cls, K: Float, width: int, height: int) -> Camera:
        """PINHOLE from a (3, 3) matrix; skew is not representable and ignored."""
        return cls("PINHOLE", width, height, (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])))

    @classmethod
    def from_pycolmap(cls, camera: pycolmap.Camera) -> Camera:
        return cls(camera.model.name, camera.width, camera.height, tuple(float(p) for p in camera.params))

    def to_pycolmap(self, camera_id: int = 1) -> pycolmap.Camera:
        return pycolmap.Camera(
            camera_id=camera_id, model=self.model, width=self.width, height=self.height, params=list(self.params)
        )

    @property
    def K(self) -> Float:
        """(3, 3) matrix of the undistorted camera. ValueError for a model that has none (EQUIRECTANGULAR)."""
        return np.asarray(self.to_pycolmap().calibration_matrix())

    @property
    def focal_px(self) -> float:
        """Geometric mean of fx and fy."""
        K = self.K
        return float(np.sqrt(K[0, 0] * K[1, 1]))

    @property
    def fov_deg(self) -> tuple[float, float]:
        """Horizontal and vertical field of view of the undistorted camera."""
        K = self.K
        return (
            float(np.degrees(2 * np.arctan(self.width / 2 / K[0, 0]))),
            float(np.degrees(2 * np.arctan(self.height / 2 / K[1, 1]))),
        )

    def project(self, points_cam: Float) -> Float:
        """(N, 3) points in the camera frame to (N, 2) pixels, distortion included; NaN at or behind the camera."""
        pixels = np.full((len(points_cam), 2), np.nan)
        front = points_cam[:, 2] > 1e-12
        if front.any():
            pixels[front] = self.to_pycolmap().img_from_cam(np.ascontiguousarray(points_cam[front]))
        return pixels

    def unproject(self, pixels: Float) -> Float:
        """(N, 2) pixels to (N, 2) undistorted coordinates on the plane z = 1."""
        return np.asarray(self.to_pycolmap().cam_from_img(np.ascontiguousarray(pixels, dtype=np.float64)))

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same photograph resampled to width x height."""
        camera = self.to_pycolmap()
        camera.rescale(width, height)
        return replace(Camera.from_pycolmap(camera), width=width, height=height)

    def turned(self, quarter_turns: int) -> Camera:
        """The camera of the same photograph turned clockwise by so many quarters (see `poses.turned_camera`).

        Tangential and prism terms are vectors in the image, (p2, p1) and (sx1, sy1): they turn with it.
        ValueError for a model whose two axes differ in another way.
        """
        camera = self
        for _ in range(quarter_turns % 4):
            camera = camera._turned_once()
        return camera

    def _turned_once(self) -> Camera:
        model = self.to_pycolmap()
        focal, centre = list(model.focal_length_idxs()), list(model.principal_point_idxs())
        params = list(self.params)
        params[focal[0]], params[focal[-1]] = self.params[focal[-1]], self.params[focal[0]]
        params[centre[0]], params[centre[1]] = self.height - self.params[centre[1]], self.params[centre[0]]
        if self.model not in _ISOTROPIC:
            if self.model not in _VECTORS:
                raise ValueError(f"a camera of model {self.model} cannot be turned")
            for x, y in _VECTORS[self.model]:
                params[x], params[y] = -self.params[y], self.params[x]
        return Camera(self.model, self.height, self.width, tuple(params))


@dataclass(frozen=True)
class PixelMap:
    """original_px = network_px * scale + offset, per axis (x, y); corner origin on both sides."""

    scale: tuple[float, float]
    offset: tuple[float, float]

    def to_original(self, pixels: Float) -> Float:
        """(..., 2) network pixels to original pixels."""
        return pixels * np.asarray(self.scale) + np.asarray(self.offset)

    def to_network(self, pixels: Float) -> Float:
        """(..., 2) original pixels to network pixels."""
        return (pixels - np.asarray(self.offset)) / np.asarray(self.scale)

    def intrinsics_to_original(self, K: Float) -> Float:
        """(..., 3, 3) matrices in network pixels to original pixels."""
        return self._matrix() @ K

    def intrinsics_to_network(self, K: Float) -> Float:
        """(..., 3, 3) matrices in original pixels to network pixels."""
        return np.linalg.inv(self._matrix()) @ K

    def _matrix(self) -> Float:
        (sx, sy), (ox, oy) = self.scale, self.offset
        return np.array([[sx, 0, ox], [0, sy, oy], [0, 0, 1.0]])
