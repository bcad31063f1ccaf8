"""The GPU: does PyTorch see it, and do driver, PyTorch and its companions fit each other?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

from .finding import Finding, fault, note, ok

__all__ = ["of_accelerator"]

_DRIVER = Path("/proc/driver/nvidia/version")
_DEVICE = Path("/dev/nvidiactl")
_BROKEN_PAIR = re.compile(r"torchvision::\w+ does not exist|undefined symbol|incompatible", re.IGNORECASE)


def of_accelerator() -> Iterator[Finding]:
    """The device that runs will use, and why it is no GPU where there is one."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield fault("device", f"torch cannot be loaded: {error}", "pip install --force-reinstall torch")
        return
    yield _cuda(torch) if torch.cuda.is_available() else _without_cuda(torch)
    yield from _companion()


def _cuda(torch: ModuleType) -> Finding:
    """A small product on the device: kernels for its kind may be missing from the build."""
    name = torch.cuda.get_device_name()
    try:
        one = torch.ones(8, 8, device="cuda")
        works = bool((one @ one).sum().item() == 8**3)
        free, total = torch.cuda.mem_get_info()
    except RuntimeError as error:
        capability = "sm_{}{}".format(*torch.cuda.get_device_capability())
        detail = f"{name} ({capability}) does not work with torch {torch.__version__}: {str(error).splitlines()[0]}"
        return fault("device", detail, "install a build of torch for this GPU, or run with --device cpu")
    if not works:
        return fault("device", f"{name} computes wrong numbers", "run with --device cpu, and test the GPU")
    free_gib, total_gib = free / 2**30, total / 2**30
    detail = f"{name}, {free_gib:.1f} of {total_gib:.1f} GiB free"
    if free_gib < 2:
        return note("device", detail, "end what else uses it, or run with --device cpu")
    return ok("device", detail)


def _without_cuda(torch: ModuleType) -> Finding:
    driver = _driver_version()
    cpu = f"runs on the CPU with {torch.get_num_threads()} threads"
    if torch.version.cuda is None and driver:
        detail = f"NVIDIA's driver {driver} is there, but torch {torch.__version__} is a build without CUDA"
        return note("device", f"{detail}: {cpu}", "install torch for CUDA: pip install --force-reinstall torch")
    if driver:
        detail = f"driver {driver} is too old for torch's CUDA {torch.version.cuda}, or the device is not to be reached"
        remedy = "update the driver, install torch for an older CUDA, or set CUDA_VISIBLE_DEVICES"
        return note("device", f"{detail}: {cpu}", remedy)
    if _DEVICE.exists():
        detail = "an NVIDIA device is there without its driver's version"
        return note("device", f"{detail}: {cpu}", "give the container the driver: --gpus all")
    return note("device", f"no CUDA device: {cpu}")


def _driver_version() -> str:
    """Of NVIDIA's kernel module; empty where there is none."""
    try:
        found = re.search(r"\d{3,}\.\d+(\.\d+)?", _DRIVER.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return ""
    return found.group() if found else "of an unknown version"


def _companion() -> Iterator[Finding]:
    """torchvision is built for one version of torch, and says so by errors of all kinds when it is loaded."""
    try:
        metadata.version("torchvision")
        import torchvision
    except metadata.PackageNotFoundError:
        return
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        pair = " (built for another torch)" if _BROKEN_PAIR.search(first) else ""
        remedy = "install torch and torchvision together, from one index"
        yield fault("torchvision", f"cannot be loaded{pair}: {first}", remedy)
    else:
        yield ok("torchvision", torchvision.__version__)
