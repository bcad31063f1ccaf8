"""python -m da3_pipeline.training student --preset nano --folder runs/nano"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .config import PRESETS, preset
from .student import train

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def main() -> None:
    """Train networks of the Depth Anything 3 family on synthetic scenes."""


@app.command()
def student(
    folder: Annotated[Path, typer.Option(help="Checkpoint and log go here; a run found here is continued.")],
    name: Annotated[str, typer.Option("--preset", help=f"One of {', '.join(sorted(PRESETS))}.")] = "nano",
    seed: Annotated[int, typer.Option(help="Seed of weights, scenes and schedule.")] = 0,
) -> None:
    """Train a student; run the same command again to resume."""
    train(preset(name).model_copy(update={"seed": seed}), folder)


if __name__ == "__main__":
    app()
