"""What the code of each stage is, as a digest, recorded beside the stage's version in tests/data/stage_digests.json.

    python tests/stage_digests.py                          say which stages' code is not the recorded one
    python tests/stage_digests.py --same                   record it: every stage gives the results that it gave before
    python tests/stage_digests.py --changed refine export  record it, and raise the versions of these stages

A stage's code is that of its room and of all rooms that it imports, with their data files, read as a syntax tree:
comments, docstrings and layout do not count.
"""

from __future__ import annotations

import argparse
import ast
import functools
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECORD = Path("tests", "data", "stage_digests.json")
VERSIONS = Path("da3_pipeline", "versions.py")
REMEDY = (
    "if the results of {0} are as before, run: make stages - "
    "if they can differ, run: make stages CHANGED={0} (it raises the version, so that sessions are done anew)"
)

_WITHOUT_INFLUENCE = frozenset({"arrays", "errors", "lazy", "progress", "quiet", "versions"})
"""Rooms that no result depends on: names of types, messages, deferred imports."""

_LEFT_OUT = frozenset({"ctx", "kind", "type_comment", "type_ignores", "type_params"})
"""Fields of syntax trees that repeat what stands elsewhere, or that not every Python has."""


def stage_digests(root: Path) -> dict[str, str]:
    """The digest of every stage's code in the checkout `root`, by stage."""
    package = root / VERSIONS.parent
    rooms = {path.stem: path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    read = functools.cache(lambda room: _room(rooms[room], package))
    digests = {}
    for stage in versions(root):
        needed: set[str] = set()
        wanted = {stage}
        while wanted:
            needed |= wanted
            imported = set().union(*(read(room)[1] for room in wanted))
            wanted = (imported & rooms.keys()) - needed - _WITHOUT_INFLUENCE
        digests[stage] = _digest(*(f"{room} {read(room)[0]}" for room in sorted(needed)))
    return digests


def versions(root: Path) -> dict[str, int]:
    """The versions that the checkout's code states, by stage."""
    for node in ast.parse((root / VERSIONS).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STAGE_VERSIONS":
            return dict(ast.literal_eval(node.value))
    raise SystemExit(f"{root / VERSIONS}: no STAGE_VERSIONS")


def recorded(root: Path) -> dict[str, Any]:
    """What was recorded, by stage: {"version", "digest"}; nothing where a merge left a conflict in the file."""
    try:
        return dict(json.loads((root / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def unrecorded(root: Path) -> list[str]:
    """The stages whose code or version is not the recorded one."""
    known, numbers = recorded(root), versions(root)
    now = {stage: {"version": numbers[stage], "digest": digest} for stage, digest in stage_digests(root).items()}
    return [stage for stage in now if now[stage] != known.get(stage)]


def record(root: Path, changed: Sequence[str]) -> None:
    """Raise the versions of the `changed` stages and record the code of all."""
    text = (root / VERSIONS).read_text(encoding="utf-8")
    for stage, number in versions(root).items():
        if stage in changed:
            text = re.sub(rf'"{stage}": {number},', f'"{stage}": {number + 1},', text)
    (root / VERSIONS).write_text(text, encoding="utf-8")
    numbers = versions(root)
    lines = (
        f'  "{stage}": {json.dumps({"version": numbers[stage], "digest": digest})}'
        for stage, digest in stage_digests(root).items()
    )
    (root / RECORD).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _room(path: Path, package: Path) -> tuple[str, set[str]]:
    """The digest of a room, a module or a folder of modules and data, and the names of the rooms that it imports."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    parts, imported = [], set()
    for file in files:
        name = file.relative_to(package).as_posix()
        if file.suffix == ".py":
            tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
            parts.append(f"{name} {_digest(json.dumps(_plain(tree)))}")
            imported |= _rooms_imported(tree, file.relative_to(package.parent).parent.parts)
        elif file.suffix != ".pyc":
            parts.append(f"{name} {hashlib.blake2b(file.read_bytes(), digest_size=12).hexdigest()}")
    return _digest(*parts), imported


def _rooms_imported(tree: ast.Module, folder: tuple[str, ...]) -> set[str]:
    """Rooms of the package that a module in `folder` imports, at once or when it needs them."""
    named: list[tuple[str, ...]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named += [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else ()
            target = (*above, *(node.module.split(".") if node.module else ()))
            named += [(*target, alias.name) for alias in node.names]
    return {parts[1] for parts in named if parts[0] == folder[0] and len(parts) > 1}


def _plain(node: Any) -> Any:
    """A syntax tree as lists, without positions, comments and texts that stand alone; the same on every Python."""
    if isinstance(node, ast.AST):
        fields = ((name, _plain(value)) for name, value in ast.iter_fields(node) if name not in _LEFT_OUT)
        return [type(node).__name__, *([name, value] for name, value in fields if value not in (None, []))]
    if isinstance(node, list):
        return [_plain(item) for item in node if not _is_text(item)]
    return node if node is None else repr(node)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--changed", nargs="*", choices=list(versions(root)), default=[], metavar="STAGE")
    options = parser.parse_args(arguments)
    if options.same or options.changed:
        record(root, options.changed)
        return 0
    stages = unrecorded(root)
    for stage in stages:
        print(f"{stage}: its code is not the recorded one; {REMEDY.format(stage)}")
    return int(bool(stages))


if __name__ == "__main__":
    sys.exit(main())
