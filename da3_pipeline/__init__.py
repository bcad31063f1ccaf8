"""From a capture to a data set that a Gaussian-splatting trainer loads and learns from.

>>> from pathlib import Path
>>> import da3_pipeline
>>> scene = da3_pipeline.reconstruct(Path("photos"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .config import PipelineConfig
    from .pipeline import Outcome, reconstruct, run

__all__ = ["Outcome", "PipelineConfig", "__version__", "reconstruct", "run"]

__getattr__ = lazy_names(
    __name__, {"Outcome": "pipeline", "PipelineConfig": "config", "reconstruct": "pipeline", "run": "pipeline"}
)
