"""Which nerfstudio the plugin works with."""

from __future__ import annotations

from importlib import metadata

from da3_pipeline.errors import MissingExtraError, UsageError

__all__ = ["LEAST", "check_nerfstudio"]

LEAST = (1, 1)
"""Splatfacto on gsplat's strategies, and entry points for data parsers and methods as the plugin uses them."""


def check_nerfstudio(feature: str) -> None:
    """Raises MissingExtraError without nerfstudio, UsageError with one that is too old."""
    try:
        version = metadata.version("nerfstudio")
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError(feature, "nerfstudio") from error
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < LEAST:
        raise UsageError(f"nerfstudio {version} is too old for {feature}: pip install 'nerfstudio==1.1.5'")
