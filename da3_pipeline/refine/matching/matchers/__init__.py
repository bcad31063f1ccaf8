"""What finds keypoints and pairs them, behind one protocol: SIFT, and learned matchers from packages of their own."""

from .protocol import Matcher
from .registry import escalation_matcher, make_matcher

__all__ = ["Matcher", "escalation_matcher", "make_matcher"]
