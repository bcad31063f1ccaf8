"""A comparison as a table for people and as plain values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .camera_set import CameraSet
from .comparing import Comparison, Spread

__all__ = ["as_document", "as_table"]

_NAMED = 6  # frames that a line names


def as_table(found: Comparison) -> str:
    """Lines of at most a screen's width but for names."""
    rotation, position, focal = _spreads(found)
    percent = 100 / found.extent if found.extent > 0 else float("nan")
    lines = [_described("A", found.a), _described("B", found.b), _counted(found), ""]
    lines.append(f"{'A beside B':<18}{'median':>10}{'90 %':>10}{'max':>10}")
    lines.append(_row("rotation, deg", rotation))
    lines.append(_row("position, of B", position))
    lines.append(_row("position, %", position, percent) + f"  of {found.extent:.4g}, which B's cameras are across")
    signed = found.focal_percent[np.isfinite(found.focal_percent)]
    if focal is not None:
        lines.append(
            _row("focal length, %", focal) + f"  A is {_signed(float(np.median(signed)))} % longer at the median"
        )
    lines.append(_recall("AUC@1/3/5", found.auc, "the pairs of common frames"))
    if found.only_b:
        lines.append(_recall("", found.auc_of_b, "all pairs of B's frames"))
    lines.append(f"{'scale':<18}{found.b_from_a.scale:>10.5g}  units of B are one of A")
    if found.turned:
        lines.append(
            f"{len(found.turned)} pictures are upright in one and lie on their side in the other, as where EXIF's "
            f"orientation is applied by one alone; their rotations tell that: {_some(found.turned)}"
        )
    return "\n".join(lines)


def as_document(found: Comparison) -> dict[str, Any]:
    """Every figure of the table, and each frame's."""
    rotation, position, focal = _spreads(found)
    spreads = {"rotation_deg": rotation, "position": position, "focal_percent": focal}
    frames = zip(found.names, found.rotation_deg, found.position, found.focal_percent, strict=True)
    return {
        "a": _side(found.a),
        "b": _side(found.b),
        "common": len(found.names),
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        **{name: None if spread is None else asdict(spread) for name, spread in spreads.items()},
        "extent": found.extent,
        "auc": dict(zip(("1", "3", "5"), found.auc, strict=True)),
        "auc_of_b": dict(zip(("1", "3", "5"), found.auc_of_b, strict=True)),
        "b_from_a": {
            "scale": found.b_from_a.scale,
            "rotation": found.b_from_a.rotation.tolist(),
            "translation": found.b_from_a.translation.tolist(),
        },
        "turned": list(found.turned),
        "frames": [
            {"name": name, "rotation_deg": turn, "position": apart, "focal_percent": longer}
            for name, turn, apart, longer in frames
        ],
    }


def _spreads(found: Comparison) -> tuple[Spread | None, Spread | None, Spread | None]:
    return (
        Spread.of(found.rotation_deg, found.names),
        Spread.of(found.position, found.names),
        Spread.of(np.abs(found.focal_percent), found.names),
    )


def _side(cameras: CameraSet) -> dict[str, Any]:
    told = {"path": str(cameras.path), "kind": cameras.kind, "posed": len(cameras.names)}
    told |= {"unposed": list(cameras.unposed), "points": cameras.points}
    return told | {"seconds": cameras.seconds, "passed": cameras.passed}


def _described(letter: str, cameras: CameraSet) -> str:
    parts = [f"{len(cameras.names)} frames posed"]
    if cameras.unposed:
        parts.append(f"{len(cameras.unposed)} without a pose")
    if cameras.points is not None:
        parts.append(f"{cameras.points} points")
    if cameras.seconds is not None:
        parts.append(f"{cameras.seconds:.1f} s")
    if cameras.passed is not None:
        parts.append("passed its gates" if cameras.passed else "below its gates")
    return f"{letter}  {_shown(str(cameras.path))} ({cameras.kind}): {', '.join(parts)}"


def _counted(found: Comparison) -> str:
    parts = [f"{len(found.names)} common"]
    for letter, names in (("A", found.only_a), ("B", found.only_b)):
        parts.append(f"only in {letter} {len(names)}" + (f" ({_some(names)})" if names else ""))
    return "frames: " + ", ".join(parts)


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(_shown, names[:_NAMED])) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _rounded(value: float) -> float:
    """Zero for what is left over from arithmetic."""
    return value if abs(value) > 1e-9 else 0.0


def _shown(name: str) -> str:
    """Without what would command a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def _row(title: str, spread: Spread | None, factor: float = 1.0) -> str:
    if spread is None:
        return f"{title:<18}{'-':>10}{'-':>10}{'-':>10}"
    figures = "".join(f"{_rounded(factor * value):>10.4g}" for value in (spread.median, spread.p90, spread.largest))
    return f"{title:<18}{figures}" + (f"  {_shown(spread.worst)}" if factor == 1.0 else "")


def _recall(title: str, auc: Sequence[float], of: str) -> str:
    figures = "".join(f"{value:>10.1f}" if np.isfinite(value) else f"{'-':>10}" for value in auc)
    return f"{title:<18}{figures}  of {of}"


def _signed(value: float) -> str:
    return f"{value:+.3g}"
