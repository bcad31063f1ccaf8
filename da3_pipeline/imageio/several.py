"""Files that hold several pictures, of which the first is taken: pages of a TIFF, animations."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PIL import Image

__all__ = ["said_of_several"]


def said_of_several(path: Path, container: str) -> tuple[str, ...]:
    """A clause for a file of more pictures than the one that is read; empty for one, with previews or without.

    Pages of another size are overviews and previews. HEIF and MPO keep bursts, depth and brighter copies beside their
    picture, which nobody gave as pictures.
    """
    if container not in ("PNG", "TIFF", "WEBP"):
        return ()
    with contextlib.suppress(Exception), Image.open(path, formats=[container]) as image:  # told by whoever decodes it
        count, size = getattr(image, "n_frames", 1), image.size
        if count > 1:
            image.seek(1)
            kind = "pages" if container == "TIFF" else "pictures of an animation"
            return (f"the first of {count} {kind}",) if image.size == size else ()
    return ()
