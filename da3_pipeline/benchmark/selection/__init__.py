"""Which frames are taken from video, and what that does to the poses."""
