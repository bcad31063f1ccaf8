"""From chosen frames to chosen frames with masks that can be used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ..arrays import Bool
from ..errors import ExportError, SelectionError
from ..imageio import UnreadableImageError, read_mask, write_mask
from ..progress import Progress
from ..types import Dropped, Frame, FrameSet
from ..versions import STAGE_VERSIONS
from .config import MaskConfig

__all__ = ["run"]

Find = Callable[[Path, int, int], Bool]
"""Of a picture of so many pixels, what is to be ignored."""

_WORKERS = 4


def run(frames: FrameSet, config: MaskConfig, progress: Progress, folder: Path) -> FrameSet:
    """The frames that their masks leave something of.

    Every mask is read once, to know that it fits its frame. Where people are looked for, or something stands, what
    shows it is taken from what the frame's own mask leaves, and the result written below `folder`; those there from
    an interrupted run are kept. A frame is dropped, with the reason, when its mask cannot be read, has another shape
    than the frame, or leaves next to nothing. Raises SelectionError where fewer than two frames are left.
    """
    finders = dict(_finders(frames.frames, config))
    results = _with_found(frames.frames, finders, config, folder) if finders else _checked(frames.frames, config)
    kept: list[Frame] = []
    dropped: list[Dropped] = []
    for done, result in enumerate(results, start=1):
        progress.step(done, len(frames), "masks")
        if isinstance(result, Dropped):
            dropped.append(result)
        else:
            kept.append(result)
    if len(kept) < 2:
        raise SelectionError(_too_few(frames, dropped))
    return FrameSet(tuple(kept), (*frames.dropped, *dropped))


def _checked(frames: Sequence[Frame], config: MaskConfig) -> Iterator[Frame | Dropped]:
    """Frames with their own masks, read by a few threads."""

    def check(frame: Frame) -> Frame | Dropped:
        try:
            used = _own_mask(frame)
        except UnreadableImageError as error:
            return _unusable(frame, error)
        return frame if used is None or used.mean() >= config.min_used else _covered(frame, used, "its mask leaves")

    with ThreadPoolExecutor(_WORKERS) as workers:
        yield from workers.map(check, frames)


def _with_found(
    frames: Sequence[Frame], finders: Mapping[str, Find], config: MaskConfig, folder: Path
) -> Iterator[Frame | Dropped]:
    """Frames with masks of their own, and of what is found in them."""
    sought = _sought(frames, config)
    for frame in frames:
        try:
            yield _without_found(frame, finders, sought, config, folder)
        except UnreadableImageError as error:
            yield _unusable(frame, error)
        except OSError as error:
            why = error.strerror or error
            raise ExportError(f"{folder}: cannot write masks ({why}); free or choose another disk") from error


def _finders(frames: Sequence[Frame], config: MaskConfig) -> Iterator[tuple[str, Find]]:
    """What finds something, by what it finds."""
    if config.people:
        from .people import PeopleFinder

        find = PeopleFinder(config.people_model, config.device)
        yield "people", lambda path, width, height: _widened(find(path, width, height), config.people_margin)
    if config.still:
        from .still import StillBackground

        background = StillBackground(frames, config.stillness)
        if background.found:
            yield "what stands still", background


def _without_found(
    frame: Frame, finders: Mapping[str, Find], sought: str, config: MaskConfig, folder: Path
) -> Frame | Dropped:
    own = _own_mask(frame)
    path = folder / f"{_key(frame, own, sought)}.png"
    if path.exists():
        used = read_mask(path, frame.width, frame.height)
    else:
        used = np.ones((frame.height, frame.width), bool) if own is None else own
        for find in finders.values():
            used = used & ~find(frame.path, frame.width, frame.height)
        write_mask(path, used)
    if used.mean() < config.min_used:
        who = " and ".join([*finders, *([] if own is None else ["its mask"])])
        return _covered(frame, used, f"{who} {'leaves' if who == 'what stands still' else 'leave'}")
    return frame if used.all() else replace(frame, mask=path)


def _widened(people: Bool, margin_share: float) -> Bool:
    """People with a margin, a share of the longer side: outlines are rough, and hair and shadows belong to them."""
    margin = round(margin_share * max(people.shape))
    if not (margin and people.any()):
        return people
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return np.asarray(cv2.dilate(people.astype(np.uint8), disc) > 0)


def _own_mask(frame: Frame) -> Bool | None:
    return None if frame.mask is None else read_mask(frame.mask, frame.width, frame.height)


def _sought(frames: Sequence[Frame], config: MaskConfig) -> str:
    """What is looked for, and among what: people in each frame by itself, what stands still by all of them."""
    parts = [repr((config.people_model, config.people_margin))] if config.people else []
    if config.still:
        parts += [repr(config.stillness), *(frame.fingerprint for frame in frames)]
    return "\n".join(parts)


def _key(frame: Frame, own: Bool | None, sought: str) -> str:
    """A name for the mask of a frame that changes with everything that the mask depends on."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update("\n".join((str(STAGE_VERSIONS["mask"]), frame.fingerprint, sought)).encode())
    digest.update(b"" if own is None else np.packbits(own).tobytes())
    return digest.hexdigest()


def _unusable(frame: Frame, error: UnreadableImageError) -> Dropped:
    own = error.path == frame.path
    return Dropped(frame.name, error.reason if own else f"its mask {error.path.name}: {error.reason}")


def _covered(frame: Frame, used: Bool, who: str) -> Dropped:
    left = f"{100 * used.mean():.1g} %" if used.any() else "nothing"
    return Dropped(frame.name, f"{who} {left} of it")


def _too_few(frames: FrameSet, dropped: Sequence[Dropped]) -> str:
    """The one line for frames of which their masks leave no two."""
    first = dropped[0]
    return (
        f"{len(dropped)} of {len(frames)} frames cannot be used with their masks ({first.frame}: {first.reason}); "
        "white is used and black is ignored: correct the masks or leave the option out"
    )
