"""Matchers by name."""

from __future__ import annotations

import warnings

from ...config import RefineConfig
from ..descriptors import matching_device
from .protocol import Matcher
from .sift import SiftMatcher

__all__ = ["make_matcher"]


def make_matcher(config: RefineConfig) -> Matcher:
    """The matcher that `config.matcher` names, on `config.device`.

    Raises MissingExtraError for a learned one whose package is not installed.
    """
    device = matching_device(config.device)
    if config.matcher == "sift":
        return SiftMatcher(config.features, config.matching, device)
    from . import learned

    with warnings.catch_warnings():  # of packages that load pickles and use what torch deprecates
        warnings.simplefilter("ignore")
        return getattr(learned, config.matcher)(config.features, device)
