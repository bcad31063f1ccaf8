"""COLMAP from files to a data set, as `python -m`: JSON request on stdin, answer on stdout.

The data set is the largest model, and copies of the images that it has a pose for.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pycolmap

from ...metering import Meter
from ...quiet import quiet_colmap
from ..fresh_process import answer_request
from ..truth.scene_truth import copy_images

__all__ = ["main"]

_CAMERA_MODES = {
    "one": pycolmap.CameraMode.SINGLE,
    "folders": pycolmap.CameraMode.PER_FOLDER,
    "images": pycolmap.CameraMode.PER_IMAGE,
}


def main() -> int:
    """Answer one request: a `ColmapMode`'s fields, images, output, masks and seed."""
    return answer_request(_mapped)


def _mapped(request: dict[str, Any]) -> dict[str, Any]:
    meter, images, output = Meter(), Path(request["images"]), Path(request["output"])
    database, seconds = output / "database.db", {}
    pycolmap.set_random_seed(request["seed"])
    with quiet_colmap():
        began_s = time.perf_counter()
        if request["features"] == "sift":
            _extract(database, images, request)
            seconds["extraction"] = time.perf_counter() - began_s
            _match(database, request["matching"])
        else:
            _import_learned(database, images, request)
        matched_s = time.perf_counter()
        seconds["matching"] = matched_s - began_s - seconds.get("extraction", 0.0)
        mapping = pycolmap.incremental_mapping if request["mapper"] == "incremental" else pycolmap.global_mapping
        try:
            models = mapping(database, images, output / "models")
        except (RuntimeError, ValueError):  # how it says that nothing can be mapped
            models = {}
        mapped_s = time.perf_counter()
        seconds["mapping"] = mapped_s - matched_s
        largest = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
        if largest is not None:
            _write(largest, images, output / "data_set")
        seconds["writing"] = time.perf_counter() - mapped_s
    return {
        "registered": largest.num_reg_images() if largest else 0,
        "models": len(models),
        "seconds": seconds,
        "peak_mb": meter.peak_memory_mb,
    }


def _extract(database: Path, images: Path, request: dict[str, Any]) -> None:
    pycolmap.extract_features(
        database,
        images,
        camera_mode=_CAMERA_MODES[request["cameras"]],
        reader_options=_reader(request),
        device=pycolmap.Device.cpu,
    )


def _match(database: Path, matching: str) -> None:
    match = pycolmap.match_exhaustive if matching == "exhaustive" else pycolmap.match_sequential
    match(database, device=pycolmap.Device.cpu)


def _import_learned(database: Path, images: Path, request: dict[str, Any]) -> None:
    from .learned_matches import import_matches

    pycolmap.Database.open(database).close()  # importing wants it to be there
    pycolmap.import_images(database, images, _CAMERA_MODES[request["cameras"]], options=_reader(request))
    masks = Path(request["masks"]) if request["masks"] else None
    import_matches(database, images, request["features"], request["matching"], masks)


def _reader(request: dict[str, Any]) -> pycolmap.ImageReaderOptions:
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = request["camera_model"]
    if request["masks"]:
        reader.mask_path = request["masks"]
    return reader


def _write(model: pycolmap.Reconstruction, images: Path, data_set: Path) -> None:
    """images/ and sparse/0."""
    (data_set / "sparse" / "0").mkdir(parents=True)
    model.write_binary(data_set / "sparse" / "0")
    copy_images({image.name: images / image.name for image in model.images.values()}, data_set / "images")


if __name__ == "__main__":
    raise SystemExit(main())
