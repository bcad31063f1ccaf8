"""What a session is called, after its capture: names of captures are anything that a file system allows."""

from __future__ import annotations

import os
from collections.abc import Collection

from da3_pipeline.files.fingerprint import fingerprint

__all__ = ["session_name"]

_LONGEST_BYTES = 200
"""Of 255 that file systems allow, so that there is room for what is added: `.log`, `_2` of a second place."""


def session_name(capture: str, reserved: Collection[str]) -> str:
    """The capture's own name; cut, and told apart by digits, where it is too long or `reserved`."""
    if len(os.fsencode(capture)) <= _LONGEST_BYTES and capture.casefold() not in reserved:
        return capture
    digits = fingerprint(os.fsencode(capture).hex())[:8]
    kept = os.fsencode(capture)[: _LONGEST_BYTES - 9]
    return f"{kept.decode('utf-8', 'ignore') or 'capture'}-{digits}"
