"""JSON that every reader takes: numbers that are not finite become null, never NaN or Infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["finite", "strict_json"]


def strict_json(value: Any, indent: int | None = None) -> str:
    """`value` as JSON (RFC 8259), its text as it is, whatever else it holds as text."""
    return json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False, default=str)


def finite(value: Any) -> Any:
    """Plain JSON values all the way down; numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if getattr(value, "shape", None) == ():  # a scalar of numpy, which is not imported to be asked
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
