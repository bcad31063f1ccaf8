"""The scene in viser's 3-D view: one method for each thing that can be shown, called again when a setting changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..arrays import Bytes, Float
from ..gaussians import read_gaussians_ply
from ..geometry import centres, invert
from .overlays import thumbnail_of
from .placement import RADIUS, Placement
from .session import SessionScene
from .splats import drawn_splats
from .viser_api import add_frustum, add_points, add_splats

__all__ = ["Drawing"]


_REFINED, _PRIOR, _CHOSEN, _LIT = (40, 110, 200), (200, 60, 60), (255, 140, 0), (255, 60, 200)
_CHOSEN_SIZE = 2.2  # times that of the others
_DOTS = 24  # of the line between a camera before and after refinement
_WIDEST_DEG = 120.0
_THICKNESS = 0.05  # of a camera's lines, times its size


class Drawing:
    """What is drawn of a scene on a viser server. `on_camera` is called with an image's index when it is clicked.

    Every method may be called from any thread.
    """

    def __init__(
        self, server: Any, scene: SessionScene, placement: Placement, on_camera: Callable[[int], None]
    ) -> None:
        self._server, self._scene, self._placement = server, scene, placement
        self._on_camera = on_camera
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._camera_size = placement.camera_size
        self._thumbnails: dict[int, Bytes] = {}
        self._thumbnails_wanted = True
        self._poses = placement.view_from_world.apply_to_cameras(scene.cam_from_world)
        self._points = placement.view_from_world.apply(scene.points)
        self._seeds = placement.view_from_world.apply(scene.seeds).astype(np.float32)
        self._order = np.random.default_rng(0).permutation(len(self._seeds))
        self._nodes: dict[str, Any] = {}
        self._chosen: tuple[int, Bytes, bool] | None = None
        server.scene.set_up_direction("+z")
        for group in ("cameras", "prior"):
            self._nodes[group] = server.scene.add_frame(f"/{group}", show_axes=False, visible=group == "cameras")
        self.draw_cameras()

    @property
    def poses(self) -> Float:
        """(N, 3, 4) cameras in the viewer's world."""
        return self._poses

    def draw_cameras(self, size: float | None = None, thumbnails: bool | None = None) -> None:
        """Every refined camera, with a thumbnail where one is wanted and loaded."""
        with self._lock:
            self._camera_size = self._camera_size if size is None else size
            self._thumbnails_wanted = self._thumbnails_wanted if thumbnails is None else thumbnails
            for index in range(len(self._poses)):
                self._draw_camera(index)
            if "prior frustums" in self._nodes:
                self._draw_prior()
            if self._chosen is not None:
                self.draw_chosen(*self._chosen)

    def load_thumbnails(self) -> None:
        """Read the thumbnails one by one and put them on their cameras; returns early once `stop` is called."""
        for index, image in enumerate(self._scene.images):
            if self._stopped.is_set():
                return
            thumbnail = thumbnail_of(image)
            if thumbnail is not None:
                with self._lock:
                    self._thumbnails[index] = thumbnail
                    if self._thumbnails_wanted:
                        self._draw_camera(index)

    def draw_points(self, count: int, size: float) -> None:
        """A random `count` of the seed points, the same ones each time."""
        kept = self._order[:count]
        self._replace("points", lambda: self._cloud("/points", self._seeds[kept], self._scene.seed_colours[kept], size))

    def draw_chosen(self, index: int, picture: Bytes, tracks: bool) -> None:
        """Image `index` in front of the others with a picture on it, and the track points that it observes."""
        with self._lock:
            self._chosen = (index, picture, tracks)
            pose = self._poses[index]
            self._replace("chosen", lambda: self._frustum("/chosen", pose, index, _CHOSEN, _CHOSEN_SIZE, picture))
            seen = self._points[self._scene.observations(index).points] if tracks else np.zeros((0, 3))
            colours = np.tile(np.array(_LIT, np.uint8), (len(seen), 1))
            self._replace("tracks", lambda: self._cloud("/tracks", seen, colours, 0.006 * RADIUS))

    def draw_gaussians(self, visible: bool) -> None:
        """The session's Gaussians, read when they are first wanted. Raises CaptureError for a damaged file."""
        with self._lock:
            if "gaussians" not in self._nodes and visible and self._scene.gaussians is not None:
                cloud = read_gaussians_ply(self._scene.gaussians)
                splats = drawn_splats(cloud, self._scene.offset, self._placement.view_from_world)
                self._nodes["gaussians"] = add_splats(self._server.scene, "/gaussians", splats)
            self.show("gaussians", visible)

    def show_poses(self, refined: bool, prior: bool) -> None:
        """The cameras after refinement, before it, or both with dotted lines between them."""
        with self._lock:
            if prior and "prior frustums" not in self._nodes:
                self._draw_prior()
            self.show("cameras", refined)
            self.show("chosen", refined or prior)
            self.show("prior", prior)
            self.show("moves", refined and prior)

    def show(self, node: str, visible: bool) -> None:
        """Show or hide 'cameras', 'points' or another node that is drawn."""
        with self._lock:
            if self._nodes.get(node) is not None:
                self._nodes[node].visible = visible

    def visible(self, node: str) -> bool:
        """Whether a node is drawn and shown."""
        with self._lock:
            return self._nodes.get(node) is not None and bool(self._nodes[node].visible)

    def stop(self) -> None:
        """Let `load_thumbnails` return."""
        self._stopped.set()

    def _draw_camera(self, index: int) -> None:
        picture = self._thumbnails.get(index) if self._thumbnails_wanted else None
        node = self._frustum(f"/cameras/{index:05d}", self._poses[index], index, _REFINED, 1.0, picture)
        node.on_click(lambda _: self._on_camera(index))

    def _draw_prior(self) -> None:
        """Cameras before refinement, and what moved them, as dots: 0.2.7 has no line segments."""
        prior = self._scene.prior_cam_from_world
        if prior is None:
            return
        poses = self._placement.view_from_world.apply_to_cameras(prior)
        known = np.flatnonzero(np.isfinite(poses).all(axis=(1, 2)))
        self._nodes["prior frustums"] = [
            self._frustum(f"/prior/{index:05d}", poses[index], index, _PRIOR, 1.0, None) for index in known.tolist()
        ]
        start, end = centres(poses[known]), centres(self._poses[known])
        steps = np.linspace(0, 1, _DOTS)[:, None, None]
        dots = ((1 - steps) * start + steps * end).reshape(-1, 3)
        colours = np.tile(np.array(_PRIOR, np.uint8), (len(dots), 1))
        self._replace("moves", lambda: self._cloud("/moves", dots, colours, 0.0025 * RADIUS))

    def _frustum(
        self, name: str, pose: Float, index: int, colour: tuple[int, int, int], size: float, picture: Bytes | None
    ) -> Any:
        camera = self._scene.images[index].camera
        world_from_cam = invert(pose)
        return add_frustum(
            self._server.scene,
            name,
            _THICKNESS * self._camera_size,
            fov=float(np.radians(min(camera.fov_deg[1], _WIDEST_DEG))),
            aspect=camera.width / camera.height,
            scale=size * self._camera_size,
            color=colour,
            image=picture,
            wxyz=Rotation.from_matrix(world_from_cam[:, :3]).as_quat()[[3, 0, 1, 2]],
            position=world_from_cam[:, 3],
        )

    def _replace(self, node: str, draw: Callable[[], Any]) -> None:
        """Draw a node anew as visible as it was; an empty one is removed."""
        with self._lock:
            old = self._nodes.pop(node, None)
            visible = True if old is None else old.visible
            fresh = draw()
            if fresh is not None:
                fresh.visible = visible
                self._nodes[node] = fresh
            elif old is not None:
                old.remove()

    def _cloud(self, name: str, points: NDArray[Any], colours: Bytes, size: float) -> Any:
        return add_points(self._server.scene, name, points, colours, size) if len(points) else None
