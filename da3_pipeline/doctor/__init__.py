"""What is wrong on this machine, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from .accelerator import of_accelerator
from .caches import of_caches
from .finding import Finding
from .installation import of_installation
from .machine import disk, memory
from .output import output_folder

__all__ = ["Finding", "examine"]


def examine(output: Path | None = None) -> list[Finding]:
    """Look at the installation, the accelerator, memory, disks and caches, and at what is in an `output` folder.

    Nothing is changed but for a file that is written into the folders and removed again.
    """
    folder = output or Path.cwd()
    findings = [*of_installation(), *of_accelerator(), memory(), disk("disk", folder), *of_caches()]
    return findings + (output_folder(output) if output is not None else [])
