"""Whose requests the viewer answers: those of its own page, asked for by an address or name that is the viewer's.

A web page that somebody has open elsewhere can reach a server of this machine: by a name of its own that it lets point
here (DNS rebinding; the Host tells), or by a websocket, which browsers open across origins (the Origin tells). viser
looks at neither, and its version 0.2.7 sends any file of the machine to who asks for /../.. of it.
"""

from __future__ import annotations

import http
import importlib
import ipaddress
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote

__all__ = ["Callers", "only_for"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?P<port>:[0-9]{1,5})?")
_ANY = ("0.0.0.0", "::")
_patching = threading.Lock()


class Headers(Protocol):
    """Of a request, as every version of websockets has them."""

    def get_all(self, key: str) -> Sequence[str]: ...


class Callers:
    """Those who may ask a viewer that listens at `host`.

    Its Host may be `host` or, as an address that no name server can point elsewhere, localhost; of a viewer that
    listens at every address, any address, or this machine's name. Ports are not compared: they may be forwarded.
    An Origin, where there is one, must be that very Host with its port.
    """

    def __init__(self, host: str) -> None:
        self._everywhere = host in _ANY
        own = {socket.gethostname(), socket.getfqdn(), f"{socket.gethostname()}.local"} if self._everywhere else {host}
        self._names = _LOCAL | {name.lower() for name in own}

    def refusal(self, path: str, headers: Headers) -> str | None:
        """Why a request is not answered, in a sentence; None for one that is."""
        hosts, origins = headers.get_all("Host"), headers.get_all("Origin")
        if len(hosts) != 1 or not self._own(hosts[0]):
            return "This is not the viewer's name: open it by the address that da3-pipeline view has printed."
        if len(origins) > 1 or any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            return "The viewer answers its own page alone, no other site's."
        if ".." in re.split(r"[/\\]", unquote(path.partition("?")[0])):
            return "There is nothing above the viewer's page."
        return None

    def _own(self, authority: str) -> bool:
        found = _AUTHORITY.fullmatch(authority)
        if found is None:
            return False
        name = (found["v6"] or found["name"]).lower()
        return name in self._names or (self._everywhere and _is_address(name))


@contextmanager
def only_for(callers: Callers) -> Iterator[threading.Event]:
    """While a viser server is started here, what it serves is served to `callers` alone; the event says that it is.

    viser hands its own answer to requests to websockets' `serve`, and has no place for another: it is wrapped there.
    """
    from viser.infra import _infra

    legacy = hasattr(_infra, "WebSocketServerProtocol")  # 0.2.7, with what websockets had before its version 14
    module: Any = importlib.import_module("websockets.server" if legacy else "websockets.asyncio.server")
    wrapped, guarded = _legacy if legacy else _current, threading.Event()
    with _patching:
        serve = module.serve

        def guarding(*arguments: Any, process_request: Callable[..., Any] | None = None, **settings: Any) -> Any:
            guarded.set()
            return serve(*arguments, process_request=wrapped(callers, process_request), **settings)

        module.serve = guarding
        try:
            yield guarded
        finally:
            module.serve = serve


def _current(callers: Callers, answer: Callable[..., Any] | None) -> Callable[..., Any]:
    def answering(connection: Any, request: Any) -> Any:
        refusal = callers.refusal(request.path, request.headers)
        if refusal is not None:
            return connection.respond(http.HTTPStatus.FORBIDDEN, refusal + "\n")
        return None if answer is None else answer(connection, request)

    return answering


def _legacy(callers: Callers, answer: Callable[..., Any] | None) -> Callable[..., Any]:
    async def answering(path: str, headers: Any) -> Any:
        refusal = callers.refusal(path, headers)
        if refusal is not None:
            return http.HTTPStatus.FORBIDDEN, {"Content-Type": "text/plain"}, refusal.encode() + b"\n"
        return None if answer is None else await answer(path, headers)

    return answering


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
