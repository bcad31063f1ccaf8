"""The Hugging Face hub: asked within a limit, then fetched from.

Its client waits ten seconds for each of several answers, tries again five times and speaks of each of them; behind a
wall that drops packets, and where names are not resolved, that is a minute and a page before one word of use.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import ModuleType

__all__ = ["WEIGHTS_FILE", "HubError", "fetch", "hub_client", "size_on_hub"]

WEIGHTS_FILE = "model.safetensors"


class HubError(Exception):
    """The hub, or the way there, has no such file for us: why, as a clause of one line."""


def hub_client() -> ModuleType:
    """The client. In a notebook without ipywidgets it warns, when it is loaded, of bars that it will draw as text."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")
        import huggingface_hub.file_download
    return huggingface_hub


def size_on_hub(repository: str, within_s: float) -> int | None:
    """Bytes of the weights in a repository; None where the hub does not say.

    Raises HubError where there is no answer within that time, all redirections and the name server included, or a no.
    """
    client = hub_client()

    # The client reads it once, as it is loaded.
    if client.constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise HubError("HF_HUB_OFFLINE forbids it")

    answers: SimpleQueue[int | Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            url = client.hf_hub_url(repository, WEIGHTS_FILE)
            # Its limit is one of several, each for a part of the way: ours, of all of it, is to come first.
            answers.put(client.get_hf_file_metadata(url, timeout=2 * within_s).size)
        except Exception as error:  # of several network libraries, which have no common base
            answers.put(error)

    # A thread, since looking a name up is bounded by no timeout; one that hangs ends with the process.
    Thread(target=ask, name="hub probe", daemon=True).start()
    try:
        answer = answers.get(timeout=within_s)
    except Empty:
        raise HubError(f"the hub does not answer within {within_s:g} s") from None
    if isinstance(answer, Exception):
        raise HubError(_in_a_line(answer)) from answer
    return answer


def fetch(repository: str) -> Path:
    """The weights of a repository, now in the hub's cache. Raises HubError, a minute after a download stalls."""
    try:
        with _without_remarks():
            return Path(hub_client().hf_hub_download(repository, WEIGHTS_FILE))
    except Exception as error:  # as above
        raise HubError(_in_a_line(error)) from error


def _in_a_line(error: Exception) -> str:
    said = str(error).strip()
    return said.splitlines()[0].strip() if said else type(error).__name__


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Each new try is a warning of the client's; what comes of them is said once, by the error."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
