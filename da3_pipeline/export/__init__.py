"""The fifth stage: a data set that trainers read, and a report that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names
from .config import ExportConfig

if TYPE_CHECKING:
    from .pictures.reduced import reduced_folders, write_reduced
    from .report.document import write_report
    from .stage import run

__all__ = ["ExportConfig", "reduced_folders", "run", "write_reduced", "write_report"]

__getattr__ = lazy_names(
    __name__,
    {
        "reduced_folders": "pictures.reduced",
        "run": "stage",
        "write_reduced": "pictures.reduced",
        "write_report": "report.document",
    },
)
