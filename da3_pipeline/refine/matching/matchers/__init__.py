"""What finds keypoints and pairs them, behind one protocol: SIFT, and learned matchers from packages of their own."""

from .protocol import Matcher
from .registry import make_matcher

__all__ = ["Matcher", "make_matcher"]
