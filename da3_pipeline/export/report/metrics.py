"""metrics.json: the few figures of a session that a monitor collects, taken from its report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["METRICS_VERSION", "metrics_document"]

METRICS_VERSION = 1
_UNPOSED = ("none", "unverified")


def metrics_document(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of the document of report.json, which says what each figure is of. Totals are over all stages, whichever run they
    are of; a processor time that was not noted makes theirs null.

    frames: found (in the sources, files that are no pictures included), chosen, posed, and kept in the data set.
    """
    frames, stages, verdict = report["frames"], report["stages"], report["verdict"]
    chosen = {row["name"] for row in frames}
    cpu_s = [stage["cpu_seconds"] for stage in stages]
    return {
        "schema": "da3-pipeline/metrics",
        "version": METRICS_VERSION,
        "created": report["created"],
        "da3_pipeline": report["versions"].get("da3-pipeline"),
        "preset": report["config"].get("preset"),
        "verdict": "passed" if verdict["passed"] else "unverified" if verdict["unverified"] else "below gates",
        "failed_gates": [gate["name"] for gate in verdict["gates"] if not gate["passed"]],
        "frames": {
            "found": len(chosen | {item["frame"] for item in report["dropped"]}),
            "chosen": len(frames),
            "posed": sum(row["pose_source"] not in _UNPOSED for row in frames),
            "kept": report["data_set"]["images"] if report["data_set"] else 0,
        },
        "seconds": sum(stage["seconds"] for stage in stages),
        "cpu_seconds": None if None in cpu_s else sum(cpu_s),
        "peak_memory_mb": max((stage["peak_memory_mb"] for stage in stages), default=0.0),
        "stages": {stage["name"]: {key: stage[key] for key in stage if key != "name"} for stage in stages},
    }
