"""The exception tree. Every message says what went wrong, in which file or frame, and what to do.

PipelineError                exit code 2 unless stated otherwise
├── UsageError               contradictory or impossible options
│   └── SessionBusyError     another run is at work in the session
├── CaptureError             the input has nothing usable (no such path, empty folder, no readable frame)
├── SelectionError           fewer than two frames are left to work on
├── WeightsError             a checkpoint is missing, corrupt, of another variant, or not safetensors
├── InferenceError           the network cannot run on these frames (memory, non-finite output, bad predictions file)
├── RefinementError          given intrinsics or poses cannot be used
├── ExportError              the output cannot be written (read-only, disk full)
└── MissingExtraError        an optional dependency is not installed; names the extra to install
"""

from __future__ import annotations

__all__ = [
    "CaptureError",
    "ExportError",
    "InferenceError",
    "MissingExtraError",
    "PipelineError",
    "RefinementError",
    "SelectionError",
    "SessionBusyError",
    "UsageError",
    "WeightsError",
]


class PipelineError(Exception):
    """Something the user can mend; the command line prints it as one line and exits with 2."""


class UsageError(PipelineError):
    """Options that contradict each other or cannot be met."""


class SessionBusyError(UsageError):
    """Another run is at work in the session: what it makes can be had when it is done."""


class CaptureError(PipelineError):
    """The capture has nothing usable."""


class SelectionError(PipelineError):
    """Too few frames are left after selection."""


class WeightsError(PipelineError):
    """A checkpoint cannot be used."""


class InferenceError(PipelineError):
    """The network, or a predictions file, gives nothing usable for these frames."""


class RefinementError(PipelineError):
    """Given intrinsics or poses cannot be used for refinement."""


class ExportError(PipelineError):
    """The output folder cannot be written."""


class MissingExtraError(PipelineError):
    """An optional dependency is absent."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'da3-pipeline[{extra}]'")
