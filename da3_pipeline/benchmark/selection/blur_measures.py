"""How well measures of sharpness tell blurred pictures from sharp ones of other things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from scipy.stats import rankdata, spearmanr

from ...arrays import Bytes, Float, Int
from ...geometry import Camera
from ...progress import Progress
from ...select.config import SharpnessConfig
from ...select.measures.sharpness import sharpness
from .motion_blur import motion_blurred

__all__ = ["MEASURES", "BlurredPictures", "blur_table", "render_pictures", "separation"]

_KINDS = ("facade", "objects", "room", "showroom")
_WIDTH, _HEIGHT = 960, 720
_LENGTHS_PX = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
_SHARP_PX, _BLURRED_PX = 1.0, 4.0
_OPTICS_PX = 0.6  # sigma of the lens: no camera draws edges as sharp as a renderer
_NOISE = (0.8, 2.5)
_GAIN = (0.75, 1.1)
_QUALITY = 85
_SEED = 1000


@dataclass(frozen=True)
class BlurredPictures:
    """grey (n, H, W); length_px (n,) of the blur; scene (n,): equal for pictures of one view."""

    grey: Bytes
    length_px: Float
    scene: Int


def render_pictures(scenes: int, progress: Progress) -> BlurredPictures:
    """A view of each of `scenes` scenes of every kind, in six lengths of blur; noise, exposure and compression vary."""
    grey, lengths, numbers = [], [], []
    total = scenes * len(_KINDS)
    for number, (rgb, camera) in enumerate(_views(scenes)):
        rng = np.random.default_rng([_SEED, number])
        gain, noise = rng.uniform(*_GAIN), rng.choice(_NOISE)
        for length_px in _LENGTHS_PX:
            grey.append(_taken(motion_blurred(rgb, camera, length_px, rng), gain, noise, rng))
            lengths.append(length_px)
            numbers.append(number)
        progress.step(number + 1, total, "views")
    return BlurredPictures(np.stack(grey), np.array(lengths), np.array(numbers))


def _views(scenes: int) -> Iterator[tuple[Bytes, Camera]]:
    from ...training.synthetic.atlas import build_atlas
    from ...training.synthetic.render import render_view
    from ...training.synthetic.scenes import HELD_OUT_SEED, make_scene
    from ...training.synthetic.viewpoints import place_cameras

    atlas = build_atlas(HELD_OUT_SEED, 90)
    for kind in _KINDS:
        for seed in range(scenes):
            scene = make_scene(HELD_OUT_SEED + _SEED + seed, atlas, kind)
            view = place_cameras(np.random.default_rng([seed, _SEED]), scene, 1, (_WIDTH, _HEIGHT))
            pose, K = (torch.tensor(values[0], dtype=torch.float32) for values in (view.cam_from_world, view.K))
            picture = render_view(scene, atlas, pose, K, (_WIDTH, _HEIGHT)).colour.numpy()
            yield (255 * picture).astype(np.uint8), Camera.pinhole(_WIDTH, _HEIGHT, float(view.K[0, 0, 0]))


def _taken(rgb: Float, gain: float, noise: float, rng: np.random.Generator) -> Bytes:
    """Through a lens, exposed, with noise, compressed; grey."""
    soft = cv2.GaussianBlur(rgb * gain, (0, 0), _OPTICS_PX)
    bgr = (soft + rng.normal(0, noise, soft.shape)).clip(0, 255).astype(np.uint8)[..., ::-1]
    coded = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def _laplacian_energy(grey: Bytes) -> float:
    """The common measure: variance of the Laplacian."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _detail_over_contrast(grey: Bytes) -> float:
    """The measure before this one: the least second difference of four directions, over coarse contrast."""
    values = grey.astype(np.int32)
    middle = 2 * values[1:-1, 1:-1]
    energies = (
        ((values[1:-1, 2:] + values[1:-1, :-2] - middle) ** 2).mean(),
        ((values[2:, 1:-1] + values[:-2, 1:-1] - middle) ** 2).mean(),
        ((values[2:, 2:] + values[:-2, :-2] - middle) ** 2).mean() / 4,
        ((values[2:, :-2] + values[:-2, 2:] - middle) ** 2).mean() / 4,
    )
    coarse = cv2.resize(grey, (grey.shape[1] // 8, grey.shape[0] // 8), interpolation=cv2.INTER_AREA)
    return float(np.sqrt(min(energies) / (float(coarse.var()) + 1.0)))


MEASURES: dict[str, Callable[[Bytes], float]] = {
    "Laplacian energy": _laplacian_energy,
    "detail over contrast (before)": _detail_over_contrast,
    "steepness of edges": partial(sharpness, config=SharpnessConfig()),
}
"""By name; higher is sharper."""


def separation(sharp: Float, blurred: Float) -> float:
    """Area under the ROC curve: how often a sharp picture scores above a blurred one, in 0..1."""
    ranks = rankdata(np.concatenate([sharp, blurred]))
    return float((ranks[: len(sharp)].sum() - len(sharp) * (len(sharp) + 1) / 2) / (len(sharp) * len(blurred)))


def blur_table(pictures: BlurredPictures) -> str:
    """A line a measure: separation over all scenes and within each, rank correlation with blur, spread when sharp."""
    lengths = pictures.length_px
    rows = [f"{'measure':<32}{'AUC':>7}{'at 4 px':>9}{'in scene':>10}{'rank corr.':>12}{'spread':>8}"]
    for name, measure in MEASURES.items():
        values = np.array([measure(grey) for grey in pictures.grey])
        sharp, blurred = lengths <= _SHARP_PX, lengths >= _BLURRED_PX
        within = [
            separation(values[sharp & (pictures.scene == scene)], values[blurred & (pictures.scene == scene)])
            for scene in np.unique(pictures.scene)
        ]
        spread = np.log(values[lengths == 0] + 1e-9).std()
        everywhere = separation(values[sharp], values[blurred])
        hard = separation(values[sharp], values[lengths == _BLURRED_PX])
        correlation = -float(spearmanr(values, lengths).statistic)
        rows.append(
            f"{name:<32}{everywhere:>7.3f}{hard:>9.3f}{float(np.mean(within)):>10.3f}{correlation:>12.2f}{spread:>8.2f}"
        )
    return "\n".join(rows)
