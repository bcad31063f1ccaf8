"""Sets of views in tar files, for scale: written and read by WebDataset, each in one go from start to end.

    FOLDER/sets-000000.tar    000000.cameras.json, 000000.0.jpg, 000000.0.depth.npy, 000000.1.jpg, ...

A sample is one set of views at one size; the cameras hold K, cam_from_world and whether depth is in metres. Depth is
half floats in units of the set's median, so that kilometres fit.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ...errors import CaptureError, MissingExtraError, UsageError
from ..samples import Batch
from .posed import PosedSource, stacked

__all__ = ["ShardSource", "write_shards"]

_PATTERN = "sets-%06d.tar"
_JPEG_QUALITY = 95


def write_shards(
    source: PosedSource, folder: Path, sets: int, views: int, size: tuple[int, int], a_shard: int = 200, seed: int = 0
) -> int:
    """`sets` sets of `views` views of a data set at `size` (width, height) as shards in `folder`; the shards written.

    The choice of views is that of training, made once. Raises UsageError where the folder has shards already.
    """
    if any(folder.glob("*.tar")):
        raise UsageError(f"{folder} holds shards already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rng, metric = np.random.default_rng(seed), source.metric
    with _webdataset().ShardWriter(str(folder / _PATTERN), maxcount=a_shard, verbose=0) as writer:
        for number in range(sets):
            writer.write({"__key__": f"{number:06d}", **_sample(source.draw(rng, 1, views, size), metric)})
    return len(list(folder.glob("*.tar")))


class ShardSource:
    """The shards of a folder. Each pool is drawn from one of them: a read from start to end, no seeks."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._shards = folder, sorted(folder.glob("*.tar"))
        if not self._shards:
            raise UsageError(f"{folder} holds no .tar of sets: make them with `shards`")

    @property
    def metric(self) -> bool:
        return bool(json.loads(self._samples(self._shards[0])[0]["cameras.json"])["metric"])

    def draw(self, rng: np.random.Generator, sets: int, views: int, size: tuple[int, int]) -> Batch:
        """Of a shard chosen at random, sets chosen at random; resized to `size`, whose aspect must be the stored one
        within 1 percent. Raises CaptureError where sets have fewer views."""
        shard = self._shards[int(rng.integers(0, len(self._shards)))]
        samples = self._samples(shard)
        chosen = rng.permutation(len(samples))[:sets] if sets <= len(samples) else rng.integers(0, len(samples), sets)
        return stacked([_batch(samples[index], views, size, shard) for index in chosen])

    def _samples(self, shard: Path) -> list[dict[str, Any]]:
        read = _webdataset().tariterators
        with shard.open("rb") as file:  # by itself WebDataset leaves files open, and takes names for commands
            members = read.tar_file_expander([{"url": str(shard), "stream": file}])
            samples = list(read.group_by_keys(members))
        if not samples:
            raise CaptureError(f"{shard} holds no sets: write the shards anew")
        return samples


def _sample(batch: Batch, metric: bool) -> dict[str, bytes]:
    unit = float(batch.depth[batch.depth > 0].median()) if bool((batch.depth > 0).any()) else 1.0
    cameras = {"K": batch.K[0].tolist(), "cam_from_world": batch.cam_from_world[0].tolist()}
    parts = {"cameras.json": json.dumps({**cameras, "metric": metric, "depth_unit": unit}).encode()}
    for view, (image, depth) in enumerate(zip(batch.images[0], batch.depth[0], strict=True)):
        bgr = np.ascontiguousarray(image.permute(1, 2, 0).numpy()[..., ::-1])
        parts[f"{view}.jpg"] = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
        stored = io.BytesIO()
        np.save(stored, (depth.numpy() / unit).astype(np.float16))
        parts[f"{view}.depth.npy"] = stored.getvalue()
    return parts


def _batch(sample: dict[str, Any], views: int, size: tuple[int, int], shard: Path) -> Batch:
    try:
        cameras = json.loads(sample["cameras.json"])
        K, poses = (torch.tensor(cameras[name], dtype=torch.float32) for name in ("K", "cam_from_world"))
        if len(K) < views:
            raise CaptureError(f"{shard} has sets of {len(K)} views, {views} are asked for: write larger sets")
        images, depths, height, width = [], [], 0, 0
        for view in range(views):
            picture = cv2.imdecode(np.frombuffer(sample[f"{view}.jpg"], np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                raise ValueError(f"picture {view} cannot be read")
            height, width = picture.shape[:2]
            depth = np.load(io.BytesIO(sample[f"{view}.depth.npy"]), allow_pickle=False).astype(np.float32)
            images.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[..., ::-1].transpose(2, 0, 1).copy())
            depths.append(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT) * cameras["depth_unit"])
    except (KeyError, ValueError, TypeError) as error:
        raise CaptureError(
            f"{shard}: set {sample.get('__key__')} is damaged ({error}): write the shards anew"
        ) from error
    across, down = size[0] / width, size[1] / height
    if abs(across / down - 1) > 0.01:
        raise CaptureError(
            f"{shard} has pictures of {width} x {height}, and {size[0]} x {size[1]} is another "
            "aspect: train at sizes of the stored aspect, or write shards of this one"
        )
    K = K[:views] * torch.tensor([[across], [down], [1.0]])
    pictures, maps = (torch.from_numpy(np.stack(part))[None] for part in (images, depths))
    return Batch(pictures, maps, poses[None, :views], K[None])


def _webdataset() -> Any:
    try:
        import webdataset
    except ImportError as error:
        raise MissingExtraError("reading and writing shards", "train") from error
    return webdataset
