"""What every stage's configuration is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Settings"]


class Settings(BaseModel):
    """Values with units, bounds and reasons; frozen: change a copy by `model_copy(update=...)`. Unknown names fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")
