"""Pictures that are painted on meshes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from ..scan import FoundFile
from .remaining import Remaining
from .roles import tokens, words

__all__ = ["textures"]

_TEXTURE = words(
    "texture textures textured material materials mat albedo diffuse basecolor basecolour roughness metallic "
    "metalness specular glossiness normal bump displacement ao occlusion emissive emission opacity atlas tex"
)
_MTL_MAP = re.compile(r"^\s*(?:map_\w+|bump|disp|decal|refl|norm)\s+(?:-\S+\s+(?:[-\d.]+\s+)*)*(.+?)\s*$", re.I | re.M)
_MOST_BYTES = 16 * 2**20


def textures(left: Remaining) -> Mapping[FoundFile, str]:
    """Named by a material or glTF file beside; or called so, or square as atlases are, in the folder of a mesh.

    A photograph that lies beside a mesh is none: it is neither named, nor called so, nor square to a power of two.
    """
    if not left.meshes:
        return {}
    named = {name: mesh for mesh in left.meshes for name in _named_by(mesh)}
    by_folder = {mesh.parent: mesh for mesh in reversed(left.meshes)}
    found: dict[FoundFile, str] = {}
    for file in left.pictures:
        mesh = named.get(file.path) or by_folder.get(file.path.parent)
        if mesh is None and file.below and _is_called_texture(file.path.parent.name):
            mesh = by_folder.get(file.path.parent.parent)
        if mesh is not None and (
            file.path in named or _is_called_texture(file.path.stem) or _is_atlas(left, file, mesh)
        ):
            found[file] = mesh.name
    return found


def _named_by(mesh: Path) -> list[Path]:
    """The pictures that a material or glTF file refers to."""
    if mesh.suffix.lower() not in (".mtl", ".gltf"):
        return []
    try:
        with open(mesh, "rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")
        if mesh.suffix.lower() == ".mtl":
            names = _MTL_MAP.findall(text)
        else:
            images = json.loads(text).get("images", [])
            names = [str(image["uri"]) for image in images if "uri" in image]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return []
    return [mesh.parent / name.replace("\\", "/") for name in names if "\0" not in name]


def _is_called_texture(name: str) -> bool:
    return any(word in _TEXTURE for word in tokens(name))


def _is_atlas(left: Remaining, file: FoundFile, mesh: Path) -> bool:
    """Square, of a power of two pixels, and called as the mesh: a photograph is hardly ever all three."""
    header = left.contents.header(file)
    if header is None or not file.path.stem.lower().startswith(mesh.stem.lower()):
        return False
    side = header.width
    return side == header.height and side >= 256 and side & (side - 1) == 0
