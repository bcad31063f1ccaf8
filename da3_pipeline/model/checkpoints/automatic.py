"""Which network `auto` is: the best that a machine can have, and may be used for anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from ...errors import WeightsError
from ..variants import licence_notice, variant
from .sources import WEIGHTS_FILE, fetch_checkpoint, local_checkpoint

__all__ = ["BUILT_IN", "AutomaticChoice", "automatic_network", "download_bytes"]

BUILT_IN = "da3-nano"
_ON_GPU = ("da3-base", "da3-small")
"""The best Apache-licensed ones, the first preferred: those above da3-base are not for commercial use."""
_ON_CPU = ("da3-small",)
"""da3-base takes about three times its seconds a view on a CPU."""
_PROBE_S = 1.0
"""How long a machine without a network waits; what is slower than this would take minutes to fetch anyhow."""


@dataclass(frozen=True)
class AutomaticChoice:
    """The network's registered name, and why it is this one, as a clause for the user."""

    name: str
    why: str


def automatic_network(on_gpu: bool, announce: Callable[[str], None]) -> AutomaticChoice:
    """The first of the preferred networks if it is on this machine or can be fetched, which is done here; else another
    that is here, else the built-in one.

    announce: told the network, its size and its licence before the first byte is fetched. Never fails, and waits for
    the hub at most a second before it answers.
    """
    preferred = _ON_GPU if on_gpu else _ON_CPU
    best = preferred[0]
    if local_checkpoint(best) is not None:
        return AutomaticChoice(best, "on this machine")
    size = download_bytes(best)
    why_not = f"{best} is not on this machine, and the hub does not answer"
    if size is not None:
        announce(f"fetching {size / 1e6:.0f} MB, once; {licence_notice(best)}")
        try:
            fetch_checkpoint(best)
            return AutomaticChoice(best, "fetched")
        except WeightsError as error:
            why_not = str(error)
    for other in preferred[1:]:
        if local_checkpoint(other) is not None:
            return AutomaticChoice(other, f"on this machine; {why_not}")
    return AutomaticChoice(BUILT_IN, f"built in; {why_not}")


def download_bytes(name: str) -> int | None:
    """Size of the weights of a registered network on the hub; None where that does not answer within a second.

    HF_HUB_OFFLINE is honoured: then nothing is asked.
    """
    import huggingface_hub
    from huggingface_hub import constants

    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    repository = variant(name).hub_repo
    if offline or constants.HF_HUB_OFFLINE or repository is None:
        return None
    answers: SimpleQueue[int | None] = SimpleQueue()

    def ask() -> None:
        try:
            url = huggingface_hub.hf_hub_url(repository, WEIGHTS_FILE)
            answers.put(huggingface_hub.get_hf_file_metadata(url, timeout=_PROBE_S).size)
        except Exception:  # of several network libraries, which have no common base; all of them mean "not now"
            answers.put(None)

    # A thread, since looking a name up is bounded by no timeout; one that hangs ends with the process.
    Thread(target=ask, name="hub probe", daemon=True).start()
    try:
        return answers.get(timeout=_PROBE_S)
    except Empty:
        return None
