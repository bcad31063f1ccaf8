"""What is found beside photographs and is none: the table of rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..scan import FoundFile
from . import copies, maps, masks, textures
from .remaining import Remaining

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """One kind of file that is left out.

    recognises: of the files that the rules above left, those of the kind, each with the name of what it goes with. A
    name alone is never enough: a partner, or content, must speak for it, so that photographs that are oddly called
    stay. sentence: why, with {of} for that name. is_mask: what is recognised is used as the mask of what it goes with.
    """

    name: str
    recognises: Callable[[Remaining], Mapping[FoundFile, str]]
    sentence: str
    is_mask: bool = False


RULES = (
    Rule("texture", textures.textures, "a texture of {of}"),
    Rule("confidence", maps.confidence_maps, "confidence that goes with {of}"),
    Rule("depth", maps.depth_maps, "depth that goes with {of}"),
    Rule("normals", maps.normal_maps, "normals that go with {of}"),
    Rule("mask", masks.masks, "used as the mask of {of}: white is used, black is ignored", is_mask=True),
    Rule("video mask", masks.video_masks, "masks of {of}: used where --masks names them"),
    Rule("label map", masks.label_maps, "labels of {of}, no mask: of another shape, or of more values than two"),
    Rule("lone mask", masks.lone_masks, "a mask of no single photograph: used where --masks names it"),
    Rule("unnamed map", maps.unnamed_maps, "one channel of 16 bits, such as depth, that goes with {of}"),
    Rule("thumbnail", copies.thumbnails, "a smaller copy of {of}"),
    Rule("reduced copy", copies.reduced_copies, "a smaller copy of {of}, as trainers make them"),
    Rule("input", copies.inputs, "the same view as {of}, before it was undistorted"),
    Rule("undistorted copy", copies.undistorted_copies, "an undistorted copy of {of}"),
    Rule("edited copy", copies.edited_copies, "an edited copy of {of}"),
    Rule("raw", copies.raws, "the raw form of {of}"),
    Rule("other format", copies.other_formats, "the same shot as {of}, in another format"),
    Rule("preview", copies.previews, "a preview of the capture, of another size than its photographs"),
)
"""In the order of application: what is recognised is nobody's partner below."""
