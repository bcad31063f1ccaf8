"""Whole sessions, many at a time: the batch, and what runs its captures."""

from .batch import run_batch
from .executors import LocalExecutor
from .records import BatchSummary, CaptureRecord
from .tasks import Executor

__all__ = ["BatchSummary", "CaptureRecord", "Executor", "LocalExecutor", "run_batch"]
