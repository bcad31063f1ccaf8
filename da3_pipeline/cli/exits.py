"""The exit codes of the command: docs/OPERATIONS.md says what each means to a program that calls it."""

from __future__ import annotations

import errno

from ..errors import PipelineError

__all__ = ["EXIT_BAD_INPUT", "EXIT_BELOW_GATES", "EXIT_FAULT", "EXIT_INTERRUPTED", "exit_code", "is_mendable"]

EXIT_FAULT, EXIT_BAD_INPUT, EXIT_BELOW_GATES, EXIT_INTERRUPTED = 1, 2, 3, 130
_MENDABLE = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT)


def exit_code(error: BaseException) -> int:
    """With which the command ends by an error. What is no Exception is an interruption."""
    if isinstance(error, PipelineError) or is_mendable(error):
        return EXIT_BAD_INPUT
    return EXIT_FAULT if isinstance(error, Exception) else EXIT_INTERRUPTED


def is_mendable(error: BaseException) -> bool:
    """Whether it is of a disk, and whoever runs the command can help it."""
    return isinstance(error, OSError) and error.errno in _MENDABLE
