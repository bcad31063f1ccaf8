"""What version each stage's results are of: part of the key under which a finished stage is found again."""

from __future__ import annotations

__all__ = ["STAGE_VERSIONS"]

STAGE_VERSIONS = {
    "ingest": 14,
    "select": 10,
    "mask": 3,
    "infer": 5,
    "refine": 54,
    "georegister": 5,
    "export": 16,
}
"""Raise a stage's number when its code gives other results: sessions then do it again, and all that follows it.

A test holds these to the code (tests/test_stage_versions.py); `make stages` answers it.
"""
