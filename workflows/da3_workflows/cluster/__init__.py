"""Captures on machines of several kinds: what runs where, and Ray, which runs it."""

from .executor import RayExecutor

__all__ = ["RayExecutor"]
