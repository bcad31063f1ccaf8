"""From a scene to the folder that trainers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..grouping import Groups
from ..imageio import upright_suffix
from ..progress import Progress
from ..types import Dropped, ExportResult, Scene
from .cameras import trainer_camera
from .colmap import write_colmap
from .config import ExportConfig
from .depth.depth_files import write_depths
from .depth.depth_views import DepthView
from .depth.seeds import Seeds, seed_points
from .depth.sky import sky_in_image, sky_share, without_bare_frames
from .depth.trusted_depth import depth_novelty, trusted_depth
from .gaussians import write_gaussians
from .ignored import IgnoredPixels
from .naming import image_stems, usable_frames
from .nerfstudio import PosedImage, TrainerWorld, trainer_world, write_panoramas, write_transforms
from .observations import ModelTracks, model_tracks
from .pictures.images import ImageColours, copy_images
from .pictures.masks import Ignored, write_masks
from .pictures.reduced import reduced_folders, write_reduced
from .ply import MODEL_PLY_NAME, PLY_NAME, offset_comments, write_ply
from .staging import staged
from .tracks import undistorted_tracks, usable_tracks
from .undistortion import Undistortion, forget_maps, undistortions

__all__ = ["run"]


def run(scene: Scene, config: ExportConfig, progress: Progress, folder: Path) -> ExportResult:
    """Write images/, sparse/0/, transforms.json and sparse_pc.ply into `folder`, replacing those of an earlier run.

    Pose-only frames are in none of it, though the points that they helped to find are.
    Where the prior saw sky, or frames have masks, there are masks/, too, and no points under them; where it gave
    Gaussians there are their files, in the frame of sparse/0, and a film. With `config.undistort` all of it is that of
    pinhole cameras, and depths/ is written. The outputs change all at once or not at all.
    sparse/0 is in the frame of the scene; so are transforms.json and the ply, unless nobody has said yet which way is
    up, or single precision cannot hold them: then they are turned so that z is, and moved, by the transform that they
    name. Raises ExportError where no frame has a
    pose and shows anything to use, or the folder cannot be written or holds files of others in those places.
    """
    frames, dropped = usable_frames(scene, config)
    lenses = undistortions(scene, frames, config.undistortion) if config.undistort else {}
    ignored = IgnoredPixels(scene, frames, lenses)
    tracks_before = len(scene.tracks)
    scene = replace(scene, tracks=usable_tracks(scene, ignored))
    frames, bare = without_bare_frames(scene, frames, ignored, config)
    views, refused = trusted_depth(scene, frames, ignored, config)
    model = model_tracks(scene, frames, views, ignored, config)
    frames, blind = _observed(scene, frames, model)
    dropped += [*bare, *blind]
    if not frames:
        total = len(scene.frames)
        bare_ones = "shows anything but sky, or what masks ignore; take some"
        what = bare_ones if bare else "can be placed in a scene; take more"
        raise ExportError(f"{folder}: none of the {total} frames {what} that overlap")
    content = _Content(scene, config, frames, _posed_images(scene, frames, lenses), lenses, ignored, views, model)
    with staged(folder, [scene.frames[frame].path for frame in frames], reduced_folders(config.downscale)) as new:
        seeds, figures = _write(new, content, progress)
    return ExportResult(
        folder,
        images=len(frames),
        tracks=len(model.tracks),
        seed_points=len(seeds.points),
        dropped=tuple(dropped),
        image_names={scene.frames[frame].name: image.name for frame, image in zip(frames, content.images, strict=True)},
        masked_share={scene.frames[frame].name: ignored.share[frame] for frame in frames if frame in ignored.share},
        figures=_figures(model, seeds)
        | {"depth_maps_used": len(views), "depth_maps_refused": len(refused), "depth_novelty": depth_novelty(views)}
        | {"sky_share": sky_share(scene.prediction, frames)}
        | {"tracks_left_out": tracks_before - len(scene.tracks), "undistorted": int(config.undistort)}
        | figures,
    )


@dataclass(frozen=True)
class _Content:
    """What a data set is made of; frames and images correspond."""

    scene: Scene
    config: ExportConfig
    frames: Sequence[int]
    images: Sequence[PosedImage]
    lenses: Mapping[str, Undistortion]
    ignored: IgnoredPixels
    views: Sequence[DepthView]
    model: ModelTracks

    @property
    def sources(self) -> list[Path]:
        return [self.scene.frames[frame].path for frame in self.frames]

    @property
    def image_lenses(self) -> list[Undistortion | None]:
        """What each image goes through; None where it stays as it is."""
        lenses = (self.lenses.get(self.scene.frames[frame].camera_id) for frame in self.frames)
        return [None if lens is None or lens.is_identity else lens for lens in lenses]


def _write(new: Path, content: _Content, progress: Progress) -> tuple[Seeds, dict[str, float]]:
    """Write everything into an empty folder; gives the seed points and counts for the report."""
    scene, config, frames, images = content.scene, content.config, content.frames, content.images
    lenses, names = content.image_lenses, [image.name for image in images]
    copy_images(content.sources, names, lenses, new / "images", progress)
    colour_at = _colours(new / "images", content)
    model = _coloured(content.model, colour_at)
    tracks = undistorted_tracks(scene, model.tracks, model.source < 0, content.lenses)
    write_colmap(new / "sparse" / "0", images, frames, tracks)
    seeds = seed_points(model.tracks, model.source < 0, content.views, colour_at, config, scene.trust.depth is False)
    world = _write_seeds(new, seeds, content)
    ignoring: list[Ignored] = [partial(sky_in_image, scene.prediction), content.ignored.in_image]
    masks = write_masks(new, images, frames, lenses, ignoring)
    forget_maps()
    depths = {}
    if config.depths or config.undistort:
        by_frame = {view.frame: view for view in content.views}
        depths = write_depths(new, images, [by_frame.get(frame) for frame in frames], lenses)
    write_reduced(new, config.downscale, progress)
    write_transforms(new / "transforms.json", images, world, PLY_NAME, masks, depths)
    panoramas = write_panoramas(new / "equirectangular", images, world, new / PLY_NAME) if config.equirectangular else 0
    if config.equirectangular and not panoramas:
        raise ExportError(f"{new.parent.parent}: there are no panoramas of a whole sphere; leave --equirectangular out")
    gaussians = write_gaussians(new, scene, frames, content.ignored, world.offset, config, progress)
    counts = {"masks": len(masks), "depth_maps_written": len(depths)}
    counts |= {"panoramas_written": panoramas} if panoramas else {}
    told = dict(zip(("offset_x", "offset_y", "offset_z"), world.offset.tolist(), strict=True))
    return seeds, counts | (told if world.offset.any() else {}) | gaussians


def _write_seeds(new: Path, seeds: Seeds, content: _Content) -> TrainerWorld:
    """Write the seed points in the world of trainers, and in that of sparse/0 where it is another."""
    scene, poses = content.scene, np.array([image.cam_from_world for image in content.images])
    world = trainer_world(poses, seeds.points, scene.up_source, content.config.max_single_precision_step)
    turned = "transpose(rotation of applied_transform in transforms.json) * (x y z)"
    comments = offset_comments(world.offset, turned)
    write_ply(new / PLY_NAME, world.from_model.apply(seeds.points), seeds.colours, comments)
    if not world.is_model:
        rounded = ["rounded to the single precision of this file; sparse_pc.ply is not"] if comments else []
        write_ply(new / MODEL_PLY_NAME, seeds.points, seeds.colours, rounded)
    return world


def _observed(scene: Scene, frames: Sequence[int], model: ModelTracks) -> tuple[list[int], list[Dropped]]:
    """The frames in which the model has observations, and the others."""
    observed = set(model.tracks.observation_frame.tolist())
    blind = [scene.frames[frame].name for frame in frames if frame not in observed]
    reason = "nothing of the scene is known to be in it"
    return [frame for frame in frames if frame in observed], [Dropped(name, reason) for name in blind]


def _posed_images(scene: Scene, frames: Sequence[int], lenses: Mapping[str, Undistortion]) -> list[PosedImage]:
    """The images of those frames, numbered from 1; frames of one device share a camera."""
    chosen = [scene.frames[frame] for frame in frames]
    numbers = {name: 1 + k for k, name in enumerate(dict.fromkeys(frame.camera_id for frame in chosen))}
    cameras = {
        name: lenses[name].pinhole if name in lenses else trainer_camera(scene.cameras[name], name) for name in numbers
    }
    stems = image_stems(frame.name for frame in chosen)
    return [
        PosedImage(
            f"{stem}{upright_suffix(frame.path)}",
            image_id,
            numbers[frame.camera_id],
            cameras[frame.camera_id],
            scene.cam_from_world[index],
            frame.rig,
            frame.view_of,
        )
        for image_id, (index, frame, stem) in enumerate(zip(frames, chosen, stems, strict=True), start=1)
    ]


def _colours(folder: Path, content: _Content) -> ImageColours:
    """Colours at pixels of the original images, from the copies where these are the same pixels."""
    paths, sizes = {}, {}
    items = zip(content.frames, content.images, content.sources, content.image_lenses, strict=True)
    for frame, image, source, lens in items:
        original = content.scene.frames[frame]
        paths[frame] = folder / image.name if lens is None else source
        sizes[frame] = (original.width, original.height)
    return ImageColours(paths, sizes, content.config.colour_side_px)


def _coloured(model: ModelTracks, colour_at: ImageColours) -> ModelTracks:
    """The tracks with colours at the pixels that points from depth were lifted from."""
    tracks = model.tracks
    colours = tracks.colours.copy()
    first = np.full(len(tracks), -1)
    lifted_here = tracks.observation_frame == model.source[tracks.observation_point]
    first[tracks.observation_point[lifted_here]] = np.flatnonzero(lifted_here)
    by_source = Groups.of(model.source, int(model.source.max(initial=-1)) + 1)
    for frame in by_source.filled:
        points = by_source[frame]
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
