"""What a finished run comes to, on stdout: a few lines for people, or one JSON document for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from ..files.strict_json import strict_json
from .console import printable, say, say_json
from .exits import EXIT_BELOW_GATES

if TYPE_CHECKING:
    from ..pipeline import Outcome

__all__ = ["conclude"]

_MOST_TOLD = 2  # failed gates beside the one in the summary


def conclude(outcome: Outcome, as_json: bool) -> None:
    """Say how the run ended. Raises typer.Exit where it, or another place of the capture, is below its gates."""
    outcomes = (outcome, *outcome.others)
    if as_json:
        document = _document(outcome) | {"others": [_document(other) for other in outcome.others]}
        say_json(strict_json(document, indent=2))
    else:
        for number, one in enumerate(outcomes, 1):
            _tell(one, f"place {number}: " if len(outcomes) > 1 else "")
    if not all(one.passed for one in outcomes):
        raise typer.Exit(EXIT_BELOW_GATES)


def _document(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.scene.verdict
    return {
        "passed": verdict.passed,
        "unverified": verdict.unverified,
        "summary": verdict.summary,
        "folder": str(outcome.result.folder),
        "network": outcome.scene.prediction.source,
        "gates": [asdict(gate) for gate in verdict.gates],
        "not_measured": [vars(gate) for gate in verdict.not_measured],
        "figures": outcome.scene.figures,
    }


def _tell(outcome: Outcome, which: str) -> None:
    verdict = outcome.scene.verdict
    say(f"{which}{verdict.summary}")
    others = [gate for gate in verdict.gates if not gate.passed and gate.remedy not in verdict.summary]
    for gate in others[:_MOST_TOLD]:
        say(f"  {gate.name}: {gate.finding}; {gate.remedy}")
    if len(others) > _MOST_TOLD:
        say(f"  and {len(others) - _MOST_TOLD} more in the report")
    say(f"report: {printable(str(outcome.result.folder / 'report.html'))}")
