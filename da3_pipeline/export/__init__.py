"""The fifth stage: a data set that trainers read, and a report that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import ExportConfig

if TYPE_CHECKING:
    from .report.document import write_report
    from .stage import run

__all__ = ["ExportConfig", "run", "write_report"]

__getattr__ = lazy_names(__name__, {"run": "stage", "write_report": "report.document"})
