"""From a capture to a data set that a Gaussian-splatting trainer loads and learns from.

>>> from pathlib import Path
>>> import da3_pipeline
>>> scene = da3_pipeline.reconstruct(Path("photos"))  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .config import PipelineConfig
    from .pipeline import Outcome, reconstruct, run

__all__ = ["Outcome", "PipelineConfig", "__version__", "reconstruct", "run"]

_HOMES = {"Outcome": "pipeline", "PipelineConfig": "config", "reconstruct": "pipeline", "run": "pipeline"}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `import da3_pipeline` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
