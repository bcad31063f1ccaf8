"""The rules applied to a listing, and what they leave out said in as few lines as there are folders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ...types import Dropped
from ..names import natural_key
from ..scan import FoundFile, Listing
from .contents import Contents
from .remaining import Remaining
from .table import RULES, Rule

__all__ = ["Sorted", "sort_out"]

_MASK_NOT_USED = "a mask of {of}, not used: --masks says otherwise"
_FOLDER_FROM = 4  # files of one folder, left out for one reason, are told by the folder


@dataclass(frozen=True)
class Sorted:
    """The photographs and videos of a capture, what is neither, and the masks found beside, by photograph's name."""

    listing: Listing
    masks: Mapping[str, Path]


def sort_out(listing: Listing, use_masks: bool = True, rules: Sequence[Rule] = RULES) -> Sorted:
    """Leave out what is no photograph, with the reason; a listing without photographs beside such files stays whole.

    use_masks: False where masks were named, or refused: those found beside are left out all the same.
    """
    left = Remaining(listing.files, Contents(), listing.meshes)
    reasons: list[tuple[FoundFile, Rule, str]] = []
    masks: dict[str, Path] = {}
    for rule in rules:
        found = rule.recognises(left)
        reasons += [(file, rule, of) for file, of in found.items()]
        if rule.is_mask and use_masks:
            masks |= {of: file.path.absolute() for file, of in found.items()}
        left = left.without(found.keys())
    dropped = sorted([*listing.dropped, *_told(listing, reasons, use_masks)], key=lambda one: natural_key(one.frame))
    return Sorted(replace(listing, files=tuple(left.files), dropped=tuple(dropped)), masks)


def _told(listing: Listing, reasons: Sequence[tuple[FoundFile, Rule, str]], use_masks: bool) -> list[Dropped]:
    """One entry a file, or one a folder, where all of it goes for one reason."""
    held = Counter(_folder(file.name) for file in listing.files)
    together: dict[tuple[str, str], list[tuple[FoundFile, str]]] = defaultdict(list)
    for file, rule, of in reasons:
        sentence = rule.sentence if use_masks or not rule.is_mask else _MASK_NOT_USED
        together[_folder(file.name), sentence].append((file, of))
    told: list[Dropped] = []
    for (folder, sentence), entries in together.items():
        if folder and len(entries) == held[folder] and len(entries) >= _FOLDER_FROM:
            others = {_folder(of) for _, of in entries}
            of = f"{others.pop() or '.'}/" if len(others) == 1 else "other folders"
            told.append(Dropped(f"{folder}/", f"{len(entries)} files: {sentence.format(of=of)}"))
        else:
            told += [Dropped(file.name, sentence.format(of=of)) for file, of in entries]
    return told


def _folder(name: str) -> str:
    folder = str(PurePosixPath(name).parent)
    return "" if folder == "." else folder
