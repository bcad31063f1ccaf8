"""Which network `auto` is: the best that a machine can have, and may be used for anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import WeightsError
from ..variants import licence_notice, variant
from .hub import HubError, size_on_hub
from .sources import fetch_checkpoint, local_checkpoint

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
            fetch_checkpoint(best, answered=True)
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
    repository = variant(name).hub_repo
    try:
        return None if repository is None else size_on_hub(repository, _PROBE_S)
    except HubError:
        return None
