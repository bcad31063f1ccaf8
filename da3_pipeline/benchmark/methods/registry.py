"""Methods by what they are asked for as: KIND:WHAT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import UsageError
from ...model.variants import VARIANTS, variant
from ..peers.colmap import colmap_modes
from .contract import Method
from .floors import FLOORS
from .given import from_colmap_folder, from_predictions
from .programs import LONG_PASS, colmap_here, own_network, own_network_singly, own_pipeline

__all__ = ["DEPTH_ALONE", "KINDS", "all_variants", "method"]

Made = Callable[[str, str, str], Method]


def _raw(what: str, dataset: str, device: str) -> Method:
    return Method(f"raw:{what}", own_network(_model(what), device), lambda scene: _stamp(Path(what)))


def _ray(what: str, dataset: str, device: str) -> Method:
    return Method(f"ray:{what}", own_network(_model(what), device, ray_pose=True), lambda scene: _stamp(Path(what)))


def _long(what: str, dataset: str, device: str) -> Method:
    return Method(f"long:{what}", own_network(_model(what), device, **LONG_PASS), lambda scene: _stamp(Path(what)))


def _refined(what: str, dataset: str, device: str) -> Method:
    return Method(f"refined:{what}", own_pipeline(_model(what), device), lambda scene: _stamp(Path(what)))


def _mono(what: str, dataset: str, device: str) -> Method:
    return Method(f"mono:{what}", own_network_singly(_model(what), device), lambda scene: _stamp(Path(what)))


def _metric(what: str, dataset: str, device: str) -> Method:
    asked = own_network_singly(_model(what), device, in_metres=True)
    return Method(f"metric:{what}", asked, lambda scene: _stamp(Path(what)))


def _colmap(what: str, dataset: str, device: str) -> Method:
    return Method(f"colmap:{what}", colmap_here(colmap_modes([what])[what]))


def _floor(what: str, dataset: str, device: str) -> Method:
    if what not in FLOORS:
        raise UsageError(f"--method floor:{what}: there are {', '.join(f'floor:{name}' for name in FLOORS)}")
    return Method(f"floor:{what}", FLOORS[what])


def _npz(what: str, dataset: str, device: str) -> Method:
    root = _folder("npz", what)
    return Method(
        f"npz:{root.name}",
        from_predictions(root, dataset),
        lambda scene: _stamp(root / dataset / f"{scene}.npz"),
    )


def _model_folder(what: str, dataset: str, device: str) -> Method:
    root = _folder("model", what)
    return Method(
        f"model:{root.name}",
        from_colmap_folder(root, dataset),
        lambda scene: " ".join(_stamp(file) for file in sorted((root / dataset / scene).rglob("images.*"))),
    )


KINDS: dict[str, Made] = {
    "raw": _raw,
    "ray": _ray,
    "refined": _refined,
    "long": _long,
    "mono": _mono,
    "metric": _metric,
    "npz": _npz,
    "model": _model_folder,
    "colmap": _colmap,
    "floor": _floor,
}
"""Our network with its poses, with poses of its ray map, the whole pipeline, the network in short passes; a network
on each picture by itself, its depth as it is or in metres; predictions of any network; COLMAP's models; COLMAP run
here; poses that say nothing."""

DEPTH_ALONE = frozenset({"mono", "metric"})
"""Kinds that have no poses: data sets without depth have no use for them."""


def method(asked: str, dataset: str, device: str = "auto") -> Method:
    """The method that is asked for as KIND:WHAT, on scenes of the data set of that name.

    Raises UsageError for what there is not.
    """
    kind, _, what = asked.partition(":")
    if kind not in KINDS or not what:
        raise UsageError(f"--method {asked}: give KIND:WHAT, KIND being one of {', '.join(KINDS)}")
    return KINDS[kind](what, dataset, device)


def all_variants(kind: str = "raw") -> tuple[str, ...]:
    """Every registered network that has cameras, in the way of `kind`."""
    return tuple(f"{kind}:{name}" for name, entry in VARIANTS.items() if not entry.config.is_monocular)


def _model(what: str) -> str:
    """The name of a registered network, or a file of weights. Raises UsageError for what is neither."""
    return str(Path(what).absolute()) if Path(what).is_file() else variant(what).name


def _stamp(path: Path) -> str:
    """Which state of a file: size and time; '' where there is none."""
    if not path.is_file():
        return ""
    told = path.stat()
    return f"{path.absolute()} {told.st_size} {told.st_mtime_ns}"


def _folder(kind: str, what: str) -> Path:
    root = Path(what).absolute()
    if not root.is_dir():
        raise UsageError(f"--method {kind}:{what}: no such folder; it holds DATASET/SCENE of what was predicted")
    return root
