"""Video files in, upright frames out, one at a time; timestamps without decoding.

Frames are numbered in display order. Times are real presentation times, whatever the frame rate does. What comes out is
what a player shows: turned and mirrored as the container says, without the comb of interlaced recordings, and HDR as
SDR. PyAV speaks for FFmpeg; every way of failing is an `UnreadableVideoError`, an OSError with a `reason`.
"""

from .container import UnreadableVideoError
from .frames import DecodedFrame, VideoInfo, decode_frames, probe_video
from .spherical import Spherical

__all__ = ["DecodedFrame", "Spherical", "UnreadableVideoError", "VideoInfo", "decode_frames", "probe_video"]
