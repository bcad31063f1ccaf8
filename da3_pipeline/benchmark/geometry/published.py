"""Figures of the Depth Anything 3 paper (v1, tables 2, 3, 5 and 11), beside measured ones; percent, DTU in mm, dB.

Poses are by the published formula, which is not the relative pose's: "Auc3 as published" is the column to compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PUBLISHED", "PublishedRow"]

_SETS = ("hiroom", "eth3d", "dtu", "7scenes", "scannetpp")
_POSES = {
    "DUSt3R": "17.6/54.3 4.3/27.3 4.0/74.3 6.9/61.6 8.1/33.9",
    "Fast3R": "25.9/77.0 8.1/44.4 9.5/79.1 19.0/78.6 17.9/72.5",
    "MapAnything": "17.9/82.8 19.2/77.4 6.5/72.7 12.6/79.7 20.2/84.1",
    "Pi3": "67.0/94.8 35.2/87.3 62.5/94.9 25.5/86.3 50.7/92.1",
    "VGGT": "49.1/88.0 26.3/80.8 79.2/99.8 23.9/85.0 62.6/95.1",
    "DA3-Giant": "80.3/95.9 48.4/91.2 94.1/99.4 28.5/86.8 85.0/98.1",
    "DA3-Large": "58.7/94.2 32.2/86.9 70.2/96.7 29.2/86.6 60.2/94.7",
    "DA3-Base": "19.0/83.2 15.1/74.6 60.1/95.9 20.1/82.9 25.1/83.4",
    "DA3-Small": "9.49/75.2 8.59/62.1 30.6/91.2 14.0/78.7 10.9/71.9",
}
"""AUC at 3 and 30 degrees by data set; of DTU the 64 views."""
_SURFACES = {
    "DUSt3R": "30.1/39.5 19.7/18.8 7.60/7.97 26.6/39.8 18.9/27.3",
    "Fast3R": "40.7/48.2 38.5/50.3 6.88/8.20 41.0/49.8 37.1/53.7",
    "MapAnything": "32.4/69.2 54.8/71.9 7.91/3.97 44.8/55.2 39.4/71.3",
    "Pi3": "75.8/85.0 72.7/80.6 3.28/1.72 44.2/57.5 63.1/73.3",
    "VGGT": "56.7/70.2 57.2/66.7 2.05/1.44 47.9/51.4 66.4/70.7",
    "DA3-Giant": "85.1/95.6 79.0/87.1 1.85/1.85 53.5/56.5 77.0/79.3",
    "DA3-Large": "69.5/87.1 65.8/75.2 2.08/1.23 56.3/49.2 67.9/75.7",
    "DA3-Base": "25.9/71.4 49.5/66.7 2.87/2.36 49.9/50.6 47.2/67.8",
    "DA3-Small": "18.3/52.2 41.6/63.4 5.83/2.49 41.0/46.8 32.3/53.8",
}
"""F1 by the method's cameras and by the true ones; of DTU the chamfer distance in mm."""
_PICTURES = {
    "pixelSplat": "16.55/.456/.480 13.81/.347/.558 13.87/.367/.561",
    "MVSplat": "18.13/.559/.393 14.81/.391/.508 14.67/.398/.533",
    "DepthSplat": "19.24/.620/.322 15.80/.474/.418 15.90/.471/.450",
    "Fast3R": "19.30/.604/.320 16.24/.478/.409 16.43/.493/.421",
    "MV-DUSt3R": "20.01/.645/.294 17.04/.529/.370 16.20/.484/.437",
    "VGGT": "20.96/.697/.253 17.18/.550/.347 16.45/.500/.417",
    "DA3": "21.33/.711/.241 18.10/.578/.311 17.89/.561/.351",
}
"""PSNR in dB, SSIM and LPIPS of splats that networks give at once from 12 views of 480 x 270 px; nothing is trained."""
_METRES = {
    "DepthPro": ".932/.093 .843/.121 .386/.349 .950/.126 .734/.173",
    "Metric3Dv2": ".971/.067 .976/.051 .830/.138 .954/.132 .018/.154",
    "UniDepthv1": ".980/.061 .978/.051 .234/.464 .971/.113 .570/.266",
    "UniDepthv2": ".968/.064 .968/.076 .863/.152 .977/.111 .856/.123",
    "DA3-metric": ".963/.070 .953/.086 .917/.104 .973/.105 .838/.128",
}
"""delta 1 and AbsRel of depth in metres, by data set."""


@dataclass(frozen=True)
class PublishedRow:
    """Means by name of a `Figure`, of a method on a data set, as the paper tells them."""

    dataset: str
    method: str
    means: dict[str, float] = field(default_factory=dict)


def _rows() -> tuple[PublishedRow, ...]:
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for table, of_dtu, names in (
        (_POSES, "dtu64", ("Auc3 as published", "Auc30 as published")),
        (_SURFACES, "dtu", ("F1 own poses", "F1 true poses")),
    ):
        for method, text in table.items():
            for dataset, pair in zip(_SETS, text.split(), strict=True):
                name = of_dtu if dataset == "dtu" else dataset
                columns = ("chamfer own poses", "chamfer true poses") if name == "dtu" else names
                values = zip(columns, map(float, pair.split("/")), strict=True)
                rows.setdefault((name, method), {}).update(values)
    for method, text in _PICTURES.items():
        for dataset, figures in zip(("dl3dv", "tanksandtemples", "megadepth"), text.split(), strict=True):
            told = zip(("PSNR", "SSIM", "LPIPS"), map(float, figures.split("/")), strict=True)
            rows.setdefault((dataset, method), {}).update(told)
    for method, text in _METRES.items():
        for dataset, figures in zip(("nyu", "kitti", "eth3d", "sunrgbd", "diode"), text.split(), strict=True):
            delta, abs_rel = map(float, figures.split("/"))
            means = {"delta 1, metres": round(100 * delta, 1), "AbsRel, metres": abs_rel}
            rows.setdefault((dataset, method), {}).update(means)
    return tuple(PublishedRow(dataset, method, means) for (dataset, method), means in rows.items())


PUBLISHED = _rows()
"""By data set of this benchmark and method."""
