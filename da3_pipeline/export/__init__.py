"""Export: from a scene to a data set that trainers read, and a report that people read."""

from .config import ExportConfig
from .report import write_report
from .stage import run

__all__ = ["ExportConfig", "run", "write_report"]
