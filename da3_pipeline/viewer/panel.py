"""The panel beside the 3-D view: what is shown of the scene, and the chosen image."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from ..arrays import Bytes, Float
from ..errors import PipelineError
from ..geometry import invert
from .drawing import Drawing
from .overlays import available_overlays, picture_of
from .placement import RADIUS, Placement
from .session import SessionScene
from .told import number
from .viser_api import set_theme

__all__ = ["Panel"]

_POINTS_AT_FIRST = 100_000
_POINT_SIZE = 0.0035 * RADIUS
_REFINED, _PRIOR, _BOTH = "refined", "before refinement", "both"
_JPEG_QUALITY = 85
_ESCAPED = str.maketrans({character: f"&#{ord(character)};" for character in "<>{}[]()*_`\\#!|~"})


class Panel:
    """Builds the controls and answers them. `controls` holds viser's handles by their labels."""

    def __init__(self, server: Any, scene: SessionScene, placement: Placement) -> None:
        self._server, self._scene, self._placement = server, scene, placement
        self._lock = threading.RLock()
        self.controls: dict[str, Any] = {}
        self._names = [image.name for image in scene.images]
        self._chosen: int | None = None
        self._drawing = Drawing(server, scene, placement, self.choose)
        set_theme(server.gui)
        with server.gui.add_folder("Scene"):
            self._add_scene_controls()
        with server.gui.add_folder("Image"):
            self._add_image_controls()

    @property
    def drawing(self) -> Drawing:
        return self._drawing

    def overview(self, client: Any) -> None:
        """Let a client see the whole scene."""
        self.controls["Cameras"].value = True
        _look(client, self._placement.eye, self._placement.target)

    def choose(self, index: int) -> None:
        """Show image `index`: in the panel, on its camera, and the points that it observes."""
        with self._lock:
            self._chosen = index
            if self.controls["Name"].value != self._names[index]:
                self.controls["Name"].value = self._names[index]
            self._draw_image()

    def _add_scene_controls(self) -> None:
        gui, scene, drawing = self._server.gui, self._scene, self._drawing
        gui.add_markdown(_scene_text(scene))
        cameras = self._checkbox("Cameras", True)
        thumbnails = self._checkbox("Thumbnails", True)
        size = self._slider("Camera size")
        poses = self._dropdown("Poses", (_REFINED, _PRIOR, _BOTH), disabled=scene.prior_cam_from_world is None)
        points = self._checkbox("Points", True)
        total = max(1, len(scene.seeds))
        label, step, first = "Number of points", max(1, total // 100), min(total, _POINTS_AT_FIRST)
        count = self._kept(label, gui.add_slider(label, 1, total, step, first))
        point_size = self._slider("Point size")
        gaussians = self._checkbox("Gaussians", False, disabled=scene.gaussians is None)
        overview = self._button("Overview")

        def show_poses(_: Any) -> None:
            refined, prior = cameras.value and poses.value != _PRIOR, cameras.value and poses.value != _REFINED
            drawing.show_poses(refined, prior)

        def draw_points(_: Any) -> None:
            drawing.draw_points(int(count.value), point_size.value * _POINT_SIZE)

        for control in (cameras, poses):
            control.on_update(show_poses)
        for control in (count, point_size):
            control.on_update(draw_points)
        thumbnails.on_update(lambda _: drawing.draw_cameras(thumbnails=thumbnails.value))
        size.on_update(lambda _: drawing.draw_cameras(size=size.value * self._placement.camera_size))
        points.on_update(lambda _: drawing.show("points", points.value))
        gaussians.on_update(lambda _: self._show_gaussians(gaussians))
        overview.on_click(lambda event: None if event.client is None else self.overview(event.client))
        draw_points(None)

    def _add_image_controls(self) -> None:
        gui = self._server.gui
        self._dropdown("Name", self._names).on_update(lambda _: self._choose_by_name())
        self._dropdown("Show", available_overlays(self._scene)).on_update(lambda _: self._draw_image())
        self._checkbox("Its tracks in 3-D", True).on_update(lambda _: self._draw_image())
        steps = gui.add_button_group("Go to", ("previous", "next"))
        steps.on_click(lambda _: self._step(1 if steps.value == "next" else -1))
        self._button("Look through this camera").on_click(self._look_through)
        self._text = gui.add_markdown("Click a camera, or choose a name.", image_root=Path(self._scene.folder))

    def _checkbox(self, label: str, value: bool, disabled: bool = False) -> Any:
        return self._kept(label, self._server.gui.add_checkbox(label, value, disabled=disabled))

    def _slider(self, label: str) -> Any:
        """A factor to what fits the scene."""
        return self._kept(label, self._server.gui.add_slider(label, 0.1, 4.0, 0.1, 1.0))

    def _dropdown(self, label: str, options: Sequence[str], disabled: bool = False) -> Any:
        return self._kept(label, self._server.gui.add_dropdown(label, options, disabled=disabled))

    def _button(self, label: str) -> Any:
        return self._kept(label, self._server.gui.add_button(label))

    def _kept(self, label: str, control: Any) -> Any:
        self.controls[label] = control
        return control

    def _choose_by_name(self) -> None:
        """Answer the list of names; `choose` itself sets its value and needs no answer."""
        with self._lock:
            index = self._names.index(self.controls["Name"].value)
            if index != self._chosen:
                self.choose(index)

    def _step(self, step: int) -> None:
        with self._lock:
            self.choose(0 if self._chosen is None else (self._chosen + step) % len(self._names))

    def _draw_image(self) -> None:
        with self._lock:
            if self._chosen is None:
                return
            picture = picture_of(self._scene, self._chosen, self.controls["Show"].value)
            caption = f"{_image_text(self._scene, self._chosen)}\n\n{picture.caption.translate(_ESCAPED)}"
            self._text.content = f"![image]({_data_url(picture.rgb)})\n\n{caption}"
            self._drawing.draw_chosen(self._chosen, picture.rgb, self.controls["Its tracks in 3-D"].value)

    def _look_through(self, event: Any) -> None:
        """Move the view of whoever asked to the chosen camera, and hide the cameras, whose pictures would fill it."""
        with self._lock:
            if self._chosen is None or event.client is None:
                return
            world_from_cam = invert(self._drawing.poses[self._chosen])
        eye, forward = world_from_cam[:, 3], world_from_cam[:, 2]
        self.controls["Cameras"].value = False
        _look(event.client, eye, eye + RADIUS * forward)

    def _show_gaussians(self, control: Any) -> None:
        try:
            self._drawing.draw_gaussians(control.value)
        except PipelineError as error:
            control.disabled = True
            self._text.content = str(error).translate(_ESCAPED)


def _look(client: Any, eye: Float, target: Float) -> None:
    """Move a client's view, which stays level. The position goes first: it takes the target along.

    The field of view stays: browsers draw Gaussians wrongly after a change of it.
    """
    with client.atomic():
        client.camera.position = eye
        client.camera.look_at = target


def _scene_text(scene: SessionScene) -> str:
    lines = [f"**{len(scene.images)} images, {len(scene.seeds):,} seed points, {len(scene.points):,} tracks**"]
    return "\n\n".join([*lines, *(line.translate(_ESCAPED) for line in (scene.summary, *scene.notes))])


def _image_text(scene: SessionScene, index: int) -> str:
    """Name, size, and what the report says of the image."""
    image = scene.images[index]
    facts = [f"{image.camera.width} x {image.camera.height} px"]
    if "pose_source" in image.figures:
        facts.append(f"pose: {image.figures['pose_source']}")
    error_px = number(image.figures.get("median_error_px"))
    if error_px is not None:
        facts.append(f"median error {error_px:.2f} px")
    return f"**{image.name.translate(_ESCAPED)}**\n\n{', '.join(facts).translate(_ESCAPED)}"


def _data_url(rgb: Bytes) -> str:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
