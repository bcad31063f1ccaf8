"""The console scripts `ns-process-da3` and `ns-process-data-da3`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Union

from da3_pipeline.errors import MissingExtraError, PipelineError

from .version import check_nerfstudio

__all__ = ["process", "process_data"]

EXIT_BAD_INPUT = 2


def process() -> None:
    """`ns-process-da3 {images,video,polycam,record3d}`: our own commands."""
    _guarded(_ours)


def process_data() -> None:
    """`ns-process-data-da3`: nerfstudio's `ns-process-data` with a sub-command `da3`."""
    _guarded(_theirs_with_ours)


def _ours() -> None:
    import tyro

    from .converters import Da3Images, Da3Polycam, Da3Record3D, Da3Video

    commands: Any = Union[  # noqa: UP007 - built at run time, for tyro
        Annotated[Da3Images, tyro.conf.subcommand(name="images")],
        Annotated[Da3Video, tyro.conf.subcommand(name="video")],
        Annotated[Da3Polycam, tyro.conf.subcommand(name="polycam")],
        Annotated[Da3Record3D, tyro.conf.subcommand(name="record3d")],
    ]
    tyro.extras.set_accent_color("bright_yellow")
    tyro.cli(commands).main()


def _theirs_with_ours() -> None:
    import tyro
    from nerfstudio.scripts import process_data as theirs

    from .converters import Da3

    ours = Annotated[Da3, tyro.conf.subcommand(name="da3")]
    theirs.Commands = Union[theirs.Commands, ours]  # noqa: UP007 - read when their entry point runs
    theirs.entrypoint()


def _guarded(command: Callable[[], None]) -> None:
    """Every expected failure becomes one line on stderr and exit code 2."""
    try:
        check_nerfstudio("processing for nerfstudio")
        try:
            command()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("nerfstudio", "tyro"):
                raise
            raise MissingExtraError("processing for nerfstudio", "nerfstudio") from error
    except PipelineError as error:
        sys.stderr.write(f"\nerror: {' '.join(str(error).split())}\n")
        sys.exit(EXIT_BAD_INPUT)
