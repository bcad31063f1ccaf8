"""The Dockerfile, as far as it can be held to the truth without an engine."""

from __future__ import annotations

import fnmatch
import importlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE_OF = {"libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6", "libz.so.1": "zlib1g"}
"""Debian's package of each library that native modules may ask of the system, beside libc6, which every image has."""

OF_LIBC = re.compile(r"lib(c|m|mvec|pthread|dl|rt|util)\.so\.\d+|ld-linux.*|linux-vdso.*")


def instructions() -> list[tuple[str, str]]:
    """(keyword, the rest) of each, lines joined, comments left out."""
    lines = [
        line for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def all_of(keyword: str) -> list[str]:
    return [rest for name, rest in instructions() if name == keyword]


def arguments() -> dict[str, str]:
    return dict(rest.split("=", 1) for rest in all_of("ARG"))


def sources() -> list[str]:
    return [source for rest in all_of("COPY") for source in rest.split()[:-1]]


def is_ignored(path: str) -> bool:
    """By .dockerignore, whose last line that fits decides; a folder's line holds for what is in it."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip().lstrip("!")
        if pattern and not line.startswith("#"):
            parts = [path, *map(str, Path(path).parents)]
            name = pattern.removeprefix("**/")
            fits = any(fnmatch.fnmatch(Path(one).name if name != pattern else one, name) for one in parts if one != ".")
            ignored = (not line.startswith("!")) if fits else ignored
    return ignored


def apt_packages() -> list[str]:
    return (ROOT / "container" / "apt-packages.txt").read_text(encoding="utf-8").split()


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {normal(name): Version(version.split(";")[0].strip()) for name, version in pairs}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_copied_is_there_and_not_ignored_and_nothing_else_is_sent() -> None:
    assert sources() and all((ROOT / source).exists() for source in sources())
    assert not any(is_ignored(source) for source in sources())
    assert not is_ignored("da3_pipeline/export/report/templates/report.css")
    for unwanted in (".git", ".venv/bin/python", "tests/conftest.py", "docs/report.png", "plugins/__pycache__/a.pyc"):
        assert is_ignored(unwanted), unwanted


def test_all_that_the_package_is_built_from_is_copied_before() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = [*wheel, PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml"]
    for path in needed:
        assert any(path == source or path.startswith(f"{source}/") for source in sources()), path
    names = [name for name, _ in instructions()]
    installs = [k for k, (name, rest) in enumerate(instructions()) if name == "RUN" and '".[' in rest]
    assert len(installs) == 1 and installs[0] > max(k for k, name in enumerate(names) if name == "COPY")


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    extras, known = arguments()["EXTRAS"].split(","), PROJECT["project"]["optional-dependencies"]
    wanted = PROJECT["project"]["dependencies"] + [one for extra in extras for one in known[extra]]
    fixed = pins()
    (python,) = [re.match(r"python:(\d+\.\d+)-slim", image) for image in all_of("FROM")]
    assert python and Version(python[1]) in SpecifierSet(PROJECT["project"]["requires-python"])
    for requirement in map(Requirement, [*wanted, "torch", "torchvision"]):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python[1]}):
            assert requirement.specifier.contains(fixed[normal(requirement.name)]), requirement
    assert all("--constraint constraints.txt" in rest for rest in all_of("RUN") if "pip install" in rest)


def test_system_packages_stand_in_one_list_in_order() -> None:
    assert apt_packages() == sorted(set(apt_packages()))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) for name in apt_packages())
    assert [rest.count("apt-get install") for rest in all_of("RUN")].count(1) == 1
    assert all("< container/apt-packages.txt" in rest for rest in all_of("RUN") if "apt-get" in rest)


@pytest.mark.skipif(shutil.which("ldd") is None, reason="ldd asks Linux' loader")
def test_the_list_has_every_library_that_native_modules_ask_of_the_system() -> None:
    parts = {"pycolmap": "*.so", "cv2": "*.so", "torch": "_C*.so"}
    folders = {name: Path(importlib.import_module(name).__path__[0]) for name in parts}
    modules = [next(folders[name].glob(pattern)) for name, pattern in parts.items()]
    told = subprocess.run(["ldd", *map(str, modules)], capture_output=True, text=True, check=True).stdout
    asked = {line.split("=>")[0].strip() for line in told.splitlines() if re.search(r"=> /(usr/)?lib", line)}
    assert asked >= set(PACKAGE_OF)
    assert {
        name for name in asked if not OF_LIBC.fullmatch(name) and PACKAGE_OF.get(name) not in apt_packages()
    } == set()


def test_commands_are_of_the_shell_and_the_entrance_runs(cli: Any) -> None:
    for rest in all_of("RUN"):
        assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest
    (entrance,), (default,) = map(json.loads, all_of("ENTRYPOINT")), map(json.loads, all_of("CMD"))
    assert entrance[0] in apt_packages() and entrance[2] in PROJECT["project"]["scripts"]
    code, said, _ = cli(*default)
    assert code == 0 and "doctor" in said


def test_every_argument_is_used_and_it_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert all(f"${{{name}}}" in text for name in arguments())
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT") and "ADD" not in names
    assert all_of("USER") == ["da3"]
