"""Whole sessions, many at a time: the batch, and what runs its captures."""

from .batch import run_batch
from .executors import Executor, LocalExecutor
from .records import BatchSummary, CaptureRecord

__all__ = ["BatchSummary", "CaptureRecord", "Executor", "LocalExecutor", "run_batch"]
