"""Real sockets that take a connection and say nothing, or drop its packets: who asks waits for its limit and no longer.

They answer after all, seconds later: who waited for that would come by other weights.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Timer

import huggingface_hub
import pytest
from huggingface_hub import constants

from da3_pipeline.errors import WeightsError
from da3_pipeline.model.checkpoints import automatic, sources
from da3_pipeline.model.checkpoints.automatic import automatic_network
from da3_pipeline.model.checkpoints.sources import fetch_checkpoint

Run = Callable[..., tuple[int, str, str]]

_LATE_S = 3.0


class _Answer(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(200)
        for name, value in {"X-Repo-Commit": "c0ffee", "ETag": '"1"', "Content-Length": "137000000"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _LateHub(ThreadingHTTPServer):
    """Listens at once. Connections wait in the queue, or are not let in where `full`, until it begins to serve."""

    daemon_threads = True
    allow_reuse_address = True
    serves = False

    def __init__(self, full: bool) -> None:
        self.request_queue_size = 0 if full else 16
        super().__init__(("127.0.0.1", 0), _Answer)
        self.waiting = [self._connection() for _ in range(3 if full else 0)]

    def service_actions(self) -> None:
        self.serves = True

    def _connection(self) -> socket.socket:
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(self.server_address)
        return waiting

    def lets_in(self) -> bool:
        try:
            socket.create_connection(self.server_address[:2], timeout=0.2).close()  # type: ignore[arg-type]
        except TimeoutError:
            return False
        return True


@pytest.fixture(params=["silent", "dropping"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_LateHub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *asked: str(tmp_path / "fetched"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("DA3_PIPELINE_WEIGHTS", str(tmp_path))
    with _LateHub(full=request.param == "dropping") as server:
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        late = Timer(_LATE_S, server.serve_forever, kwargs={"poll_interval": 0.01})
        late.daemon = True
        try:
            if request.param == "dropping" and server.lets_in():
                pytest.skip("this system queues more connections than it was asked to")
            late.start()
            yield server
        finally:
            late.cancel()
            if server.serves:
                server.shutdown()
            for connection in server.waiting:
                connection.close()


def test_auto_takes_the_built_in_network_after_a_second(hub: _LateHub) -> None:
    choice = automatic_network(False, lambda words: pytest.fail(f"said: {words}"))
    assert choice.name == "da3-nano"
    assert choice.why == "built in; da3-small is not on this machine, and the hub does not answer"


def test_a_fetch_by_name_ends_at_its_limit_with_one_line(
    hub: _LateHub, cli: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "_ANSWER_S", 0.2)
    code, stdout, stderr = cli("models", "--fetch", "da3-small")
    assert (code, stdout) == (2, "")
    licence, error = filter(None, stderr.splitlines())
    assert "Apache-2.0" in licence
    assert error.startswith(
        "error: the weights of da3-small cannot be fetched (the hub does not answer within 0.2 s): "
    )
    assert "model.safetensors and place it as " in error
    assert caplog.records == []


@pytest.mark.parametrize("hub", ["silent"], indirect=True)
def test_a_hub_that_is_slow_but_within_the_limit_is_waited_for(
    hub: _LateHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes the tests above able to fail."""
    monkeypatch.setattr(automatic, "_PROBE_S", 10 * _LATE_S)
    said: list[str] = []
    assert automatic_network(False, said.append).name == "da3-small"
    assert said[0].startswith("fetching 137 MB, once; ")


def test_new_tries_of_the_client_are_not_told_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def stall(*asked: str) -> str:
        logging.getLogger("huggingface_hub.file_download").warning("Trying to resume download...")
        raise TimeoutError("The read operation timed out")

    monkeypatch.setenv("DA3_PIPELINE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", stall)
    with pytest.raises(WeightsError, match=r"cannot be fetched \(The read operation timed out\): download https"):
        fetch_checkpoint("da3-small", answered=True)
    assert caplog.records == []
    logging.getLogger("huggingface_hub.file_download").warning("of its own")
    assert [record.message for record in caplog.records] == ["of its own"]
