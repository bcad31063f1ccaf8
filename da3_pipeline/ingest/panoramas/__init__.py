"""Pictures that show all around: which they are, and what of the world is where in them."""

from .fisheye_pair import FisheyePairFile, read_fisheye_pair
from .recognised import FLAT, Recognised, photo_panorama, video_panorama

__all__ = ["FLAT", "FisheyePairFile", "Recognised", "photo_panorama", "read_fisheye_pair", "video_panorama"]
