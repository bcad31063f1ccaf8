"""What only the stages stored in .da3 know: the poses before refinement, the prior's depth and confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Float, Float32
from ..geometry import Camera
from ..geometry.robust_alignment import robust_alignment
from ..storage.store import Session
from ..types import ExportResult, Scene

__all__ = ["StoredStages", "stored_stages"]


_FITTED_AT_MOST = 400
_SAME_POSE = 1e-4


@dataclass(frozen=True)
class StoredStages:
    """The scene before export, and the frame that each image of the data set came from."""

    scene: Scene
    frame_of_image: Mapping[str, int]

    def belongs_to(self, names: Sequence[str], cam_from_world: Float) -> bool:
        """Whether images of these names and poses (N, 3, 4) were exported from this scene."""
        frames = [self.frame_of_image.get(name, -1) for name in names]
        if min(frames, default=-1) < 0:
            return False
        own = self.scene.cam_from_world[frames]
        size = max(1.0, float(np.abs(cam_from_world[:, :, 3]).max()))
        return bool(np.abs(own - cam_from_world).max() <= _SAME_POSE * size)

    def aligned_prior(self, names: Sequence[str], cam_from_world: Float) -> Float | None:
        """(N, 3, 4): the prior's poses after the similarity that brings them closest to `cam_from_world`.

        The fit is robust, so that a few priors that are far off stay visible as such. None where no pose is known.
        """
        prior = self.scene.prediction.cam_from_world[[self.frame_of_image[name] for name in names]]
        known = np.flatnonzero(np.isfinite(prior).all(axis=(1, 2)))
        if not len(known):
            return None
        fitted = known[:: -(-len(known) // _FITTED_AT_MOST)]
        aligned = np.full_like(prior, np.nan)
        aligned[known] = robust_alignment(prior[fitted], cam_from_world[fitted]).apply_to_cameras(prior[known])
        return aligned

    def depth(self, name: str, camera: Camera, size: tuple[int, int]) -> Float32:
        """(height, width): the prior's z-depth in units of the scene on a picture of the image; NaN where unknown."""
        frame = self.frame_of_image[name]
        depth = self._on_picture(self.scene.prediction.depth[frame], frame, camera, size)
        scale = self.scene.depth_scale[frame]
        return np.where(depth > 0, depth * np.float32(scale if np.isfinite(scale) else 1), np.float32(np.nan))

    def confidence(self, name: str, camera: Camera, size: tuple[int, int]) -> Float32:
        """(height, width): the prior's confidence on a picture of the image; NaN where unknown."""
        frame = self.frame_of_image[name]
        return self._on_picture(self.scene.prediction.conf[frame], frame, camera, size)

    def _on_picture(self, values: Float32, frame: int, camera: Camera, size: tuple[int, int]) -> Float32:
        """Values of the network's pixels, taken by the nearest at each pixel of a width x height picture."""
        width, height = size
        across = (np.arange(width) + 0.5) * camera.width / width
        down = (np.arange(height) + 0.5) * camera.height / height
        pixels = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
        original = self._original_pixels(pixels, frame, camera)
        with np.errstate(invalid="ignore"):
            column, row = np.floor(self.scene.prediction.pixel_maps[frame].to_network(original)).T
            inside = (column >= 0) & (row >= 0) & (column < values.shape[1]) & (row < values.shape[0])
        sampled = np.full(len(pixels), np.nan, np.float32)
        sampled[inside] = values[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        return sampled.reshape(height, width)

    def _original_pixels(self, pixels: Float, frame: int, camera: Camera) -> Float:
        """Pixels of the data set's image in those of the photograph: other ones where the export undistorted it."""
        solved = self.scene.cameras[self.scene.frames[frame].camera_id]
        rays = camera.unproject(pixels)
        return solved.project(np.concatenate([rays, np.ones((len(rays), 1))], axis=1))


def stored_stages(folder: Path) -> StoredStages | None:
    """The stages stored in a session folder; None where they are absent, damaged, or of another version's shape."""
    session = Session(folder)
    scene, exported = session.stored("georegister"), session.stored("export")
    if not isinstance(scene, Scene) or not isinstance(exported, ExportResult):
        return None
    position = {frame.name: index for index, frame in enumerate(scene.frames)}
    frames = {image: position[name] for name, image in exported.image_names.items() if name in position}
    return StoredStages(scene, frames)
