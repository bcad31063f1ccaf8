"""What an examination says, a line each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Finding", "fault", "note", "ok"]


@dataclass(frozen=True)
class Finding:
    """status: 'ok', 'note' (something is absent, or slower or later than it could be) or 'FAIL' (runs will fail).

    remedy: what to do, empty where nothing is to be done.
    """

    status: str
    subject: str
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.status:<5} {self.subject:<22} {self.detail}" + (f"; {self.remedy}" if self.remedy else "")


def ok(subject: str, detail: str) -> Finding:
    return Finding("ok", subject, detail)


def note(subject: str, detail: str, remedy: str = "") -> Finding:
    return Finding("note", subject, detail, remedy)


def fault(subject: str, detail: str, remedy: str) -> Finding:
    return Finding("FAIL", subject, detail, remedy)
