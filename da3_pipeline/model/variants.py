"""The registry: every network that has a name, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import UsageError
from .config import ModelConfig

__all__ = ["VARIANTS", "Variant", "licence_notice", "variant", "with_gaussian_head"]


@dataclass(frozen=True)
class Variant:
    """A named network: its structure, where its weights live, and what one may do with them.

    hub_repo is None for the network that ships inside this package.
    licence is the SPDX identifier of the *weights*; commercial says whether it allows commercial use.
    """

    name: str
    config: ModelConfig
    hub_repo: str | None
    licence: str
    commercial: bool


_NANO = ModelConfig(128, 10, 2, (3, 5, 7, 9), 16, (16, 24, 32, 48))
_SMALL = ModelConfig(384, 12, 4, (5, 7, 9, 11), 64, (48, 96, 192, 384))
_BASE = ModelConfig(768, 12, 4, (5, 7, 9, 11), 128, (96, 192, 384, 768))
_LARGE = ModelConfig(1024, 24, 8, (11, 15, 19, 23), 256, (256, 512, 1024, 1024))
_GIANT = ModelConfig(1536, 40, 13, (19, 27, 33, 39), 256, (256, 512, 1024, 1024), "swiglu", gaussian_head=True)
_MONOCULAR = ModelConfig(1024, 24, 24, (4, 11, 17, 23), 256, (256, 512, 1024, 1024))
_NESTED = replace(_GIANT, metric=_MONOCULAR)

_APACHE = ("Apache-2.0", True)
_NON_COMMERCIAL = ("CC-BY-NC-4.0", False)

VARIANTS: dict[str, Variant] = {
    entry.name: entry
    for entry in (
        Variant("da3-nano", _NANO, None, *_APACHE),
        Variant("da3-small", _SMALL, "depth-anything/DA3-SMALL", *_APACHE),
        Variant("da3-base", _BASE, "depth-anything/DA3-BASE", *_APACHE),
        Variant("da3-large", _LARGE, "depth-anything/DA3-LARGE", *_NON_COMMERCIAL),
        Variant("da3-large-1.1", _LARGE, "depth-anything/DA3-LARGE-1.1", *_NON_COMMERCIAL),
        Variant("da3-giant", _GIANT, "depth-anything/DA3-GIANT", *_NON_COMMERCIAL),
        Variant("da3-giant-1.1", _GIANT, "depth-anything/DA3-GIANT-1.1", *_NON_COMMERCIAL),
        Variant("da3mono-large", _MONOCULAR, "depth-anything/DA3MONO-LARGE", *_APACHE),
        Variant("da3metric-large", _MONOCULAR, "depth-anything/DA3METRIC-LARGE", *_APACHE),
        Variant("da3nested-giant-large", _NESTED, "depth-anything/DA3NESTED-GIANT-LARGE", *_NON_COMMERCIAL),
        Variant("da3nested-giant-large-1.1", _NESTED, "depth-anything/DA3NESTED-GIANT-LARGE-1.1", *_NON_COMMERCIAL),
    )
}


def variant(name: str) -> Variant:
    """The registry entry called `name`. Raises UsageError that lists the known names."""
    if name not in VARIANTS:
        raise UsageError(f"no model is called {name!r}; known: {', '.join(VARIANTS)}")
    return VARIANTS[name]


def with_gaussian_head() -> tuple[str, ...]:
    """The names of the networks that predict Gaussians."""
    return tuple(name for name, entry in VARIANTS.items() if entry.config.gaussian_head)


def licence_notice(name: str) -> str:
    """One line for the user to read before the weights of `name` are first used."""
    entry = variant(name)
    source = f"https://huggingface.co/{entry.hub_repo}" if entry.hub_repo else "part of this package"
    use = "commercial use allowed" if entry.commercial else "NON-COMMERCIAL USE ONLY"
    return f"{name}: weights under {entry.licence} ({use}), {source}"
