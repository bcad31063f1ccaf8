"""What `auto` is, as the hub answers, does not, or fails half way, and as weights lie on this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from da3_pipeline.model.checkpoints import automatic
from da3_pipeline.model.checkpoints.automatic import automatic_network, download_bytes


class Hub:
    """Stands for the hub: what was asked of it, in order, and what it says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, list[str]()
        self.ask: Callable[[str], Any] = lambda url: SimpleNamespace(size=137_000_000)
        self.fetch: Callable[[str], str] = lambda repository: str(self.folder / "fetched")

    def metadata(self, url: str, timeout: float) -> Any:
        self.calls.append(f"ask {url}")
        return self.ask(url)

    def download(self, repository: str, file: str) -> str:
        self.calls.append(f"fetch {repository}")
        return self.fetch(repository)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    stand_in = Hub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", stand_in.metadata)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", stand_in.download)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("DA3_PIPELINE_WEIGHTS", str(tmp_path))
    yield stand_in


@pytest.mark.parametrize(("on_gpu", "name"), [(False, "da3-small"), (True, "da3-base")])
def test_what_can_be_had_is_fetched_after_size_and_licence_are_said(hub: Hub, on_gpu: bool, name: str) -> None:
    choice = automatic_network(on_gpu, lambda words: hub.calls.append(words))
    assert (choice.name, choice.why) == (name, "fetched")
    asked, said, fetched = hub.calls
    repository = f"depth-anything/{name.upper()}"
    assert (asked, fetched) == (
        f"ask https://huggingface.co/{repository}/resolve/main/model.safetensors",
        f"fetch {repository}",
    )
    assert said.startswith("fetching 137 MB, once; ") and "Apache-2.0 (commercial use allowed)" in said


@pytest.mark.parametrize("on_gpu", [False, True])
def test_weights_that_are_here_are_used_and_nothing_is_asked(hub: Hub, on_gpu: bool) -> None:
    name = "da3-base" if on_gpu else "da3-small"
    (hub.folder / f"{name}.safetensors").touch()
    assert automatic_network(on_gpu, hub.calls.append).name == name
    assert hub.calls == []


@pytest.mark.parametrize("how", ["variable", "constant"])
def test_offline_nothing_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert automatic_network(False, hub.calls.append).name == "da3-nano"
    assert hub.calls == []


def test_a_hub_that_never_answers_is_not_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for ever otherwise, as for a name server that does not answer."""
    monkeypatch.setattr(automatic, "_PROBE_S", 0.05)
    never = threading.Event()
    hub.ask = lambda url: never.wait()
    try:
        choice = automatic_network(False, hub.calls.append)
    finally:
        never.set()
    assert choice.name == "da3-nano"
    assert choice.why == "built in; da3-small is not on this machine, and the hub does not answer"


def test_an_endpoint_that_cannot_be_reached_is_no_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    closed = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", closed)
    assert download_bytes("da3-small") is None


def test_without_the_best_the_next_that_is_here_is_taken(hub: Hub) -> None:
    def refuse(url: str) -> Any:
        raise ConnectionError("no route to host")

    hub.ask = refuse
    assert automatic_network(True, hub.calls.append).name == "da3-nano"
    (hub.folder / "da3-small.safetensors").touch()
    assert automatic_network(True, hub.calls.append).name == "da3-small"


def test_a_fetch_that_fails_leaves_the_built_in_one_and_says_why(hub: Hub) -> None:
    def fail(repository: str) -> str:
        raise OSError("No space left on device")

    hub.fetch = fail
    choice = automatic_network(False, lambda words: None)
    assert choice.name == "da3-nano"
    assert "No space left on device" in choice.why


IN_A_NOTEBOOK = """
import sys, types
kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: kernel)
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
sys.modules["ipywidgets"] = None
from da3_pipeline.model.checkpoints.hub import hub_client
print(hub_client().hf_hub_download.__name__)
"""


def test_a_notebook_without_widgets_is_not_warned_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_NOTEBOOK], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hf_hub_download\n", "")
