"""What a batch is told by files (masks, cameras, poses, rigs, fisheye pairs, predictions), for each capture its own."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

__all__ = ["settings_of_capture"]

_BY_CAPTURE = {"ingest": ("intrinsics", "poses", "rig", "masks", "dual_fisheye"), "infer": ("predictions",)}


def settings_of_capture(settings: Mapping[str, Any], capture: str) -> Mapping[str, Any]:
    """The settings for `capture`: a folder that holds an entry of its name stands for that entry.

    The entry is CAPTURE itself (a folder) or CAPTURE.json, .npz, .png and so on (a file). What is no folder, or has no
    such entry, is every capture's: one calibrated camera, one mask of a tripod. Without any, `settings` themselves: of
    a thousand captures each would hold 20 kB.
    """
    given = {
        (stage, name): settings[stage][name]
        for stage, names in _BY_CAPTURE.items()
        for name in names
        if settings.get(stage, {}).get(name) is not None
    }
    if not given:
        return settings
    own = deepcopy(dict(settings))
    for (stage, name), path in given.items():
        own[stage][name] = str(_entry(Path(path), capture))
    return own


def _entry(given: Path, capture: str) -> Path:
    if not given.is_dir():
        return given
    if (given / capture).exists():
        return given / capture
    stems = {capture, Path(capture).stem}
    named = [path for path in sorted(given.iterdir()) if path.is_file() and path.stem in stems]
    return named[0] if len(named) == 1 else given
