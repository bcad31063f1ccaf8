"""python -m fuzz MINUTES [TARGET ...]: every target for as long, on new seeds each time; findings are kept as files."""

from __future__ import annotations

import logging
import resource
import sys
import time
from pathlib import Path

from fuzz.running import run
from fuzz.targets import TARGETS

_MEMORY = 8 << 30
_KEPT = Path("fuzz-findings")


def main() -> int:
    minutes, names = float(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    logging.disable(logging.CRITICAL)
    share_s, seed, total, found = 60 * minutes / len(names), time.time_ns(), 0, 0
    for name in names:
        end = time.monotonic() + share_s
        done, findings = run(TARGETS[name], seed, lambda _, end=end: time.monotonic() < end)
        total, found = total + done, found + len(findings)
        print(f"{name:<22}{done:>8} executions, {len(findings)} findings", flush=True)
        for where, finding in findings.items():
            _KEPT.mkdir(exist_ok=True)
            place = _KEPT / f"{name}-{where.split(' ')[0]}-{finding.name.replace('/', '-')}".replace(" ", "-")
            place.write_bytes(finding.data)
            print(f"  {where}: {place}\n{finding.error}", flush=True)
    print(f"{total} executions, {found} findings, seed {seed}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
