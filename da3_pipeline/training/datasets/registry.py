"""The data sets by name."""

from __future__ import annotations

from ...errors import UsageError
from .arkitscenes import ARKITSCENES
from .blendedmvs import BLENDEDMVS
from .co3d import CO3D
from .contract import DataSet
from .hypersim import HYPERSIM
from .megadepth import MEGADEPTH
from .nerfstudio_scenes import DL3DV, SCANNETPP
from .tartanair import TARTANAIR
from .vkitti2 import VKITTI2
from .wildrgbd import WILDRGBD

__all__ = ["DATA_SETS", "data_set"]

DATA_SETS: dict[str, DataSet] = {
    "arkitscenes": ARKITSCENES,
    "blendedmvs": BLENDEDMVS,
    "co3d": CO3D,
    "dl3dv": DL3DV,
    "hypersim": HYPERSIM,
    "megadepth": MEGADEPTH,
    "scannetpp": SCANNETPP,
    "tartanair": TARTANAIR,
    "vkitti2": VKITTI2,
    "wildrgbd": WILDRGBD,
}


def data_set(name: str) -> DataSet:
    """The data set called `name`. Raises UsageError that lists the known names."""
    if name not in DATA_SETS:
        raise UsageError(f"no data set is called {name!r}; known: {', '.join(DATA_SETS)}")
    return DATA_SETS[name]
