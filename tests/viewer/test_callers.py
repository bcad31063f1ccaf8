"""Whom the viewer answers: its own page, and no other site's, whatever name leads a browser here."""

from __future__ import annotations

import importlib.util
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from da3_pipeline.errors import UsageError
from da3_pipeline.viewer import serve
from da3_pipeline.viewer.callers import Callers

needs_viser = pytest.mark.skipif(
    importlib.util.find_spec("viser") is None, reason="viser is not installed: pip install 'da3-pipeline[viewer]'"
)


class Asked:
    """The headers of a request, as websockets gives them."""

    def __init__(self, host: str | None, origin: str | None) -> None:
        self._values = {"Host": host, "Origin": origin}

    def get_all(self, key: str) -> Sequence[str]:
        value = self._values[key]
        return [] if value is None else value.split("|")


def answers(listening: str, host: str | None, origin: str | None = None, path: str = "/") -> bool:
    return Callers(listening).refusal(path, Asked(host, origin)) is None


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080", "[::1]:8080", "localhost"])
def test_its_own_page_is_answered(host: str) -> None:
    assert answers("127.0.0.1", host) and answers("127.0.0.1", host, f"http://{host}")


def test_a_forwarded_port_is_answered() -> None:
    assert answers("127.0.0.1", "localhost:9000", "http://localhost:9000")


@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example:8080", "127.0.0.1.evil.example", "localhost:8080|evil.example", "192.168.1.7:8080",
     "127.0.0.1:8080@evil.example", "[::1", "localhost:", "0x7f.1"],
)  # fmt: skip
def test_a_name_that_is_not_its_own_is_refused(host: str | None) -> None:
    assert not answers("127.0.0.1", host)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://localhost:8080", "http://localhost:3000", "http://localhost:8080|null",
     "http://localhost:8080.evil.example", ""],
)  # fmt: skip
def test_another_site_is_refused(origin: str) -> None:
    assert not answers("127.0.0.1", "localhost:8080", origin)


def test_a_viewer_for_the_network_answers_addresses_and_the_name_of_this_machine() -> None:
    assert answers("0.0.0.0", "192.168.1.7:8080") and answers("::", "[fe80::1]:8080")
    assert answers("0.0.0.0", f"{socket.gethostname()}:8080")
    assert not answers("0.0.0.0", "evil.example:8080")
    assert answers("192.168.1.7", "192.168.1.7:8080") and not answers("192.168.1.7", "192.168.1.8:8080")


@pytest.mark.parametrize("path", ["/../etc/passwd", "/a/../../b", "/%2e%2e/etc/passwd", "/..\\b", "/%2e%2E%2fb", "/.."])
def test_nothing_above_the_page_is_sent(path: str) -> None:
    assert not answers("127.0.0.1", "localhost:8080", path=path)
    assert answers("127.0.0.1", "localhost:8080", path="/assets/index..js?of=../x")


WEBSOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: viser-v1\r\n"
)


def status(port: int, path: str, host: str, more: str = "") -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        return int(connection.recv(64).split()[1])


@needs_viser
def test_the_running_server_keeps_to_them(session: Path, free_port: int) -> None:
    """For pages and websockets, on whichever viser is installed; 0.2.7 itself sends /../../etc/passwd."""
    own, evil = f"127.0.0.1:{free_port}", "evil.example"
    viewer = serve(session, port=free_port)
    try:
        assert status(free_port, "/", own) == 200
        assert status(free_port, "/", evil) == 403
        assert status(free_port, f"/{'../' * 20}etc/passwd", own) == 403
        assert status(free_port, "/", own, WEBSOCKET + f"Origin: http://{own}\r\n") == 101
        assert status(free_port, "/", own, WEBSOCKET + f"Origin: http://{evil}\r\n") == 403
        assert status(free_port, "/", evil, WEBSOCKET + f"Origin: http://{evil}\r\n") == 403
    finally:
        viewer.stop()


@needs_viser
def test_a_viser_that_cannot_be_guarded_does_not_serve(
    session: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from viser.infra import _infra

    websockets = _infra.websockets
    legacy = hasattr(_infra, "WebSocketServerProtocol")
    serve_as_it_is = websockets.server.serve if legacy else websockets.asyncio.server.serve

    class Elsewhere:
        """websockets under another name, as a later viser may have it."""

        server = asyncio = property(lambda self: self)
        serve = staticmethod(serve_as_it_is)
        exceptions, datastructures = websockets.exceptions, websockets.datastructures

    monkeypatch.setattr(_infra, "websockets", Elsewhere())
    with pytest.raises(UsageError, match="install viser"):
        serve(session, port=free_port)
    assert any(ends(free_port) for _ in range(50))


def ends(port: int) -> bool:
    """Whether nobody listens there any more: viser 0.2.7 stops a moment after it was told to."""
    with socket.socket() as probe:
        probe.settimeout(2)
        refused = probe.connect_ex(("127.0.0.1", port)) != 0
    if not refused:
        time.sleep(0.1)
    return refused
