"""Our learned keypoints and matches in COLMAP's database, where it verifies them as its own.

COLMAP's Python package cannot run ALIKED and LightGlue: asked for them, it ends the process.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap

from ...imageio import read_mask, read_rgb
from ...refine import RefineConfig
from ...refine.matching.matchers import make_matcher

__all__ = ["import_matches"]


def import_matches(database: Path, images: Path, matcher: str, matching: str, masks: Path | None = None) -> None:
    """Write keypoints of all images of the database and verified matches of the pairs that `matching` proposes.

    The images must be in the database already. masks: NAME.jpg.png as for COLMAP. Raises MissingExtraError where the
    matcher's package is not installed.
    """
    learned = make_matcher(RefineConfig.model_validate({"matcher": matcher}))
    features, sizes = {}, {}
    with pycolmap.Database.open(database) as file:
        entries = sorted(file.read_all_images(), key=lambda entry: entry.name)
        for entry in entries:
            rgb = read_rgb(images / entry.name)
            height, width = rgb.shape[:2]
            mask = masks / f"{entry.name}.png" if masks else None
            used = read_mask(mask, width, height) if mask is not None and mask.exists() else None
            features[entry.image_id] = learned.detect(rgb, used)
            sizes[entry.image_id] = (width, height)
            file.write_keypoints(entry.image_id, features[entry.image_id].xy)
        name_of = {entry.image_id: entry.name for entry in entries}
        listed = []
        for first, second in _pairs(file, matching):
            matches = learned.match(features[first], features[second], (sizes[first], sizes[second]))
            if len(matches):
                file.write_matches(first, second, matches.astype(np.uint32))
                listed.append(f"{name_of[first]} {name_of[second]}")
    pairs = database.with_name("pairs.txt")
    pairs.write_text("\n".join(listed) + "\n", encoding="utf-8")
    pycolmap.verify_matches(database, pairs)


def _pairs(file: pycolmap.Database, matching: str) -> list[tuple[int, int]]:
    """The pairs that COLMAP's own matching of this name would try."""
    if matching == "exhaustive":
        return list(pycolmap.ExhaustivePairGenerator(pycolmap.ExhaustivePairingOptions(), file).all_pairs())
    return list(pycolmap.SequentialPairGenerator(pycolmap.SequentialPairingOptions(), file).all_pairs())
