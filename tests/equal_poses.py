"""Are two checkouts of this project the same on real captures? Run by hand, before and after code is moved.

    python tests/equal_poses.py --before ../earlier CAPTURE...

Each checkout reconstructs each capture (a folder of photographs) in a process of its own, with the same seed and the
environment of this interpreter. Prints the largest difference of poses, focal lengths and points, and exits with 1
where one is over the tolerance or the verdicts part.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

RECONSTRUCT = """
import sys
from pathlib import Path
import numpy as np
from da3_pipeline import PipelineConfig, reconstruct

scene = reconstruct(Path(sys.argv[1]), PipelineConfig())
focal = [scene.cameras[name].focal_px for name in sorted(scene.cameras)]
verdict = [gate.value for gate in scene.verdict.gates]
np.savez(sys.argv[2], poses=scene.cam_from_world, focal=focal, points=scene.tracks.points, verdict=verdict)
"""


def reconstruct(checkout: Path, capture: Path) -> dict[str, np.ndarray]:
    """What the code in `checkout` makes of a capture."""
    paths = (checkout, checkout / "plugins", checkout / "workflows")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path.resolve()) for path in paths)}
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "scene.npz"
        command = [sys.executable, "-c", RECONSTRUCT, str(capture.resolve()), str(found)]
        subprocess.run(command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        with np.load(found) as arrays:
            return dict(arrays)


def largest_difference(before: np.ndarray, after: np.ndarray) -> float:
    """inf where the shapes or what is unknown differ."""
    if before.shape != after.shape or not np.array_equal(np.isfinite(before), np.isfinite(after)):
        return float("inf")
    finite = np.isfinite(before)
    return float(np.abs(before[finite] - after[finite]).max(initial=0.0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--tolerance", type=float, default=1e-9)
    parser.add_argument("captures", type=Path, nargs="+")
    arguments = parser.parse_args()
    equal = True
    print("capture | frames | poses | focal lengths | points | gates")
    for capture in arguments.captures:
        one, other = (reconstruct(checkout, capture) for checkout in (arguments.before, Path(__file__).parents[1]))
        differences = [largest_difference(one[name], other[name]) for name in ("poses", "focal", "points", "verdict")]
        equal &= max(differences) <= arguments.tolerance
        label = "/".join(capture.resolve().parts[-2:])
        print(label, len(one["poses"]), *(f"{difference:.1e}" for difference in differences), sep=" | ", flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
