"""`da3-pipeline models`: the networks, what may be done with them, and their weights on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..config import PipelineConfig

__all__ = ["models", "show_licence"]

_BYTES_PER_PARAMETER = 4  # as the weights are published


def models(
    fetch: Annotated[str | None, typer.Option(metavar="NAME", help="Get the weights of this network now.")] = None,
) -> None:
    """List the networks: size, licence, and whether the weights are on this machine; or fetch one."""
    import torch

    from ..model import VARIANTS, build, licence_notice, local_checkpoint
    from ..model.checkpoints.sources import fetch_checkpoint
    from ..model.variants import variant

    if fetch is not None:
        if variant(fetch).hub_repo and local_checkpoint(fetch) is None:
            typer.echo(licence_notice(fetch), err=True)
        typer.echo(fetch_checkpoint(fetch))
        return
    typer.echo(f"{'name':<28}{'parameters':>12}  {'licence':<14}{'commercial use':<16}weights")
    for name, entry in VARIANTS.items():
        with torch.device("meta"):
            size = sum(weight.numel() for weight in build(entry.config).parameters())
        commercial = "yes" if entry.commercial else "no"
        where = f"{_BYTES_PER_PARAMETER * size / 1e6:.0f} MB from https://huggingface.co/{entry.hub_repo}"
        if entry.hub_repo is None:
            where = "built in"
        elif (path := local_checkpoint(name)) is not None:
            where = f"here: {path}"
        typer.echo(f"{name:<28}{f'{size / 1e6:.1f} M':>12}  {entry.licence:<14}{commercial:<16}{where}")


def show_licence(config: PipelineConfig) -> None:
    """Weights that are fetched come with terms; the user reads them before the first byte arrives. `auto` says them."""
    from ..infer.config import AUTO

    model = config.infer.model
    if model == AUTO or config.infer.predictions is not None:
        return
    from ..model import VARIANTS, licence_notice, local_checkpoint

    if model in VARIANTS and local_checkpoint(model) is None:
        typer.echo(licence_notice(model), err=True)
