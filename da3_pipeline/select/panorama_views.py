"""Panoramas as pinhole views that share a centre: which ones, their pixels, their masks, their places on a rig."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from ..arrays import Bool, Bytes, Float, Int
from ..errors import ExportError
from ..files.fingerprint import fingerprint
from ..geometry import Camera, compose, invert
from ..geometry.equirectangular import Equirectangular, FisheyeLens, FisheyePair, Panorama, view_from_panorama
from ..imageio import UnreadableImageError, read_mask, read_rgb, write_mask, write_rgb
from ..progress import Progress
from ..types import Dropped, Frame, PanoramaView, RigPlace
from ..versions import STAGE_VERSIONS
from .config import PanoramaViewsConfig

__all__ = ["View", "render_view", "views_of", "with_views"]

Maps = tuple[Int, Int]


@dataclass(frozen=True)
class View:
    """One of the pinholes that stand for a panorama of this kind. drawn_by: what its pixels come through.
    view_from_panorama (3, 3); used (side, side): the pixels that show something of the world, None where all do; key: a
    digest of all that decides its pixels."""

    name: str
    drawn_by: Equirectangular | FisheyeLens
    camera: Camera
    view_from_panorama: Float
    used: Bool | None
    key: str

    @property
    def pose(self) -> Float:
        """(3, 4) view from panorama; of a fisheye lens it is where that is."""
        centre = np.array(self.drawn_by.centre) if isinstance(self.drawn_by, FisheyeLens) else np.zeros(3)
        return np.column_stack([self.view_from_panorama, -self.view_from_panorama @ centre])


def with_views(
    frames: Sequence[Frame], config: PanoramaViewsConfig, folder: Path, progress: Progress
) -> tuple[list[Frame], list[Dropped]]:
    """The frames with the views of each panorama in its place, and the panoramas that cannot be read.

    Those of one place in the rig follow each other, as pictures of one camera do. Each is rendered once into `folder`;
    what is there from an interrupted run is kept. Raises ExportError where it cannot be written.
    """
    panoramas = [(frame, frame.panorama) for frame in frames if frame.panorama is not None]
    names = _names([frame.name for frame, _ in panoramas])
    streams: dict[tuple[str, str], list[Frame]] = {}
    dropped: list[Dropped] = []
    for done, ((frame, area), name) in enumerate(zip(panoramas, names, strict=True), start=1):
        try:
            found = _rendered(frame, area, name, config, folder)
        except UnreadableImageError as error:
            own = error.path == frame.path
            dropped.append(Dropped(frame.name, error.reason if own else f"its mask {error.path.name}: {error.reason}"))
            continue
        for view, rendered in found:
            streams.setdefault((frame.video or str(PurePosixPath(frame.name).parent), view.name), []).append(rendered)
        progress.step(done, len(panoramas), "panoramas seen through pinholes")
    _maps.cache_clear()
    flat = [frame for frame in frames if frame.panorama is None]
    return flat + [frame for stream in streams.values() for frame in stream], dropped


@lru_cache(maxsize=4)
def views_of(area: Panorama, config: PanoramaViewsConfig) -> tuple[View, ...]:
    """The views of a panorama that shows this part of the sphere, those left out that see next to nothing of it."""
    views = []
    for name, drawn_by, turn in _looks(area, config):
        camera = drawn_by.view(config.fov_deg)
        used = _used(drawn_by, camera, turn, config.nadir_deg)
        if used.mean() >= config.least_shown:
            key = fingerprint(STAGE_VERSIONS["select"], repr(drawn_by), config.model_dump(mode="json"), name)
            views.append(View(name, drawn_by, camera, turn, None if used.all() else used, key))
    return tuple(views)


def _looks(area: Panorama, config: PanoramaViewsConfig) -> Iterator[tuple[str, Equirectangular | FisheyeLens, Float]]:
    """Name, what draws it, and (3, 3) view from panorama of all that might be views."""
    if isinstance(area, FisheyePair):
        for number, lens in enumerate(area.lenses, start=1):
            for yaw_deg, pitch_deg in config.lens_views:
                turn = view_from_panorama(yaw_deg, pitch_deg) @ lens.lens_from_rig
                yield f"lens{number}{_name(yaw_deg % 360, pitch_deg)}", lens, turn
        return
    for pitch_deg, count in config.rings:
        for yaw_deg in (np.arange(count) * 360 / count).tolist():
            yield _name(yaw_deg, pitch_deg), area, view_from_panorama(yaw_deg, pitch_deg)


def render_view(panorama: Bytes, view: View, interpolation: int = cv2.INTER_CUBIC) -> Bytes:
    """(side, side, ...) of a panorama (H, W, ...), across its seam, too."""
    places, shares = _maps(view.drawn_by, view.camera, view.view_from_panorama.tobytes())
    return np.asarray(cv2.remap(panorama, places, shares, interpolation, borderMode=cv2.BORDER_WRAP), np.uint8)


def _names(panoramas: Sequence[str]) -> list[PurePosixPath]:
    """What views are called in their folders: as their panorama, with its suffix where another has the same stem."""
    paths = [PurePosixPath(name) for name in panoramas]
    stems = Counter(str(path.with_suffix("")).casefold() for path in paths)
    alone = [stems[str(path.with_suffix("")).casefold()] == 1 for path in paths]
    return [
        path.with_suffix(".jpg") if own else path.with_name(f"{path.name}.jpg")
        for path, own in zip(paths, alone, strict=True)
    ]


def _name(yaw_deg: float, pitch_deg: float) -> str:
    """view090, view090up45; up and down where yaw tells nothing."""
    if abs(pitch_deg) == 90:
        return "up" if pitch_deg > 0 else "down"
    nod = f"{'up' if pitch_deg > 0 else 'down'}{abs(pitch_deg):.0f}" if pitch_deg else ""
    return f"view{yaw_deg:03.0f}{nod}"


def _rays(camera: Camera, turn: Float) -> Float:
    """(side, side, 3) through pixel centres, in the panorama's axes."""
    across = (np.arange(camera.width) + 0.5 - camera.width / 2) / camera.focal_px
    x, y = np.meshgrid(across, across)
    return np.asarray(np.stack([x, y, np.ones_like(x)], -1) @ turn)


def _used(area: Equirectangular | FisheyeLens, camera: Camera, turn: Float, nadir_deg: float) -> Bool:
    """(side, side) what is in the picture and outside the cone around straight down."""
    rays = _rays(camera, turn)
    used = area.sees(rays)
    if nadir_deg > 0:
        used &= rays[..., 1] < np.cos(np.radians(nadir_deg)) * np.linalg.norm(rays, axis=-1)
    return np.asarray(used)


@lru_cache(maxsize=16)
def _maps(area: Equirectangular | FisheyeLens, camera: Camera, turn: bytes) -> Maps:
    """Where in the panorama each pixel of a view is, in OpenCV's fixed-point form: half as large as plain maps."""
    rays = _rays(camera, np.frombuffer(turn, np.float64).reshape(3, 3))
    column, row = np.moveaxis(area.project(rays) - 0.5, -1, 0)
    # Beyond the middle of the outermost rows interpolation would wrap to the other pole.
    row = np.clip(row, 1.0, area.height - 3.0)
    if not area.goes_round:
        column = np.clip(column, 1.0, area.width - 3.0)
    places, shares = cv2.convertMaps(column.astype(np.float32), row.astype(np.float32), cv2.CV_16SC2)
    return places, shares


def _rendered(
    frame: Frame, area: Panorama, name: PurePosixPath, config: PanoramaViewsConfig, folder: Path
) -> list[tuple[View, Frame]]:
    """Each view of one panorama, with its pixels and its mask on the disk."""
    pixels: Bytes | None = None
    mask = None if frame.mask is None else read_mask(frame.mask, frame.width, frame.height)
    views = views_of(area, config)
    whole_mask = _mask_of_whole(frame, area, mask, config, folder)
    found = []
    for view in views:
        path = folder / f"{fingerprint(frame.fingerprint, view.key)}.jpg"
        if not path.exists():
            pixels = read_rgb(frame.path) if pixels is None else pixels
            _written(path, partial(write_rgb, rgb=render_view(pixels, view), quality=config.quality))
        used, mask_path = view.used, folder / f"mask-{view.key}.png"
        if mask is not None:
            own = render_view(mask.astype(np.uint8) * 255, view, cv2.INTER_LINEAR) > 127
            used = own if used is None else used & own
            mask_path = folder / f"mask-{fingerprint(frame.fingerprint, view.key)}.png"
        if used is not None and (mask is not None or not mask_path.exists()):
            _written(mask_path, partial(write_mask, used=used))
        place = str(name.parent / view.name / name.name)
        shown = PanoramaView(frame.name, frame.path, area, whole_mask, view.view_from_panorama)
        found.append((view, _frame(frame, shown, place, view, views[0], path, None if used is None else mask_path)))
    return found


def _mask_of_whole(
    frame: Frame, area: Panorama, mask: Bool | None, config: PanoramaViewsConfig, folder: Path
) -> Path | None:
    """The file that says what is used of a panorama: what is outside the cone around straight down, and its mask."""
    if isinstance(area, FisheyePair) or not area.is_whole or config.nadir_deg == 0:
        return frame.mask
    own = "" if mask is None else frame.fingerprint
    path = folder / f"mask-whole-{fingerprint(repr(area), config.nadir_deg, own)}.png"
    if mask is not None or not path.exists():
        below_deg = 180 * (np.arange(area.height) + 0.5) / area.full_height
        used = np.repeat((below_deg < 180 - config.nadir_deg)[:, None], area.width, axis=1)
        _written(path, partial(write_mask, used=used if mask is None else used & mask))
    return path


def _written(path: Path, write: Callable[[Path], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"{path}: cannot write this view ({why}); free or choose another disk") from error


def _frame(
    frame: Frame, shown: PanoramaView, name: str, view: View, reference: View, path: Path, mask: Path | None
) -> Frame:
    """A view as a frame of its own: a camera on a rig, of which everything is known but where the rig stands."""
    own = view.view_from_panorama
    known, up = frame.known_cam_from_world, frame.up_in_camera
    return replace(
        frame,
        name=name,
        path=path,
        width=view.camera.width,
        height=view.camera.height,
        camera_id=f"{frame.camera_id}-{view.name}",
        fingerprint=f"{frame.fingerprint}-{view.key[:12]}",
        video=None if frame.video is None else f"{frame.video}#{view.name}",
        known_camera=view.camera,
        known_cam_from_world=None if known is None else compose(view.pose, known),
        up_in_camera=None if up is None else _vector(own @ np.array(up)),
        rig=RigPlace(
            frame.camera_id,
            view.name,
            frame.name,
            view is reference,
            compose(view.pose, invert(reference.pose)),
        ),
        mask=mask,
        panorama=None,
        view_of=shown,
    )


def _vector(values: Float) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
