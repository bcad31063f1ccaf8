"""The first stage: everything readable in the given sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from ..errors import CaptureError
from ..geometry.equirectangular import FisheyePair
from ..progress import Progress
from ..types import Capture, Dropped, Frame, VideoClip
from .cameras import CameraRegister
from .config import IngestConfig
from .known import with_known_cameras
from .masks import with_masks
from .photos import Photo, read_photos
from .project import FoundProject, find_projects, missing_images, with_projects
from .rigs import with_rigs
from .scan import Listing, scan
from .sorting import sort_out, without_doubles
from .videos import Video, other_streams, pixels_of, read_video

__all__ = ["run"]

_LIVE_PHOTO_S = 4.0
_READ = "JPEG, PNG, TIFF, HEIC, WebP; MP4, MOV, MKV, AVI, WEBM"


def run(sources: Sequence[Path], config: IngestConfig, progress: Progress, exclude: Path | None = None) -> Capture:
    """Read photographs and videos from files and folders; see docs/CAPTURE.md for what is taken and what is not.

    Masks that lie beside photographs under their names are theirs, unless `config` names others.

    Every file is opened and decoded far enough to know that it is usable; one that is not becomes a Dropped.
    `exclude` is a folder that is not looked into: the output of this run, should it lie inside a source.
    Raises CaptureError, in one line, where a source cannot be read, nothing usable is left, or the intrinsics, poses,
    rigs or masks of `config` do not fit the capture.
    """
    use_masks = config.masks is None and config.masks_beside
    projects = find_projects(sources) if config.project else []
    found = sort_out(_without(scan(sources, exclude, config.masks), projects), use_masks)
    photos, clips, dropped = _usable(found.listing, config, progress)
    if not photos and not clips:
        raise CaptureError(missing_images(projects) or _nothing(sources, dropped, found.listing))
    around = [*(photo.panorama for photo in photos), *(clip.panorama for clip in clips)]
    if config.dual_fisheye is not None and not any(isinstance(area, FisheyePair) for area in around):
        raise CaptureError(f"{config.dual_fisheye}: no picture has the shape that it tells; leave --dual-fisheye out")
    poses = config.project_poses if config.poses is None else "none"
    capture = with_projects(Capture(photos, clips, dropped), projects, poses, intrinsics=config.intrinsics is None)
    capture = with_known_cameras(capture, config.intrinsics, config.poses)
    capture = with_masks(with_rigs(capture, config.rig), config.masks)
    if not use_masks:
        return capture
    masked = (replace(photo, mask=photo.mask or found.masks.get(photo.name)) for photo in capture.photos)
    return replace(capture, photos=tuple(masked))


def _usable(
    listing: Listing, config: IngestConfig, progress: Progress
) -> tuple[tuple[Frame, ...], tuple[VideoClip, ...], tuple[Dropped, ...]]:
    """Photographs and videos that can be decoded, each shot once, and what else was listed."""
    results = _read(listing, config, progress)
    read, doubles = without_doubles([result for result in results if isinstance(result, Photo)])
    dropped = [*listing.dropped, *(result for result in results if isinstance(result, Dropped)), *doubles]
    cameras = CameraRegister()
    photos = [_frame(photo, cameras) for photo in read]
    clips: list[VideoClip] = []
    for video in (result for result in results if isinstance(result, Video)):
        if twin := _still_of(video, photos):
            dropped.append(Dropped(video.file.name, f"the moving half of the live photo {twin}"))
        else:
            clips.append(_clip(video, cameras))
            dropped += other_streams(video)
    return tuple(photos), tuple(clips), tuple(dropped)


def _without(listing: Listing, projects: Sequence[FoundProject]) -> Listing:
    """The listing without what projects name as no photographs: depth, confidence, masks, pictures stored twice."""
    beside = {path for found in projects for path in found.beside}
    if not beside:
        return listing
    paths = ((file, Path(os.path.abspath(file.path))) for file in listing.files)
    files = tuple(file for file, path in paths if not ({path, *path.parents} & beside))
    return replace(listing, files=files)


def _read(listing: Listing, config: IngestConfig, progress: Progress) -> list[Photo | Video | Dropped]:
    """Every listed file, photographs first, each kind in natural order."""
    photo_files = [file for file in listing.files if file.kind == "photo"]
    video_files = [file for file in listing.files if file.kind == "video"]
    total = len(listing.files)
    results: list[Photo | Video | Dropped] = []
    for result in read_photos(photo_files, config):
        results.append(result)
        progress.step(len(results), total, "files")
    for file in video_files:
        results.append(read_video(file, config))
        progress.step(len(results), total, file.name)
    return results


def _still_of(video: Video, photos: Sequence[Frame]) -> str:
    """The photograph that a phone took together with this clip of a few seconds: same folder, same stem; or ''."""
    if video.info.times_s[-1] - video.info.times_s[0] > _LIVE_PHOTO_S:
        return ""
    stem = PurePosixPath(video.file.name).with_suffix("")
    paths = (PurePosixPath(photo.name) for photo in photos)
    return next((str(path) for path in paths if path.with_suffix("") == stem and _is_phone_format(path)), "")


def _is_phone_format(path: PurePosixPath) -> bool:
    return path.suffix.lower() in (".heic", ".heif", ".jpg", ".jpeg")


def _frame(photo: Photo, cameras: CameraRegister) -> Frame:
    """A panorama has no focal length, whatever EXIF says of the lenses that it was taken with."""
    flat = photo.panorama.area is None
    around = () if flat else (f"360 degrees {photo.panorama.told_by}, seen through pinhole views",)
    return Frame(
        name=photo.file.name,
        path=photo.file.path,
        width=photo.width,
        height=photo.height,
        camera_id=cameras.photo(photo),
        fingerprint=photo.fingerprint,
        exif_focal_px=photo.facts.focal_px if flat else None,
        gps=photo.gps,
        exposure=photo.exposure,
        up_in_camera=photo.up,
        lens=cameras.lens_of_photo(photo) if flat else None,
        quarter_turns=photo.quarter_turns,
        pixels=(*photo.pixels, *around),
        panorama=photo.panorama.area,
    )


def _clip(video: Video, cameras: CameraRegister) -> VideoClip:
    info, flat = video.info, video.panorama.area is None
    return VideoClip(
        name=video.file.name,
        path=video.file.path,
        width=info.width,
        height=info.height,
        rotation_deg=info.rotation_deg,
        times_s=info.times_s,
        camera_id=cameras.clip(video.file.name, video.facts, info.width, info.height),
        fingerprint=video.fingerprint,
        exif_focal_px=video.facts.focal_px if flat else None,
        gps=video.gps,
        pixels=pixels_of(video),
        lens=cameras.lens_of_clip(video.facts) if flat else None,
        panorama=video.panorama.area,
    )


def _nothing(sources: Sequence[Path], dropped: Sequence[Dropped], listing: Listing) -> str:
    """The one line for a capture without a usable file; some programs of phones export finished models alone."""
    where = ", ".join(str(source) for source in sources) or "no source given"
    if not dropped:
        if models := (*listing.clouds, *listing.meshes):
            return f"{where}: a finished model or splat ({models[0].name}) without its photographs; give these"
        return f"{where}: no photographs or videos found ({_READ}); check the path"
    listed = "; ".join(f"{entry.frame}: {entry.reason}" for entry in dropped[:3])
    more = f"; and {len(dropped) - 3} more" if len(dropped) > 3 else ""
    if len(dropped) == 1:
        return f"{where}: nothing usable: {listed}"
    return f"{where}: none of {len(dropped)} files can be used: {listed}{more}"
