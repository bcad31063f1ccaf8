"""The benchmarks that have commands of their own, each run as a user runs it, at its own size or at a quick one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...files.fingerprint import fingerprint
from ...progress import Progress
from ..fresh_process import run_metered
from ..kept_results import code_version, kept_once

__all__ = ["PLANS", "Plan", "Ran", "measure_sections", "plans_named"]

_COMMAND = "from da3_pipeline.cli import main; main()"
_SCENE, _CACHE = "{scene}", "{cache}"


@dataclass(frozen=True)
class Plan:
    """One benchmark: `words` of its command at its own size and `quick` ones. {scene} and {cache} are replaced by a
    scene with truth and by a folder for what it renders."""

    name: str
    title: str
    about: str
    words: tuple[str, ...]
    quick: tuple[str, ...]


PLANS: tuple[Plan, ...] = (
    Plan(
        "speed",
        "Speed",
        "Forward passes of the built-in network, and the pipeline beside COLMAP as a capture grows.",
        ("speed", "da3-nano", "--cache", _CACHE),
        ("speed", "da3-nano", "--views", "2", "--views", "8", "--size", "126x168", "--rounds", "1", "--images", "8",
         "--images", "16", "--cache", _CACHE),
    ),
    Plan(
        "robustness",
        "Refinement of rough priors",
        "From the truth with noise, against what perfect poses reach.",
        ("robustness", _SCENE),
        ("robustness", _SCENE, "--noise", "5:5:5", "--noise", "20:20:20", "--seeds", "1"),
    ),
    Plan(
        "few-views",
        "Few views",
        "A few views with little overlap, from a rough prior, beside COLMAP.",
        ("few-views", _SCENE),
        ("few-views", _SCENE, "--views", "3", "--views", "5", "--seeds", "1"),
    ),
    Plan(
        "adjustment",
        "Bundle adjustment as captures grow",
        "Seconds, memory and accuracy on synthetic problems.",
        ("adjustment",),
        ("adjustment", "50"),
    ),
    Plan(
        "scenarios",
        "Scenarios",
        "Rendered captures, hard in one way each, ours beside COLMAP.",
        ("scenarios", "--cache", _CACHE),
        ("scenarios", "forward motion", "pure rotation", "--cache", _CACHE),
    ),
    Plan(
        "verdict",
        "Verdicts on few views",
        "The whole pipeline on a few views at a time: is it right, and does the verdict say so?",
        ("verdict", _SCENE, "--cache", _CACHE),
        ("verdict", _SCENE, "--views", "3", "--views", "5", "--subsets", "1", "--no-rendered", "--cache", _CACHE),
    ),
    Plan(
        "spoilt",
        "Spoilt photographs",
        "Photographs with grain, borders, crops, a finger and more: does what is not solved ever pass?",
        ("spoilt", _SCENE, "--cache", _CACHE),
        ("spoilt", _SCENE, "--kind", "grain", "--kind", "crop", "--cache", _CACHE),
    ),
    Plan(
        "selection",
        "Frames of blurred video",
        "Measures of sharpness on pictures of known blur, and the frames that are taken.",
        ("selection", "--cache", _CACHE),
        ("selection", "--walks", "1", "--scenes", "1", "--cache", _CACHE),
    ),
    Plan(
        "long",
        "Long captures",
        "Memory, time and drift on a rendered tour that comes back, with a network as good as the best published.",
        ("long", "--simulated", "--cache", _CACHE),
        ("long", "60", "--simulated", "--views", "16", "--cache", _CACHE),
    ),
    Plan(
        "rendering",
        "Splats on held-out views",
        "Splats trained from our poses and seeds, COLMAP's beside them.",
        ("rendering", _SCENE, "--ab"),
        ("rendering", _SCENE, "--ab", "--seeds", "1", "--iterations", "100", "--gaussians", "1000", "--width", "96"),
    ),
)  # fmt: skip
"""In the order of the page; what is quickest to be wrong stands first."""


@dataclass(frozen=True)
class Ran:
    """What came of a plan: the command, its table, or why there is none, and the seconds that it took."""

    plan: Plan
    command: str
    text: str
    failure: str
    seconds: float


def plans_named(names: Sequence[str]) -> tuple[Plan, ...]:
    """The plans of these names, all where there are none. Raises UsageError for a name that is none."""
    known = {plan.name: plan for plan in PLANS}
    for name in names:
        if name not in known:
            raise UsageError(f"--only {name}: no such benchmark; there are geometry, {', '.join(known)}")
    return tuple(known[name] for name in names) or PLANS


def measure_sections(
    plans: Sequence[Plan], scene: Path, cache: Path, results: Path, quick: bool, progress: Progress
) -> list[Ran]:
    """Run each, in processes of their own; what an earlier call finished is kept, what failed is tried again."""
    found = []
    progress.begin("benchmarks")
    for number, plan in enumerate(plans):
        progress.step(number, len(plans), plan.title)
        given = plan.quick if quick else plan.words
        words = [word.replace(_SCENE, str(scene)).replace(_CACHE, str(cache / plan.name)) for word in given]
        path = results / f"{plan.name}{' quick' if quick else ''}.json"
        kept = kept_once(path, fingerprint(code_version(), words), partial(_run, words), _has_failed, wait=True)
        assert kept is not None  # it was waited for
        command = shlex.join(["da3-pipeline", "bench", *words])
        found.append(Ran(plan, command, kept["text"], kept["failure"], kept["seconds"]))
    failed = sum(bool(one.failure) for one in found)
    progress.end(f"{len(found)} benchmarks" + (f", {failed} failed" if failed else ""))
    return found


def _run(words: Sequence[str]) -> dict[str, Any]:
    finished = run_metered([sys.executable, "-c", _COMMAND, "bench", *words])
    failure = "" if finished.exit_code == 0 else finished.last_word
    return {"text": finished.stdout.rstrip("\n"), "failure": failure, "seconds": finished.wall_s}


def _has_failed(document: dict[str, Any]) -> bool:
    return bool(document["failure"])
