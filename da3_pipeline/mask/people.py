"""Where people are in a picture, by torchvision's semantic segmentation networks."""

from __future__ import annotations

import contextlib
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image

from ..arrays import Bool
from ..errors import InferenceError, MissingExtraError, WeightsError
from ..imageio import read_rgb

if TYPE_CHECKING:
    import torch

__all__ = ["PeopleFinder"]

_PERSON = 15  # in PASCAL VOC's order of classes, which the weights COCO_WITH_VOC_LABELS_V1 predict
_SIDE_PX = 520  # shorter side of what the weights were trained on


class PeopleFinder:
    """Call it with a picture to get its people. The weights are those of torch's hub, fetched on first use."""

    def __init__(self, model: str, device: str) -> None:
        """Raises MissingExtraError without torchvision, WeightsError where the weights are neither here nor there."""
        try:
            import torch
            from torchvision.models import get_model, get_model_weights
        except (ImportError, RuntimeError) as error:  # a torchvision of another torch dies of a missing operator
            raise MissingExtraError("--mask-people", "people") from error
        self._torch = torch
        name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        weights = get_model_weights(model)["COCO_WITH_VOC_LABELS_V1"]
        self._prepare = weights.transforms()
        network = get_model(model, weights=None, weights_backbone=None, num_classes=21, **_extras(model))
        place = Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])
        try:
            network.load_state_dict(_state_dict(weights, place))
        except (RuntimeError, AttributeError) as error:
            raise WeightsError(f"{place}: not the weights of {model}; delete it, it is fetched again") from error
        try:
            self._network = network.eval().to(name)
        except (RuntimeError, AssertionError) as error:
            raise InferenceError(f"--device {device}: cannot be used ({error}); choose another") from error
        self._device = name

    def __call__(self, path: Path, width: int, height: int) -> Bool:
        """(height, width) of an upright picture: True where it shows people rather than anything else.

        Raises UnreadableImageError.
        """
        torch = self._torch
        rgb = read_rgb(path, max_side_px=round(_SIDE_PX * max(width, height) / min(width, height)))
        pixels = torch.from_numpy(rgb).permute(2, 0, 1)
        with torch.inference_mode():
            scores = self._network(self._prepare(pixels)[None].to(self._device))["out"][0]
            lead = scores[_PERSON] - torch.cat([scores[:_PERSON], scores[_PERSON + 1 :]]).amax(0)
        # Enlarging the lead over the other classes, and not the decision, gives an outline without steps.
        image = Image.fromarray(lead.float().cpu().numpy())
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)) > 0


def _extras(model: str) -> dict[str, Any]:
    return {"aux_loss": True} if model.startswith("deeplab") else {}


def _state_dict(weights: Any, place: Path) -> dict[str, torch.Tensor]:
    """The weights from torch's hub folder, where they are put on first use."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch announces a download on stdout, which is the verdict's
            return cast("dict[str, torch.Tensor]", weights.get_state_dict(weights_only=True, check_hash=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        if place.exists():
            raise WeightsError(f"{place}: cannot be read as weights; delete it, it is fetched again") from error
        why = getattr(error, "reason", None) or error
        raise WeightsError(f"{weights.url}: cannot be fetched ({why}); put the file at {place} yourself") from error
