"""Captures and sessions at URLs (s3://, gs://, ...): fetched to a machine's own disk, done there, and sent back."""

from .captures import find_remote_captures
from .folder import RemoteFolder, is_url
from .mirror import finished_at
from .scratch import scratch_for
from .visit import visit

__all__ = ["RemoteFolder", "find_remote_captures", "finished_at", "is_url", "scratch_for", "visit"]
