"""Matchers by name."""

from __future__ import annotations

import warnings

from ....errors import MissingExtraError
from ...config import RefineConfig
from ..descriptors import matching_device
from .protocol import Matcher
from .sift import SiftMatcher

__all__ = ["LABELS", "escalation_matcher", "make_matcher"]

LABELS = {"aliked": "ALIKED+LightGlue", "disk": "DISK+LightGlue", "xfeat": "XFeat+LighterGlue"}
"""What reports call learned matchers."""

_ESCALATES_TO = "aliked"  # of three the most exact on pairs that SIFT leaves weak (docs/MATCHERS.md)


def make_matcher(config: RefineConfig) -> Matcher:
    """The matcher that `config.matcher` names, on `config.device`; SIFT for `auto`, which begins with it.

    Raises MissingExtraError for a learned one whose package is not installed.
    """
    device = matching_device(config.device)
    if config.matcher in ("auto", "sift"):
        return SiftMatcher(config.features, config.matching, device)
    from . import learned

    with warnings.catch_warnings():  # of packages that load pickles and use what torch deprecates
        warnings.simplefilter("ignore")
        return getattr(learned, config.matcher)(config.features, device)


def escalation_matcher(config: RefineConfig) -> tuple[str, Matcher] | None:
    """What `auto` hands weak frames to, under the name that reports use; None where its package is not installed."""
    try:
        return LABELS[_ESCALATES_TO], make_matcher(config.model_copy(update={"matcher": _ESCALATES_TO}))
    except MissingExtraError:
        return None
