"""Find the photographs and videos in files and folders, and leave alone what is neither."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CaptureError
from ..imageio import sniff_format
from ..types import Dropped
from .names import UniqueNames, clean_name, natural_key

__all__ = ["FoundFile", "Listing", "scan"]

logger = logging.getLogger(__name__)

Kind = Literal["photo", "video"]


def _suffixes(words: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in words.split())


_PHOTO_SUFFIXES = _suffixes("jpg jpeg jpe jfif mpo png tif tiff heic heif hif webp avif bmp")
_VIDEO_SUFFIXES = _suffixes("mp4 m4v mov qt mkv webm avi mts m2ts mpg mpeg 3gp wmv")
_RAW_SUFFIXES = _suffixes("dng cr2 cr3 crw nef nrw arw srf sr2 raf rw2 orf pef srw x3f 3fr iiq")
_SPHERE_SUFFIXES = _suffixes("insv insp 360")
_UNREAD_SUFFIXES = _suffixes("gif exr hdr jp2 j2k jxl psd gpr")
# Beside photographs and clips, some with pictures inside: thumbnails (.thm), low-resolution proxies (.lrv, .lrf).
_SIDECAR_SUFFIXES = _suffixes("aae xmp json txt csv thm lrv lrf srt gpx xml md ini db npz bin")
_JUNK_FOLDERS = frozenset(["__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"])
_BESIDE_IMAGES = frozenset(["masks", "depths", "depth", "images_2", "images_4", "images_8"])
_SESSION_MARK = ".da3"


@dataclass(frozen=True)
class FoundFile:
    """A file to read, under the name it will have in the capture. `source` counts the given sources."""

    name: str
    path: Path
    kind: Kind
    source: int


@dataclass(frozen=True)
class Listing:
    """Everything that looks like a photograph or a video, in natural order of the names, and what cannot be used."""

    files: tuple[FoundFile, ...]
    dropped: tuple[Dropped, ...]


def scan(sources: Sequence[Path], exclude: Path | None = None, masks: Path | None = None) -> Listing:
    """List photographs and videos in `sources`, files or folders, the latter with all their subfolders.

    Names are posix paths relative to the source; with several sources, folders come under their own name. Hidden files,
    sidecars and the masks and depths of a data set are passed over; of a finished session only `images` is read;
    symbolic links are followed, each folder once. `exclude` (the output of this run) is never entered, and the file or
    folder `masks` is not a source. Masks beside images that are not asked for are said to be left out.
    Raises CaptureError for a source that is not there or may not be read.
    """
    walker = _Walker(exclude, masks)
    prefixes = UniqueNames()
    for number, source in enumerate(sources):
        try:
            if source.is_dir():
                if exclude is not None and source.resolve() == exclude.resolve():
                    raise CaptureError(f"{source}: source and output are the same folder; choose another --output")
                if masks is not None and source.resolve() == masks.resolve():
                    raise CaptureError(f"{source}: source and masks are the same folder; put the masks into their own")
                label = clean_name(source.resolve().name) or "source"
                walker.walk(source, prefixes.claim(label) + "/" if len(sources) > 1 else "", number)
            elif source.exists():
                walker.add(source, "", number, given=True)
            else:
                raise CaptureError(f"{source}: no such file or folder; check the path")
        except PermissionError:
            raise CaptureError(f"{source}: permission denied; make it readable") from None
    return walker.listing()


class _Walker:
    """Collects files; remembers the folders it has been in so that links cannot lead it in circles."""

    def __init__(self, exclude: Path | None, masks: Path | None) -> None:
        self._masks = masks.resolve() if masks is not None else None
        self._entered = {path.resolve() for path in (exclude, masks) if path is not None}
        self._names = UniqueNames()
        self._files: list[FoundFile] = []
        self._dropped: list[Dropped] = []

    def listing(self) -> Listing:
        return Listing(
            tuple(sorted(self._files, key=lambda file: natural_key(file.name))),
            tuple(sorted(self._dropped, key=lambda dropped: natural_key(dropped.frame))),
        )

    def walk(self, folder: Path, prefix: str, source: int) -> None:
        """Enter the folder of a source, whose content is named under `prefix`."""
        if (folder / _SESSION_MARK).is_dir():
            logger.info("%s is a finished session: only its images are read", folder)
            self._enter(folder / "images", f"{prefix}images/", source)
        else:
            self._enter(folder, prefix, source)

    def _enter(self, folder: Path, prefix: str, source: int) -> None:
        if folder.resolve() in self._entered or not folder.is_dir():
            return
        self._entered.add(folder.resolve())
        entries = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
        entries = [path for path in entries if not path.name.startswith(".")]
        folders = [path for path in entries if path.is_dir()]
        has_images = any(path.name == "images" for path in folders)
        for path in entries:
            if path not in folders:
                self.add(path, prefix, source)
            elif _may_hold_photographs(path, has_images):
                name = f"{prefix}{clean_name(path.name)}/"
                try:
                    self._enter(path, name, source)
                except PermissionError:
                    self._dropped.append(Dropped(name, "permission denied"))
            elif has_images and path.name.lower() == "masks" and path.resolve() != self._masks:
                logger.warning("%s is not used; add --masks '%s' to use it", path, path)
                self._dropped.append(Dropped(f"{prefix}{path.name}/", "masks are used where --masks names them"))

    def add(self, path: Path, prefix: str, source: int, given: bool = False) -> None:
        """Take in a file if it is, or claims to be, a photograph or a video; `given` files claim it by being given."""
        suffix = path.suffix.lower()
        name = prefix + clean_name(path.name)
        if self._masks is not None and path.resolve() == self._masks:
            return
        unread = _why_unread(path, suffix)
        if unread:
            self._dropped.append(Dropped(self._names.claim(name), unread))
        elif suffix in _VIDEO_SUFFIXES:
            self._files.append(FoundFile(self._names.claim(name), path, "video", source))
        elif given or suffix in _PHOTO_SUFFIXES or (suffix not in _SIDECAR_SUFFIXES and _looks_like_photo(path)):
            self._files.append(FoundFile(self._names.claim(name), path, "photo", source))


def _may_hold_photographs(folder: Path, beside_images: bool) -> bool:
    if folder.name.lower() in _JUNK_FOLDERS or (beside_images and folder.name.lower() in _BESIDE_IMAGES):
        return False
    if (folder / _SESSION_MARK).is_dir():
        logger.info("%s is the output of a session and is not read", folder)
        return False
    return True


def _why_unread(path: Path, suffix: str) -> str:
    """The reason why a picture that is plainly there cannot be used; empty for everything else."""
    if suffix in _RAW_SUFFIXES:
        return "raw photographs are not read; develop it to JPEG, PNG or TIFF"
    if suffix in _SPHERE_SUFFIXES:
        return "a 360-degree camera's own format is not read; export flat pictures from it"
    if suffix in _UNREAD_SUFFIXES:
        return f"{suffix[1:].upper()} is not read; convert it to JPEG, PNG or TIFF"
    if suffix in _PHOTO_SUFFIXES | _VIDEO_SUFFIXES and not path.is_file():
        return "the link leads nowhere" if path.is_symlink() else "not a regular file"
    return ""


def _looks_like_photo(path: Path) -> bool:
    """For names that tell nothing: whether the content is a picture. Pipes and sockets are not touched."""
    try:
        return path.is_file() and sniff_format(path) is not None
    except OSError:
        return False
