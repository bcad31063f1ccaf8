"""From a scene to the folder that trainers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..imageio import upright_suffix
from ..progress import Progress
from ..types import Dropped, ExportResult, Scene
from .cameras import trainer_camera
from .colmap import write_colmap
from .config import ExportConfig
from .depth import trusted_depth
from .gaussians import write_gaussians
from .images import ImageColours, copy_images
from .masks import write_masks
from .naming import image_stems, usable_frames
from .nerfstudio import PosedImage, upright_from_world, write_transforms
from .observations import ModelTracks, model_tracks
from .ply import PLY_NAME, write_ply
from .seeds import Seeds, seed_points
from .sky import sky_in_image, sky_share, surface_tracks, without_bare_sky
from .staging import staged

__all__ = ["run"]


def run(scene: Scene, config: ExportConfig, progress: Progress, folder: Path) -> ExportResult:
    """Write images/, sparse/0/, transforms.json and sparse_pc.ply into `folder`, replacing those of an earlier run.

    Where the prior saw sky there are masks/, too, and no points in it; where it gave Gaussians there are their files,
    in the frame of sparse/0, and a film. The outputs change all at once or not at all.
    sparse/0 is in the frame of the scene; so are transforms.json and the ply, unless nobody has said yet which way is
    up: then they are turned so that z is, by the transform that they name. Raises ExportError where no frame has a
    pose and shows more than sky, or the folder cannot be written or holds files of others in those places.
    """
    tracks_before = len(scene.tracks)
    scene = replace(scene, tracks=surface_tracks(scene))
    frames, dropped = usable_frames(scene, config)
    frames, bare = without_bare_sky(scene, frames)
    dropped += bare
    views, refused = trusted_depth(scene, frames, config)
    model = model_tracks(scene, frames, views, config)
    observed = set(model.tracks.observation_frame.tolist())
    blind = [frame for frame in frames if frame not in observed]
    dropped += [Dropped(scene.frames[frame].name, "nothing of the scene is known to be in it") for frame in blind]
    frames = [frame for frame in frames if frame in observed]
    if not frames:
        total = len(scene.frames)
        what = "shows anything but sky; take some" if bare else "can be placed in a scene; take more"
        raise ExportError(f"{folder}: none of the {total} frames {what} that overlap")
    images = _posed_images(scene, frames)
    sources = [scene.frames[frame].path for frame in frames]
    with staged(folder, sources) as new:
        copy_images(sources, [image.name for image in images], new / "images", progress)
        colour_at = _colours(new / "images", frames, images)
        model = _coloured(model, colour_at)
        write_colmap(new / "sparse" / "0", images, frames, model.tracks)
        seeds = seed_points(model.tracks, model.source < 0, views, colour_at, config)
        upright = upright_from_world(np.array([image.cam_from_world for image in images]), scene.up_source)
        write_ply(new / PLY_NAME, seeds.points @ upright[:, :3].T, seeds.colours)
        masks = write_masks(new, images, frames, [partial(sky_in_image, scene.prediction)])
        write_transforms(new / "transforms.json", images, upright, PLY_NAME, masks)
        gaussians = write_gaussians(new, scene, frames, config, progress)
    return ExportResult(
        folder,
        images=len(images),
        tracks=len(model.tracks),
        seed_points=len(seeds.points),
        dropped=tuple(dropped),
        image_names={scene.frames[frame].name: image.name for frame, image in zip(frames, images, strict=True)},
        figures=_figures(model, seeds)
        | {"depth_maps_used": len(views), "depth_maps_refused": len(refused), "masks": len(masks)}
        | {"sky_share": sky_share(scene.prediction, frames), "tracks_in_sky": tracks_before - len(scene.tracks)}
        | gaussians,
    )


def _posed_images(scene: Scene, frames: Sequence[int]) -> list[PosedImage]:
    """The images of those frames, numbered from 1; frames of one device share a camera."""
    chosen = [scene.frames[frame] for frame in frames]
    camera_ids = {key: index for index, key in enumerate(dict.fromkeys(frame.camera_id for frame in chosen), start=1)}
    stems = image_stems(frame.name for frame in chosen)
    return [
        PosedImage(
            f"{stem}{upright_suffix(frame.path)}",
            image_id,
            camera_ids[frame.camera_id],
            trainer_camera(scene.cameras[frame.camera_id], frame.camera_id),
            scene.cam_from_world[index],
        )
        for image_id, (index, frame, stem) in enumerate(zip(frames, chosen, stems, strict=True), start=1)
    ]


def _colours(folder: Path, frames: Sequence[int], images: Sequence[PosedImage]) -> ImageColours:
    pairs = list(zip(frames, images, strict=True))
    return ImageColours(
        {frame: folder / image.name for frame, image in pairs},
        {frame: (image.camera.width, image.camera.height) for frame, image in pairs},
    )


def _coloured(model: ModelTracks, colour_at: ImageColours) -> ModelTracks:
    """The tracks with colours at the pixels that points from depth were lifted from."""
    tracks = model.tracks
    colours = tracks.colours.copy()
    first = np.full(len(tracks), -1)
    lifted_here = tracks.observation_frame == model.source[tracks.observation_point]
    first[tracks.observation_point[lifted_here]] = np.flatnonzero(lifted_here)
    for frame in np.unique(model.source[model.source >= 0]).tolist():
        points = np.flatnonzero(model.source == frame)
        colours[points] = colour_at(frame, tracks.observation_xy[first[points]])
    return replace(model, tracks=replace(tracks, colours=colours))


def _figures(model: ModelTracks, seeds: Seeds) -> dict[str, float]:
    frames = model.tracks.observation_frame
    return {
        "tracks_measured": int((model.source < 0).sum()),
        "tracks_from_depth": int((model.source >= 0).sum()),
        "observations_measured": int(model.measured.sum()),
        "observations_projected": int((~model.measured).sum()),
        "images_without_measured_tracks": len(set(frames.tolist()) - set(frames[model.measured].tolist())),
        "seed_points_matched": seeds.matched,
        "seed_points_from_depth": len(seeds.points) - seeds.matched,
    }
