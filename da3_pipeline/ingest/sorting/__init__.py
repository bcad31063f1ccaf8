"""What of the files that were found are photographs: by layout, by content and by what lies beside."""

from __future__ import annotations

from .doubles import without_doubles
from .sorting import Sorted, sort_out
from .table import RULES, Rule

__all__ = ["RULES", "Rule", "Sorted", "sort_out", "without_doubles"]
