"""Putting solids together into a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ...arrays import Float, Float32, Int
from .atlas import Atlas
from .solids import Kind, Solids
from .textures import SIZE

__all__ = ["Scene", "SceneBuilder", "yaw"]

_RELIEF_SIDE = 48


@dataclass(frozen=True)
class Scene:
    """Solids under light. World: metres, z up.

    lights (L, 3) unit directions towards the lights and light_colours (L, 3); ambient (3,).
    sky (2, 3): colours at the horizon and at the zenith; sky_texture: atlas index.
    focus (3,): what cameras look at; stands (2, 3): the box, low and high corner, in which cameras stand;
    reach_m: size of what is around the focus.
    """

    name: str
    solids: Solids
    lights: Tensor
    light_colours: Tensor
    ambient: Tensor
    sky: Tensor
    sky_texture: int
    focus: Float
    stands: Float
    reach_m: float


class SceneBuilder:
    """Collects solids; draws their textures from the atlas with the scene's own random generator."""

    def __init__(self, rng: np.random.Generator, atlas: Atlas) -> None:
        self.rng = rng
        self._atlas = atlas
        self._rows: list[dict[str, object]] = []
        self._heights: list[Float] = []
        self._overlays = atlas.of_style("noise", "gradient", "cells", "photograph", "shapes")

    def textures(self, *styles: str) -> Int:
        """Indices to choose from: the textures of `styles`, or all."""
        chosen = self._atlas.of_style(*styles)
        return chosen if len(chosen) else np.arange(len(self._atlas))

    def add(
        self,
        kind: Kind,
        centre: ArrayLike,
        half: ArrayLike,
        rotation: Float | None = None,
        *,
        metres_per_tile: float | None = None,
        styles: tuple[str, ...] = (),
    ) -> None:
        """A solid with `rotation` local_from_world; a texture tile covers about `metres_per_tile`."""
        rng = self.rng
        half = np.asarray(half, float)
        tile = metres_per_tile or float(np.exp(rng.uniform(np.log(0.8), np.log(4.5)))) * half.max()
        choice = self.textures(*styles)
        faces = rng.choice(choice, 6) if kind == Kind.ROOM or rng.random() < 0.4 else np.full(6, rng.choice(choice))
        overlay_tile = tile * np.exp(rng.uniform(np.log(0.3), np.log(5)))
        self._rows.append(
            {
                "kind": int(kind),
                "centre": np.asarray(centre, float),
                "local_from_world": np.eye(3) if rotation is None else rotation,
                "half": half,
                "texture": faces,
                "overlay": int(rng.choice(self._overlays)),
                "overlay_gain": rng.uniform(0.2, 1.0) if rng.random() < 0.75 else 0.0,
                "texels_per_m": np.array([SIZE / tile, SIZE / overlay_tile]),
                "offset": rng.uniform(0, SIZE, 2),
                "tint": rng.uniform(0.75, 1.15) * rng.uniform(0.85, 1.1, 3),
                "relief": len(self._heights),
            }
        )
        if kind == Kind.RELIEF:
            self._heights.append(_relief(rng))

    def build(self, name: str, focus: Float, stands: Float, reach_m: float) -> Scene:
        rng = self.rng
        heights = np.stack(self._heights or [np.zeros((2, 2))]).astype(np.float32)
        columns = {key: np.stack([np.asarray(row[key]) for row in self._rows]) for key in self._rows[0]}
        columns["relief"] = columns["relief"].clip(max=len(heights) - 1)
        tensors = {key: torch.from_numpy(_narrow(column)) for key, column in columns.items()}
        solids = Solids(**tensors, heights=torch.from_numpy(heights))
        lights = rng.normal(0, 1, (3, 3)) + np.array([0, 0, 0.8])
        strengths = np.array([rng.uniform(0.4, 1.0), rng.uniform(0.1, 0.4), rng.uniform(0, 0.3)])
        ambient = rng.uniform(0.3, 0.6)
        horizon, zenith = rng.uniform(0.5, 1, 3), rng.uniform(0.3, 0.9) * np.array([0.7, 0.85, 1.0])
        single = torch.float32
        return Scene(
            name,
            solids,
            torch.tensor(lights / np.linalg.norm(lights, axis=1, keepdims=True), dtype=single),
            torch.tensor(strengths[:, None] * rng.uniform(0.8, 1.1, (3, 3)), dtype=single),
            torch.tensor(ambient * rng.uniform(0.9, 1.1, 3), dtype=single),
            torch.tensor(np.stack([horizon, zenith]), dtype=single),
            int(rng.choice(self.textures("noise", "gradient", "photograph"))),
            np.asarray(focus, float),
            np.asarray(stands, float),
            reach_m,
        )


def yaw(angle_rad: float) -> Float:
    """local_from_world of a solid turned by an angle about the world's z axis."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.0]])


def _narrow(column: Float) -> Float32 | Int:
    return column.astype(np.int64) if column.dtype.kind == "i" else column.astype(np.float32)


def _relief(rng: np.random.Generator) -> Float:
    """Heights in [0.05, 1]: rolling ground, or a panel of raised blocks."""
    side = _RELIEF_SIDE
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    field = np.zeros((side, side))
    if rng.random() < 0.5:
        for _ in range(8):
            wave = rng.normal(0, 7, 2)
            field += np.sin(wave[0] * x + wave[1] * y + rng.uniform(0, 7)) / (1 + np.hypot(*wave))
    else:
        for _ in range(int(rng.integers(4, 14))):
            (left, top), (width, height) = rng.uniform(0, 0.9, 2), rng.uniform(0.05, 0.4, 2)
            field[(x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)] = rng.uniform(0, 1)
    low, high = field.min(), field.max()
    return np.asarray(0.05 + 0.95 * (field - low) / max(high - low, 1e-9))
