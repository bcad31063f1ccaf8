"""Two sets of cameras of the same pictures side by side: sessions, COLMAP's models, other programs' poses, truth."""

from .camera_set import CameraSet, read_camera_set
from .comparing import Comparison, compare

__all__ = ["CameraSet", "Comparison", "compare", "read_camera_set"]
