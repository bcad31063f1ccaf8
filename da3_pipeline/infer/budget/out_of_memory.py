"""Telling an allocation that failed from any other error, on a GPU and on a CPU."""

from __future__ import annotations

__all__ = ["memory_ran_out"]

# How PyTorch's CPU allocator, oneDNN and the C++ library put it; all of them come as a RuntimeError.
_WORDS = ("can't allocate memory", "not enough memory", "could not allocate", "bad allocation", "bad_alloc")
_ONEDNN = ("could not create a memory", "could not create a primitive")
_NOT_SUPPORTED = "could not create a primitive descriptor"  # oneDNN has no code for such a thing, in any memory


def memory_ran_out(error: BaseException) -> bool:
    """Whether `error` says that memory did not suffice: the same work in smaller pieces may succeed."""
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    if not isinstance(error, RuntimeError) or _NOT_SUPPORTED in text:
        return False
    return any(words in text for words in (*_WORDS, *_ONEDNN))
