"""Find the photographs and videos in files and folders, and leave alone what is neither."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import CaptureError
from ..guard.limits import LIMITS
from ..imageio import RAW_SUFFIXES, sniff_format
from ..types import Dropped
from .names import UniqueNames, clean_name, natural_key

__all__ = ["FoundFile", "Listing", "claims_pixels", "claims_video", "scan"]

logger = logging.getLogger(__name__)

Kind = Literal["photo", "video"]


def _suffixes(words: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in words.split())


_PHOTO_SUFFIXES = _suffixes("jpg jpeg jpe jfif mpo png tif tiff heic heif hif webp avif bmp jxl")
_VIDEO_SUFFIXES = _suffixes("mp4 m4v mov qt mkv webm avi mts m2ts mpg mpeg 3gp wmv")
_SPHERE_SUFFIXES = _suffixes("insv insp 360")
_ARCHIVE_SUFFIXES = _suffixes("zip r3d 7z rar tar gz tgz")
_UNREAD_SUFFIXES = _suffixes("gif exr hdr jp2 j2k psd gpr")
# Beside photographs and clips, some with pictures inside: thumbnails (.thm), low-resolution proxies (.lrv, .lrf).
_SIDECAR_SUFFIXES = _suffixes("aae xmp json txt csv thm lrv lrf srt gpx xml md ini db npz bin")
_JUNK_FOLDERS = frozenset(["__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"])
_MESH_SUFFIXES = _suffixes("mtl gltf obj glb fbx dae usd usda usdc usdz")
_CLOUD_SUFFIXES = _suffixes("ply spz splat ksplat sog las laz e57 pcd")
_FEW = 4  # hidden pictures of a folder that are told one by one
_SESSION_MARK = ".da3"
_HIDDEN = "a hidden file, as systems keep beside the real one"


@dataclass(frozen=True)
class FoundFile:
    """A file to read, under the name it will have in the capture.

    source: counts the given sources. below: the folders between the source and the file as a posix path, None where
    the file was given itself. raw: it says that it is of a camera's own raw format.
    """

    name: str
    path: Path
    kind: Kind
    source: int
    below: str | None = None
    raw: bool = False


@dataclass(frozen=True)
class Listing:
    """Everything that looks like a photograph or a video, in natural order of the names, and what cannot be used.

    meshes: files of 3-D models and their materials, whose pictures are textures; clouds: of points and splats.
    """

    files: tuple[FoundFile, ...]
    dropped: tuple[Dropped, ...]
    meshes: tuple[Path, ...] = ()
    clouds: tuple[Path, ...] = ()


def scan(sources: Sequence[Path], exclude: Path | None = None, masks: Path | None = None) -> Listing:
    """List photographs and videos in `sources`, files or folders, the latter with all their subfolders.

    Names are posix paths relative to the source; with several sources, folders come under their own name. Sidecars are
    passed over, hidden pictures named; of a finished session only `images` is read; symbolic links are followed, each
    folder once. `exclude` (the output of this run) is never entered, and the file or folder `masks` is not a source.
    What of the rest is no photograph is for `sorting` to say.
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
            elif source.suffix.lower() in _ARCHIVE_SUFFIXES and source.is_file():
                raise CaptureError(f"{source}: such an archive is not read; unpack it and give the folder, or a .zip")
            elif source.exists():
                walker.add(source, "", number)
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
        self._meshes: list[Path] = []
        self._clouds: list[Path] = []

    def listing(self) -> Listing:
        return Listing(
            tuple(sorted(self._files, key=lambda file: natural_key(file.name))),
            tuple(sorted(self._dropped, key=lambda dropped: natural_key(dropped.frame))),
            tuple(self._meshes),
            tuple(self._clouds),
        )

    def walk(self, folder: Path, prefix: str, source: int) -> None:
        """Enter the folder of a source, whose content is named under `prefix`."""
        if (folder / _SESSION_MARK).is_dir():
            logger.info("%s is a finished session: only its images are read", folder)
            self._enter(folder / "images", f"{prefix}images/", source, "images")
        else:
            self._enter(folder, prefix, source, "")

    def _enter(self, folder: Path, prefix: str, source: int, below: str) -> None:
        if folder.resolve() in self._entered or not folder.is_dir():
            return
        if below.count("/") >= LIMITS.folders_deep:
            self._dropped.append(Dropped(prefix, f"more than {LIMITS.folders_deep} folders deep; move it up"))
            return
        self._entered.add(folder.resolve())
        entries = sorted(folder.iterdir(), key=lambda path: natural_key(path.name))
        self._tell_hidden([path for path in entries if path.name.startswith(".")], prefix)
        for path in entries:
            if path.name.startswith("."):
                continue
            if not path.is_dir():
                self.add(path, prefix, source, below)
                continue
            name = f"{prefix}{clean_name(path.name)}/"
            try:
                if path.name.lower() in _JUNK_FOLDERS:
                    self._tell_folder(path, name, "a folder that a system or a server keeps for itself")
                elif not _is_session(path):
                    self._enter(path, name, source, f"{below}/{path.name}".lstrip("/"))
            except PermissionError:
                self._dropped.append(Dropped(name, "permission denied"))

    def add(self, path: Path, prefix: str, source: int, below: str | None = None) -> None:
        """Take in a file if it is, or claims to be, a photograph or a video; one without `below` was given itself."""
        suffix = path.suffix.lower()
        name = prefix + clean_name(path.name)
        if self._masks is not None and path.resolve() == self._masks:
            return
        unread = _why_unread(path, suffix)
        if suffix in _MESH_SUFFIXES:
            self._meshes.append(path)
        elif suffix in _CLOUD_SUFFIXES:
            self._clouds.append(path)
        elif unread:
            self._dropped.append(Dropped(self._names.claim(name), unread))
        elif suffix in _VIDEO_SUFFIXES:
            self._files.append(FoundFile(self._names.claim(name), path, "video", source, below))
        elif below is None or _claims_photo(suffix) or (suffix not in _SIDECAR_SUFFIXES and _looks_like_photo(path)):
            raw = suffix in RAW_SUFFIXES
            self._files.append(FoundFile(self._names.claim(name), path, "photo", source, below, raw))

    def _tell_hidden(self, entries: Sequence[Path], prefix: str) -> None:
        """Pictures in hidden files and folders, which somebody may miss."""
        for path in entries:
            if path.is_dir() and path.name != _SESSION_MARK:
                self._tell_folder(path, f"{prefix}{clean_name(path.name)}/", "a hidden folder")
        names = [clean_name(path.name) for path in entries if claims_pixels(path.name)]
        if len(names) > _FEW:
            self._dropped.append(Dropped(f"{prefix}.*", f"{len(names)} files: {_HIDDEN}"))
        else:
            self._dropped += [Dropped(prefix + name, _HIDDEN) for name in names]

    def _tell_folder(self, folder: Path, name: str, reason: str) -> None:
        with contextlib.suppress(OSError):
            if any(claims_pixels(path.name) for path in folder.iterdir()):
                self._dropped.append(Dropped(name, reason))


def _is_session(folder: Path) -> bool:
    if (folder / _SESSION_MARK).is_dir():
        logger.info("%s is the output of a session and is not read", folder)
        return True
    return False


def _claims_photo(suffix: str) -> bool:
    return suffix in _PHOTO_SUFFIXES or suffix in RAW_SUFFIXES


def claims_video(name: str) -> bool:
    """Whether a file is a video by its name alone."""
    return Path(name).suffix.lower() in _VIDEO_SUFFIXES


def claims_pixels(name: str) -> bool:
    """Whether a file is a photograph or a video by its name alone."""
    return _claims_photo(Path(name).suffix.lower()) or claims_video(name)


def _why_unread(path: Path, suffix: str) -> str:
    """The reason why pictures that are plainly there cannot be used; empty for everything else."""
    if suffix in _SPHERE_SUFFIXES:
        return "a 360-degree camera's own format is not read; stitch it to equirectangular first and give that"
    if suffix in _ARCHIVE_SUFFIXES:
        return "an archive in a folder is not looked into; give it itself, or unpack it"
    if suffix in _UNREAD_SUFFIXES:
        return f"{suffix[1:].upper()} is not read; convert it to JPEG, PNG or TIFF"
    if (_claims_photo(suffix) or suffix in _VIDEO_SUFFIXES) and not path.is_file():
        return "the link leads nowhere" if path.is_symlink() else "not a regular file"
    return ""


def _looks_like_photo(path: Path) -> bool:
    """For names that tell nothing: whether the content is a picture. Pipes and sockets are not touched."""
    try:
        return path.is_file() and sniff_format(path) is not None
    except OSError:
        return False
