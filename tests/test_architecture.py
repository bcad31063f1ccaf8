"""The rules of docs/ARCHITECTURE.md, read off the source: who imports whom, what is public, lazy and full."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "da3_pipeline", ROOT / "plugins" / "da3_nerfstudio", ROOT / "workflows" / "da3_workflows")

BASE = frozenset(
    {
        "arrays",
        "files",
        "guard",
        "grouping",
        "quiet",
        "settings",
        "types",
        "geometry",
        "lazy",
        "imageio",
        "videoio",
        "errors",
        "progress",
        "versions",
    }
)
STAGES = frozenset({"ingest", "select", "mask", "infer", "refine", "georegister", "export"})
MAY_IMPORT = {
    "errors": frozenset(),
    "guard": frozenset({"errors", "settings"}),
    "progress": frozenset({"guard"}),
    "event_log": frozenset({"errors", "guard", "progress"}),
    "arrays": frozenset(),
    "files": frozenset({"arrays", "errors", "guard", "types"}),
    "grouping": frozenset({"arrays"}),
    "quiet": frozenset(),
    "settings": frozenset(),
    "presets": frozenset({"errors"}),
    "versions": frozenset(),
    "geometry": frozenset({"arrays", "errors"}),
    "imageio": frozenset({"arrays", "errors", "guard"}),
    "videoio": frozenset({"arrays", "errors"}),
    "types": frozenset({"arrays", "geometry", "grouping"}),
    "ingest": BASE,
    "select": BASE,
    "mask": BASE,
    "infer": BASE | {"model", "gaussians"},
    "refine": BASE,
    "export": BASE | {"gaussians"},
    "model": BASE - {"types"},
    "gaussians": BASE - {"imageio"},
    "training": BASE | {"model", "gaussians"},
    "config": STAGES | {"settings"},
    "metering": BASE,
    "storage": BASE,
    "viewer": BASE | {"export", "gaussians", "storage"},
    "interchange": BASE | {"export", "gaussians"},
    "pipeline": BASE | STAGES | {"config", "metering", "storage"},
}
"""Whom a room of da3_pipeline may import beside itself. Rooms not named here are entrances: they may import any."""

ENTRANCES_ONLY = frozenset({"comparison", "interchange", "training", "benchmark", "cli", "demo", "doctor", "viewer"})
"""Imported by entrances alone, and when they are used rather than when they load; benchmarks, themselves loaded when
they are used, may import the renderer of training at once."""


INNER_ORDER = {
    "refine": (
        "config",
        "matching",
        "solve",
        "initialisation",
        "amendments",
        "assembly",
        "depth_scale",
        "verdict",
        "refinement",
    ),
    "infer": ("config", "views", "preprocess", "frame_reader", "budget", "sequence", "network_pass", "stage"),
    "model": (
        "config",
        "variants",
        "lean",
        "layers",
        "trunk",
        "heads",
        "camera",
        "ray_pose",
        "gaussian_adapter",
        "network",
        "sky",
        "monocular",
        "nested",
        "initialisation",
        "checkpoints",
        "factory",
    ),
    "export": ("config", "undistortion", "ignored", "nerfstudio", "depth", "tracks", "observations", "stage", "report"),
    "benchmark": ("fresh_process", "kept_results", "metrics", "truth", "peers", "datasets", "methods"),
}
"""What stands in a room, lowest first: each imports only those before it. What is not named here may stand anywhere as
long as nothing goes round in a circle. Tracks and observations ask `depth`; the report reads what the stage wrote."""

BENCHMARKS_THAT_USE_OTHERS = {
    ("verdict", "scenarios"): "few views are also taken of the rendered worlds",
    ("geometry", "rendering"): "data sets whose views are rendered are judged by the same trainer of splats",
}
"""(command, command): after truth and peers, a folder of benchmark is a command and knows no other but these."""

MOST_FILES = 15
CROWDED: dict[str, str] = {}
"""Folders that hold more files than a reader keeps in mind, and why."""


@dataclass(frozen=True)
class Import:
    """One imported module by its absolute name. `eager`: happens when the importing module loads."""

    source: Path
    line: int
    target: str
    eager: bool

    def __str__(self) -> str:
        return f"{self.source.relative_to(ROOT)}:{self.line} imports {self.target}"


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in package.rglob("*.py"))


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def dotted(path: Path) -> tuple[str, ...]:
    """The absolute name of a file's module, in parts; a package's `__init__` is the package."""
    package = next(package for package in PACKAGES if path.is_relative_to(package))
    parts = path.relative_to(package.parent).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(body: list[ast.stmt], eager: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement, and whether it runs when the module loads."""
    for node in body:
        yield node, eager
        within = eager and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_type_checking(node)
        for name in ("body", "orelse", "finalbody"):
            yield from statements(getattr(node, name, []), within)
        for handler in getattr(node, "handlers", []):
            yield from statements(handler.body, within)


@functools.cache
def is_module(parts: tuple[str, ...]) -> bool:
    found = next((package.parent / Path(*parts) for package in PACKAGES if package.name == parts[0]), None)
    return found is not None and (found.with_suffix(".py").is_file() or (found / "__init__.py").is_file())


def imports(path: Path) -> Iterator[Import]:
    package = dotted(path) if path.name == "__init__.py" else dotted(path)[:-1]
    for node, eager in statements(tree(path).body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name, eager)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            target = (*above, *(node.module.split(".") if node.module else ()))
            for alias in node.names:  # `from . import stage` names a module, `from .stage import run` what is in one
                module = (*target, alias.name) if is_module((*target, alias.name)) else target
                yield Import(path, node.lineno, ".".join(module), eager)


def room(name: str) -> str:
    """What a module of da3_pipeline belongs to: its folder, or itself; '' for everything else."""
    package, _, rest = name.partition(".")
    inner = rest.partition(".")[0]
    return inner if package == "da3_pipeline" and not inner.startswith("__") else ""


def inner_imports() -> list[tuple[str, str, Import]]:
    """(importing room, imported room, import) between the rooms of da3_pipeline."""
    found = []
    for path in PACKAGES[0].rglob("*.py"):
        own = room(".".join(dotted(path)))
        found += [(own, room(item.target), item) for item in imports(path) if room(item.target) not in ("", own)]
    return found


def within(stage: str) -> list[tuple[str, str, Import]]:
    """(importing, imported, import) between the folders and files that stand directly in a room."""
    found = []
    for path in (PACKAGES[0] / stage).rglob("*.py"):
        own = dotted(path)[2:3]
        for item in imports(path):
            target = tuple(item.target.split("."))
            if own and target[:2] == (PACKAGES[0].name, stage) and target[2:3] not in ((), own):
                found.append((own[0], target[2], item))
    return found


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """Nodes that import one another in a circle, in order; empty where there is none."""
    after: dict[str, list[str]] = {}
    for source, target in sorted(edges):
        after.setdefault(source, []).append(target)
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return trail[trail.index(node) :]
        found = [] if node in done else next(filter(None, (visit(n, [*trail, node]) for n in after.get(node, []))), [])
        done.add(node)
        return found

    return next(filter(None, (visit(node, []) for node in list(after))), [])


def test_the_walk_sees_the_imports_that_are_there() -> None:
    seen = {(own, target) for own, target, _ in inner_imports()}
    assert {("infer", "model"), ("pipeline", "refine"), ("config", "export"), ("types", "geometry")} <= seen


def test_data_flows_one_way() -> None:
    breaches = [
        str(item) for own, target, item in inner_imports() if own in MAY_IMPORT and target not in MAY_IMPORT[own]
    ]
    assert breaches == []


@pytest.mark.parametrize("stage", sorted(INNER_ORDER))
def test_a_folder_imports_only_those_before_it(stage: str) -> None:
    order = INNER_ORDER[stage]
    assert [name for name in order if not is_module((PACKAGES[0].name, stage, name))] == []
    seen = [(own, target, item) for own, target, item in within(stage) if own in order and target in order]
    assert [str(item) for own, target, item in seen if order.index(own) < order.index(target)] == []


@pytest.mark.parametrize("stage", sorted(path.parent.name for path in PACKAGES[0].glob("*/__init__.py")))
def test_no_room_has_a_circle(stage: str) -> None:
    assert circle({(own, target) for own, target, _ in within(stage)}) == []


def test_circles_are_found() -> None:
    assert circle({("a", "b"), ("b", "c"), ("c", "b")}) == ["b", "c"]
    assert circle({("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}) == []


def test_benchmarks_do_not_know_each_other() -> None:
    shared = INNER_ORDER["benchmark"]
    seen = {(own, target) for own, target, _ in within("benchmark") if target not in shared}
    assert seen == set(BENCHMARKS_THAT_USE_OTHERS)


def test_folders_are_read_at_a_glance() -> None:
    counts: dict[str, int] = {}
    for path in modules():
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    assert {folder for folder, count in counts.items() if count > MOST_FILES} == set(CROWDED)


def test_training_and_benchmark_load_only_when_an_entrance_uses_them() -> None:
    breaches = [
        str(item)
        for own, target, item in inner_imports()
        if target in ENTRANCES_ONLY and (own in MAY_IMPORT or (item.eager and own not in (target, "benchmark")))
    ]
    assert breaches == []


def test_the_pipeline_does_not_know_its_plugins() -> None:
    outer = [item for path in PACKAGES[0].rglob("*.py") for item in imports(path) if item.target.startswith("da3_")]
    known = {str(item) for item in outer if item.target.partition(".")[0] != "da3_pipeline"}
    batch = {item for item in known if item.startswith("da3_pipeline/cli/__init__.py:") and " da3_workflows" in item}
    assert known == batch


def bound_names(path: Path) -> set[str]:
    """What a module defines or imports when it loads, or promises to type checkers."""
    names: set[str] = set()
    for node, eager in statements(tree(path).body):
        if not eager and not isinstance(node, ast.ImportFrom):
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def public(path: Path) -> list[str] | None:
    for node in tree(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return list(ast.literal_eval(node.value))  # type: ignore[attr-defined]
    return None


def in_order(names: list[str]) -> list[str]:
    """Constants, then classes, then the rest, each alphabetically: the linter's order."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[:1].isupper() else 2, name))


@pytest.mark.parametrize("path", modules(), ids=lambda path: ".".join(dotted(path)))
def test_all_is_there_sorted_and_true(path: Path) -> None:
    if path.name == "__main__.py" or all(isinstance(node, ast.Expr) for node in tree(path).body):
        return  # nothing to import: a script, or a docstring alone
    names = public(path)
    assert names is not None, "no __all__"
    assert names == in_order(names)
    assert set(names) <= bound_names(path)


def test_nothing_prints_or_exits_but_the_command_line() -> None:
    breaches = []
    for path in modules():
        if path.parent.name == "cli" or path.name in ("__main__.py", "command.py"):
            continue
        guarded = [node for node in tree(path).body if not ast.unparse(node).startswith("if __name__ ==")]
        for node in (inner for statement in guarded for inner in ast.walk(statement)):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called in ("print", "input", "exit", "quit", "sys.exit", "os._exit", "SystemExit", "breakpoint"):
                breaches.append(f"{path.relative_to(ROOT)}:{node.lineno} {called}")
    assert breaches == []


def test_files_are_of_one_idea() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > 450] == []
    assert [path for path in modules() if path.stem in ("util", "utils", "helper", "helpers", "misc", "common")] == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("da3_pipeline", ("torch", "cv2", "av", "pycolmap", "scipy", "numpy", "pydantic")),
        ("da3_pipeline.cli", ("torch", "timm", "cv2", "av", "pycolmap", "scipy", "viser", "numpy")),
        ("da3_pipeline.viewer", ("torch", "cv2", "pycolmap", "scipy", "viser")),
        ("da3_workflows", ("torch", "timm")),
        ("da3_nerfstudio", ("torch", "nerfstudio", "numpy")),
    ],
)
def test_heavy_imports_are_lazy(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
