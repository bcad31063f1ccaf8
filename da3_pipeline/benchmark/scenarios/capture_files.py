"""A scenario on disk: pictures for the program under test, truth for the judge; rendered once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from ...arrays import Float, Int
from ...geometry import Camera
from ...geometry.equirectangular import Equirectangular
from ...imageio import read_rgb, write_mask, write_rgb
from ...progress import Progress
from ..truth.prior_noise import PriorNoise, perturbed_poses
from ..truth.scene_truth import write_truth
from ..truth.simulated_prior import any_world, write_predictions
from .catalogue import SCENARIOS, Picture, Scenario

__all__ = ["ScenarioCapture", "render_capture", "render_scenario", "write_network_prior"]


_DEPTH_SIZE = (126, 168)  # rows and columns: multiples of 14, as a network's


@dataclass(frozen=True)
class ScenarioCapture:
    """folder: images/, depth/, truth.json, masks/ where there are any, film.mp4 of a film. All arrays in the order of
    the names, which are those of the frames that a run makes of the pictures; of a panorama the view ahead."""

    name: str
    folder: Path
    names: tuple[str, ...]
    cam_from_world: Float
    intrinsics: Float
    sizes: Int
    scenario: Scenario

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def source(self) -> Path:
        """What a run is given."""
        return self.folder / "film.mp4" if self.scenario.film else self.images

    @property
    def rig(self) -> Path | None:
        return self.folder / "rig_config.json" if self.scenario.rig else None

    @property
    def masks(self) -> Path | None:
        return self.folder / "masks" if self.scenario.masks else None


def render_scenario(name: str, cache: Path, seed: int, progress: Progress) -> ScenarioCapture:
    """The scenario of this name and seed below `cache`; pictures that are there already are kept."""
    return render_capture(name, SCENARIOS[name], cache, seed, progress)


def render_capture(name: str, scenario: Scenario, cache: Path, seed: int, progress: Progress) -> ScenarioCapture:
    """The same of a scenario that is in no catalogue."""
    folder = cache / f"{name.replace(' ', '-').replace(',', '').replace('%', 'percent')}-{seed}"
    pictures = sorted(scenario.pictures(seed), key=lambda picture: picture.name)
    for number, picture in enumerate(pictures):
        progress.step(number, len(pictures), f"rendering {name}")
        _render(picture, folder, scenario.masks)
    if scenario.film:
        _encode([folder / "images" / picture.name for picture in pictures], folder / "film.mp4")
    names = tuple(_frame_name(picture) if scenario.film else picture.name for picture in pictures)
    poses = np.stack([picture.cam_from_world for picture in pictures])
    matrices = np.stack([_pinhole(picture.camera).K for picture in pictures])
    write_truth(folder, names, poses, matrices)
    if scenario.rig:
        cameras = [
            {"image_prefix": f"{sensor}/", "ref_sensor": not number} for number, sensor in enumerate(scenario.rig)
        ]
        (folder / "rig_config.json").write_text(json.dumps([{"cameras": cameras}]))
    return ScenarioCapture(
        name,
        folder,
        names,
        poses,
        matrices,
        np.array([(picture.camera.width, picture.camera.height) for picture in pictures]),
        scenario,
    )


def write_network_prior(capture: ScenarioCapture, path: Path, noise: PriorNoise, seed: int) -> None:
    """A predictions file as of a network: poses off by `noise`, depth by 3 %, a pinhole camera whatever the lens."""
    rng = np.random.default_rng([seed, 0x9210])
    poses, _ = perturbed_poses(capture.cam_from_world, noise, rng)
    world = any_world(rng)
    depth = np.stack([np.load(_depth_file(capture.folder, name)) for name in capture.names]).astype(np.float64)
    depth *= np.exp(rng.normal(0, 0.03, (len(depth), 1, 1)))
    depth[depth <= 0] = np.nan
    factor = (1 + noise.focal) ** rng.choice([-1, 1])
    write_predictions(
        path, capture.names, (poses, depth, factor * capture.intrinsics), capture.sizes.astype(float), world
    )


def _render(picture: Picture, folder: Path, masks: bool) -> None:
    image = folder / "images" / picture.name
    if image.exists():
        return
    shot = picture.shot()
    depth = _depth_file(folder, picture.name)
    depth.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = _DEPTH_SIZE
    np.save(depth, cv2.resize(shot.depth, (columns, rows), interpolation=cv2.INTER_NEAREST).astype(np.float16))
    if masks:
        write_mask(folder / "masks" / f"{picture.name}.png", ~np.isin(shot.solid, picture.ignored))
    image.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(image, shot.rgb)  # last, and complete or not at all: where it is there, so is the rest


def _frame_name(picture: Picture) -> str:
    view = "view000/" if picture.camera.model == "EQUIRECTANGULAR" else ""
    return f"film/{view}{Path(picture.name).stem}.jpg"


def _pinhole(camera: Camera) -> Camera:
    """The camera; of a panorama one that is as fine."""
    if camera.model == "EQUIRECTANGULAR":
        return Equirectangular.whole(camera.width, camera.height).view(90.0)
    return camera


def _encode(pictures: Sequence[Path], film: Path) -> None:
    """H.264 at 30 frames a second, as good as a camera's."""
    if film.exists():
        return
    partial = film.with_name("partial.mp4")
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "16", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = read_rgb(pictures[0]).shape[:2]
        for picture in pictures:
            rgb = read_rgb(picture)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    partial.rename(film)


def _depth_file(folder: Path, name: str) -> Path:
    return folder / "depth" / f"{name}.npy"
