"""Bundle adjustment on verified matches: poses good enough to train on, from any prior, and a verdict."""

from .config import RefineConfig
from .refinement import run

__all__ = ["RefineConfig", "run"]
