"""Python and packages: are they there, of the versions that we need, and do they load?"""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata

from packaging.requirements import Requirement

from .finding import Finding, fault, note, ok

__all__ = ["of_installation"]

_OLDEST_PYTHON = (3, 10)
_PURPOSES = {
    "gaussians": "rendering Gaussians faster",
    "jxl": "JPEG XL",
    "matchers": "what SIFT leaves weak, or --matcher aliked and disk",
    "nerfstudio": "ns-train with the da3-data parser",
    "people": "masking people",
    "raw": "camera raw",
    "sensors": "depth in EXR and LZFSE",
    "spz4": ".spz of version 4",
    "tiff": "rare TIFF compressions",
    "train": "training students",
    "viewer": "the viewer",
    "xfeat": "--matcher xfeat",
}
"""What each extra is for; those that are another's name are left out."""

_NATIVE = {"av": "av", "opencv-python-headless": "cv2", "pycolmap": "pycolmap", "pyceres": "pyceres", "torch": "torch"}
"""Modules whose libraries may miss others of the system, by their package."""

_DECODERS = ("h264", "hevc", "av1", "vp9", "mjpeg", "prores")
"""Of the videos that cameras and phones write."""


def of_installation() -> list[Finding]:
    """Python, required packages, extras, and whether native libraries load."""
    return [_python(), *_packages(), *_loading(), *_videos(), *_extras(), _builtin_model()]


def _python() -> Finding:
    told = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < _OLDEST_PYTHON:
        return fault("python", told, "install Python 3.10 or newer")
    return ok("python", told)


def _packages() -> Iterator[Finding]:
    for requirement in _requirements():
        if "extra" not in str(requirement.marker or "") and (
            requirement.marker is None or requirement.marker.evaluate()
        ):
            yield _found(requirement, fault)


def _extras() -> Iterator[Finding]:
    """Absent ones are no fault; those of a wrong version are worth a line each."""
    for requirement in _requirements():
        for extra, purpose in _PURPOSES.items():
            if requirement.marker is not None and requirement.marker.evaluate({"extra": extra}):
                try:
                    metadata.version(requirement.name)
                except metadata.PackageNotFoundError:
                    remedy = f"pip install 'da3-pipeline[{extra}]'"
                    yield note(requirement.name, f"absent; only needed for {purpose}", remedy)
                else:
                    yield _found(requirement, note)


def _requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata.requires("da3-pipeline") or ()]


def _found(requirement: Requirement, told: Callable[[str, str, str], Finding]) -> Finding:
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return told(requirement.name, "absent", remedy)
    if not requirement.specifier.contains(version, prereleases=True):
        return told(requirement.name, f"{version}, but {requirement.specifier} is needed", remedy)
    return ok(requirement.name, version)


def _loading() -> Iterator[Finding]:
    for package, module in _NATIVE.items():
        try:
            metadata.version(package)
            importlib.import_module(module)
        except metadata.PackageNotFoundError:
            continue  # said above
        except (ImportError, OSError) as error:
            remedy = f"install the library that it names, or pip install --force-reinstall {package}"
            yield fault(package, f"cannot be loaded: {error}", remedy)


def _videos() -> Iterator[Finding]:
    try:
        import av
    except (ImportError, OSError):
        return
    missing = [name for name in _DECODERS if name not in av.codecs_available]
    if missing:
        remedy = "pip install --force-reinstall av, whose wheels have all of them"
        yield note("video", f"this build of FFmpeg does not decode {', '.join(missing)}", remedy)
    else:
        yield ok("video", f"FFmpeg decodes {', '.join(_DECODERS)}")


def _builtin_model() -> Finding:
    try:
        from ..errors import WeightsError
        from ..model import load
    except (ImportError, OSError) as error:
        return fault("da3-nano", f"its code cannot be loaded: {error}", "mend what fails above first")
    try:
        network = load("da3-nano")
    except WeightsError as error:
        return fault("da3-nano", str(error), "install da3-pipeline again")
    return ok("da3-nano", f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, loads")
