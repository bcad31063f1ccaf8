"""A command that takes the options of `capture_options` as the configuration that they are."""

from __future__ import annotations

import contextlib
import inspect
import signal
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, get_type_hints

import typer

from .assembled import settings_of
from .options import capture_options, configuration

__all__ = ["configured"]


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, whose parameter `config` becomes the options of `capture_options`, for typer to read."""
    shared = _parameters(capture_options)
    own = _parameters(command)
    own.pop("config")

    @wraps(command)
    def with_options(context: typer.Context, **values: Any) -> None:
        options = {name: values.pop(name) for name in shared}
        given = {name for name in options if _is_given(context, name)}
        with _signals_held():
            config = configuration(settings_of(options, given))
        command(config=config, **values)

    parameters = sorted([*shared.values(), *own.values()], key=lambda one: one.default is not inspect.Parameter.empty)
    first = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    with_options.__signature__ = inspect.Signature([first, *parameters])  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in [first, *parameters]}
    return with_options


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """The import of COLMAP sets an answer of its own to SIGTERM, a native stack: signals wait, and come to ours."""
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """By name, their annotations evaluated, all to be given by name."""
    later = {"PipelineConfig": object}  # imported when it is needed, so that help comes at once
    hints = get_type_hints(function, {**function.__globals__, **later}, include_extras=True)
    return {
        name: one.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, one in inspect.signature(function).parameters.items()
    }
