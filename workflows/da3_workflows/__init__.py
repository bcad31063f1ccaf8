"""Whole sessions, many at a time: the batch, and what runs its captures."""

from .batch import Batch, run_batch
from .executors import LocalExecutor
from .records import BatchSummary, CaptureRecord
from .tasks import Executor
from .watch import watch

__all__ = ["Batch", "BatchSummary", "CaptureRecord", "Executor", "LocalExecutor", "run_batch", "watch"]
