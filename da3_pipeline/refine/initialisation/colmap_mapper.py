"""Other starts: COLMAP's mappers, the global and the incremental one, on our keypoints and verified matches."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pycolmap

from ...geometry import Camera
from ...grouping import Groups
from ..solve.problem import Estimate, Problem

__all__ = ["map_with_colmap"]

_SMALLEST = 3  # images of a model; COLMAP drops those of fewer than ten, when it has several
_MOST_MODELS = 3  # grown from what the first leave; up to fifty, where nothing fits, kept it busy for ten minutes


def map_with_colmap(problem: Problem, cameras: dict[str, Camera], seed: int, incremental: bool = False) -> Estimate:
    """Poses and cameras of the largest model that COLMAP finds; NaN poses for frames outside it.

    incremental: image by image, which takes longer and gets along with a lens an image; otherwise all at once.

    A database in a temporary folder carries the problem over: rigs, frames, images, keypoints, two-view geometries.
    """
    poses = np.full((problem.num_frames, 3, 4), np.nan)
    with tempfile.TemporaryDirectory(prefix="da3-mapper-") as folder:
        path = Path(folder) / "database.db"
        numbers = _fill_database(path, problem, cameras)
        try:
            models = (_grown if incremental else _at_once)(path, folder, seed)
        except (RuntimeError, ValueError):  # how COLMAP says that a graph cannot be mapped
            models = {}
        if not models:
            return Estimate(poses, cameras)
        best = max(models.values(), key=lambda model: model.num_reg_images())
        for image in best.images.values():
            if image.has_pose:
                poses[int(image.name)] = image.cam_from_world().matrix()
        found = {name: Camera.from_pycolmap(best.cameras[k]) for name, k in numbers.items() if k in best.cameras}
    return Estimate(poses, {**cameras, **found})


def _at_once(database: Path, folder: str, seed: int) -> dict[int, pycolmap.Reconstruction]:
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads, options.random_seed = 1, seed
    return pycolmap.global_mapping(database, folder, folder, options=options)


def _grown(database: Path, folder: str, seed: int) -> dict[int, pycolmap.Reconstruction]:
    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads, options.random_seed, options.mapper.random_seed = 1, seed, seed
    options.min_model_size, options.max_num_models = _SMALLEST, _MOST_MODELS
    return pycolmap.incremental_mapping(database, folder, folder, options=options)


def _fill_database(path: Path, problem: Problem, cameras: dict[str, Camera]) -> dict[str, int]:
    """Writes the problem; image names are frame indices. Returns the database's camera number by camera_id."""
    with pycolmap.Database.open(path) as database:
        numbers, rigs = {}, {}
        for name, camera in cameras.items():
            model = camera.to_pycolmap()
            model.has_prior_focal_length = name in problem.known_cameras or name in problem.exif_focal_px
            numbers[name] = database.write_camera(model)
            rig = pycolmap.Rig()
            rig.add_ref_sensor(pycolmap.sensor_t(type=pycolmap.SensorType.CAMERA, id=numbers[name]))
            rigs[name] = database.write_rig(rig)
        keypoints, indices = _keypoints(problem)
        images = []
        for index in range(problem.num_frames):
            name = problem.camera_of(index)
            image_id = database.write_image(pycolmap.Image(name=str(index), camera_id=numbers[name]))
            frame = pycolmap.Frame()
            frame.rig_id = rigs[name]
            frame.add_data_id(
                pycolmap.data_t(pycolmap.sensor_t(type=pycolmap.SensorType.CAMERA, id=numbers[name]), image_id)
            )
            database.write_frame(frame)
            database.write_keypoints(image_id, keypoints[index].astype(np.float32))
            images.append(image_id)
        _write_pairs(database, problem, images, indices)
    return numbers


def _keypoints(problem: Problem) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct matched positions of each frame, and for every match (M, 2) their indices."""
    matches = problem.matches
    as_first, as_second = (Groups.of(side[matches.pair], problem.num_frames) for side in matches.frames.T)
    indices = np.empty((len(matches), 2), np.uint32)
    keypoints = []
    for index in range(problem.num_frames):
        first, second = as_first[index], as_second[index]
        xy = np.concatenate([matches.xy_first[first], matches.xy_second[second]])
        unique, place = np.unique(xy, axis=0, return_inverse=True)
        indices[first, 0] = place.reshape(-1)[: len(first)]
        indices[second, 1] = place.reshape(-1)[len(first) :]
        keypoints.append(unique)
    return keypoints, indices


def _write_pairs(database: pycolmap.Database, problem: Problem, images: list[int], indices: np.ndarray) -> None:
    matches = problem.matches
    bounds = np.searchsorted(matches.pair, np.arange(len(matches.frames) + 1))
    for number, (i, j) in enumerate(matches.frames.tolist()):
        pairs = indices[bounds[number] : bounds[number + 1]]
        database.write_matches(images[i], images[j], pairs)
        geometry = pycolmap.TwoViewGeometry()
        geometry.config = pycolmap.TwoViewGeometryConfiguration.UNCALIBRATED
        geometry.F = matches.fundamental[number]
        geometry.inlier_matches = pairs
        database.write_two_view_geometry(images[i], images[j], geometry)
