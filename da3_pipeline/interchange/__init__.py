"""A finished session as other programs open it: glTF, RealityCapture's table of cameras, pictures of depth."""

from .conversion import FORMATS, convert

__all__ = ["FORMATS", "convert"]
