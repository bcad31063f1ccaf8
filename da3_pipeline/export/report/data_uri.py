"""A picture as text that stands in a page."""

from __future__ import annotations

import base64
import io

from PIL import Image

from ...arrays import Bytes

__all__ = ["data_uri"]


def data_uri(image: Bytes, quality: int = 82) -> str:
    """(H, W, 3) RGB as a JPEG in a `data:` URI."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
