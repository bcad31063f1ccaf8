"""What is wrong on a machine is found, and the remedy is said: each fault planted by itself."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from da3_pipeline.doctor import Finding, accelerator, caches, examine, installation, machine, output
from da3_pipeline.export.staging import staged
from da3_pipeline.storage.store import Session

Run = Callable[..., tuple[int, str, str]]


def told(findings: Any, status: str) -> list[Finding]:
    """Those of a status; whatever is to be done is said."""
    found = [one for one in findings if one.status == status]
    assert status == "ok" or all(one.remedy for one in found if one.status == "FAIL")
    return found


def test_nothing_fails_here_and_every_required_package_is_looked_at(hub: Path) -> None:
    findings = examine()
    assert told(findings, "FAIL") == []
    subjects = [one.subject for one in findings]
    assert {"python", "torch", "pycolmap", "typer", "device", "memory", "disk", "cache", "da3-nano"} <= set(subjects)
    assert subjects.count("torch") == 1


def test_packages_that_are_absent_or_of_a_wrong_version(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "pycolmap":
            raise metadata.PackageNotFoundError(name)
        return {"numpy": "1.20.0", "viser": "0.1.0"}.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    findings = installation.of_installation()
    numpy, pycolmap = sorted(told(findings, "FAIL"), key=lambda one: one.subject)
    assert (pycolmap.detail, pycolmap.remedy) == ("absent", "pip install 'pycolmap>=4.0'")
    assert numpy.detail == "1.20.0, but >=1.26 is needed"
    assert "viser" in [one.subject for one in told(findings, "note")]  # an extra: runs do without


def test_libraries_that_do_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    (found,) = [one for one in told(installation.of_installation(), "FAIL") if one.subject == "pycolmap"]
    assert found.detail.startswith("cannot be loaded") and "force-reinstall pycolmap" in found.remedy
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (pair,) = told(accelerator.of_accelerator(), "FAIL")
    assert pair.subject == "torchvision" and "together" in pair.remedy


def test_a_build_of_ffmpeg_without_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"h264", "mjpeg"})
    (found,) = [one for one in told(installation.of_installation(), "note") if one.subject == "video"]
    assert "hevc, av1, vp9, prores" in found.detail


@pytest.mark.parametrize(
    ("built_for", "driver", "said", "remedy"),
    [
        (None, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14", "without CUDA", "--force-reinstall torch"),
        ("13.0", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01", "470.82.01 is too old", "update"),
        ("13.0", None, "no CUDA device", ""),
    ],
)
def test_a_gpu_that_torch_does_not_see(
    built_for: str | None, driver: str | None, said: str, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if driver:
        (tmp_path / "version").write_text(driver)
    monkeypatch.setattr(accelerator, "_DRIVER", tmp_path / "version")
    monkeypatch.setattr(accelerator, "_DEVICE", tmp_path / "nvidiactl")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built_for)
    (found,) = [one for one in told(accelerator.of_accelerator(), "note") if one.subject == "device"]
    assert said in found.detail and remedy in found.remedy


def test_a_gpu_that_torch_has_no_kernels_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def ones(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    monkeypatch.setattr(torch, "ones", ones)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla K80")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (3, 7))
    (found,) = told(accelerator.of_accelerator(), "FAIL")
    assert "Tesla K80 (sm_37)" in found.detail and "more" not in found.detail and "--device cpu" in found.remedy


@pytest.mark.parametrize(("gib", "status"), [(0.1, "FAIL"), (1, "note"), (50, "ok")])
def test_a_disk_that_is_nearly_full(gib: float, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=gib * 2**30))
    assert machine.disk("disk", tmp_path / "not" / "yet" / "there").status == status


def test_memory_is_what_the_container_may_have(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    limits = (tmp_path / "absent", tmp_path / "memory.max")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", limits)
    limits[1].write_text("max\n")
    assert "container" not in machine.memory().detail
    limits[1].write_text(str(1 << 30))
    found = machine.memory()
    assert found.status == "note" and found.detail.startswith("1.0 GiB by the container's limit")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one network in it, as the client lays it out."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "models--someone--net"
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots" / "1").mkdir(parents=True)
    (folder / "blobs" / "a").write_bytes(b"weights")
    (folder / "snapshots" / "1" / "model.safetensors").symlink_to(folder / "blobs" / "a")
    return folder


def test_downloads_that_were_broken_off_and_files_that_are_gone(hub: Path) -> None:
    assert [one.status for one in caches.of_caches()] == ["ok"]
    half = hub / "blobs" / "b.incomplete"
    half.write_bytes(b"x" * (3 << 20))
    assert [one.status for one in caches.of_caches()] == ["ok"]  # it is just coming
    os.utime(half, (1, 1))
    (found,) = told(caches.of_caches(), "note")
    assert found.detail == "half a download of someone/net, 3 MB" and str(half) in found.remedy
    (hub / "blobs" / "a").unlink()
    (found,) = told(caches.of_caches(), "FAIL")
    assert "someone/net are gone" in found.detail and str(hub) in found.remedy


def test_a_cache_that_cannot_be_read(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: real(path, mode) and Path(path) != hub.parent)
    assert "HF_HUB_CACHE" in told(caches.of_caches(), "FAIL")[0].remedy


def test_a_cache_that_is_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", os.devnull)
    (found,) = caches.of_caches()
    assert found.status == "note" and "no network can be fetched" in found.detail


def finished(folder: Path) -> Path:
    """A session with a data set."""
    with Session.open(folder) as session, staged(session.output) as new:
        (new / "transforms.json").write_text("{}")
    return folder


def about(session: Path) -> Finding:
    found = {one.subject: one for one in output.output_folder(session.parent)}
    return found[session.name]


def test_a_session_is_looked_at_by_itself_and_among_others(tmp_path: Path) -> None:
    session = finished(tmp_path / "room")
    assert about(session).status == "ok" and output.output_folder(session)[-1] == about(session)
    (session / "transforms.json").write_text("[]")
    assert "transforms.json first" in about(session).detail and "anew" in about(session).remedy
    (session / ".da3-staging").mkdir()
    assert "broken off" in about(session).detail
    assert sorted(path.name for path in session.iterdir()) == [".da3", ".da3-staging", "transforms.json"]


def test_a_lock_is_told_while_somebody_holds_it(tmp_path: Path) -> None:
    session = finished(tmp_path / "room")
    (session / ".da3" / "lock").touch()  # left over: nobody's
    assert about(session).status == "ok"
    with Session.open(session):
        assert about(session).detail == "a run is at work in it"
    assert about(session).status == "ok"


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_is_held", lambda lock: False)
    assert [one.subject for one in told(output.output_folder(tmp_path), "note")] == ["locks"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert told(output.output_folder(tmp_path / "file" / "out"), "FAIL")[0].detail.endswith("is a file")

    def refused(**_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refused)
    (found,) = output.output_folder(tmp_path / "not" / "yet")
    assert found.status == "FAIL" and "Read-only" in found.detail and "--output" in found.remedy


def test_the_command_ends_with_two_where_something_fails(cli: Run, hub: Path, tmp_path: Path) -> None:
    code, said, _ = cli("doctor", tmp_path)
    assert code == 0 and said.count("\n") > 20 and "FAIL" not in said
    (tmp_path / "file").write_text("")
    code, said, _ = cli("doctor", tmp_path / "file", "--json")
    assert code == 2
    assert [one["subject"] for one in json.loads(said) if one["status"] == "FAIL"] == ["output"]
