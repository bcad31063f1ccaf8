"""Every parser of foreign bytes, for a moment: `make fuzz` goes on for longer, from other seeds."""

from __future__ import annotations

import pytest
from fuzz.running import run
from fuzz.targets import TARGETS

EXECUTIONS = 20


@pytest.mark.parametrize("name", TARGETS)
def test_a_spoilt_file_is_read_or_refused_in_one_line(name: str) -> None:
    done, findings = run(TARGETS[name], 14, lambda done: done < EXECUTIONS)
    assert done == EXECUTIONS and not findings, "\n".join(finding.error for finding in findings.values())
