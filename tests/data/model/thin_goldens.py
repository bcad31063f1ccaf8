"""Thins the reference files of the published network so that they fit into the repository.

    python tests/data/model/thin_goldens.py FOLDER    # of the full reference files, SPEC section 6

Of each large output every k-th number is kept, under the name `NAME@k`, with k a prime that no side of the maps has as
a factor, so that what is kept lies all over them. What is kept stays float32: halves are coarser than the tolerance.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

__all__ = ["save_thinned"]

HERE = Path(__file__).parent
NETWORKS = (
    "da3-small__n1",
    "da3-small__n2",
    "da3-small__batch2",
    "da3-small__nopose",
    "da3-small__posed",
    "da3-small__feats",
    "da3-small__ref_first",
    "da3-small__ref_middle",
    "da3-small__ref_saddle_balanced",
    "da3-small__ref_saddle_sim_range",
    "da3metric-large__n2_140x196",
)
FUNCTIONS = (
    "unit_gsadapter_gt",
    "unit_gsadapter_nogt",
    "unit_normext",
    "unit_posemb",
    "unit_posenc",
    "unit_raypose_clean",
    "unit_raypose_noisy",
    "unit_raypose_offcentre_pp",
    "unit_rotsh",
    "unit_umeyama",
)
PRIMES = (11, 13, 17, 19, 23, 29, 31, 41, 43, 47, 53, 61, 71, 83, 97, 113, 127)  # not 37, which 518 has as a factor
MOST_NUMBERS = 4500


def save_thinned(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays, of which those with more than `MOST_NUMBERS` numbers are thinned."""
    np.savez_compressed(path, **dict(_thinned(name, values) for name, values in arrays.items()))


def _thinned(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    if values.size <= MOST_NUMBERS:
        return name, values
    step = next(prime for prime in PRIMES if values.size <= MOST_NUMBERS * prime)
    base, _, before = name.partition("@")
    return f"{base}@{step * int(before or 1)}", values.ravel()[::step]


def _thin_preprocessing(arrays: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Two files. Of the two photographs of one size the network's view of the first alone was kept: it is enough."""
    mixed = {name: values for name, values in arrays.items() if name.startswith("mixed")}
    return {
        "unit_preproc_mixed": mixed,
        "unit_preproc": {
            name: values[:1] if name == "imgs" else values for name, values in arrays.items() if name not in mixed
        },
    }


def main() -> None:
    source = Path(sys.argv[1])

    def load(stem: str) -> dict[str, np.ndarray]:
        with np.load(source / f"{stem}.npz") as file:
            return dict(file)

    for stem in NETWORKS:
        save_thinned(HERE / f"{stem}.npz", load(stem))
    for stem in FUNCTIONS:
        (HERE / f"{stem}.npz").write_bytes((source / f"{stem}.npz").read_bytes())
    for stem, arrays in _thin_preprocessing(load("unit_preproc")).items():
        np.savez_compressed(HERE / f"{stem}.npz", **arrays)


if __name__ == "__main__":
    main()
