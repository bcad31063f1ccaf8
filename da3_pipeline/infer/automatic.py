"""`auto` as the name of a network, once what runs it is known."""

from __future__ import annotations

from ..progress import Progress
from .budget.device import pick_device
from .config import AUTO, InferConfig

__all__ = ["with_network"]


def with_network(config: InferConfig, progress: Progress) -> InferConfig:
    """`config` with a network in place of `auto`; what it became is told as a stage of its own.

    Where no network is asked, or one of few has what is asked for (Gaussians), none is sought: the built-in one stands.
    """
    if config.model != AUTO:
        return config
    from ..model.checkpoints.automatic import BUILT_IN, automatic_network

    if config.predictions is not None or config.gaussians:
        return config.model_copy(update={"model": BUILT_IN})

    def announce(words: str) -> None:
        progress.end(words)
        progress.begin("network")

    progress.begin("network")
    choice = automatic_network(pick_device(config.device).type == "cuda", announce)
    progress.end(f"{choice.name} ({choice.why})")
    return config.model_copy(update={"model": choice.name})
