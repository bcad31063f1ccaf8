"""Writes published.npz: what the published benchmark code and evo make of small random and degenerate inputs.

In an environment of its own: pip install torch==2.13.0 numpy evo open3d-cpu==0.19.0 einops addict omegaconf tqdm
plyfile scikit-learn opencv-python-headless, and --no-deps depth-anything-3==0.1.1; then: python make_goldens.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from depth_anything_3.bench import utils as published
from depth_anything_3.bench.datasets.dtu import DTU
from depth_anything_3.utils.pose_align import align_poses_umeyama
from evo.core import metrics
from evo.core.trajectory import PosePath3D
from scipy.io import savemat
from scipy.spatial.transform import Rotation

OUT = Path(__file__).with_name("published.npz")
THRESHOLDS = (1, 3, 5, 15, 30)


def poses(places: np.ndarray, seed: int) -> np.ndarray:
    turns = Rotation.random(len(places), random_state=seed).as_matrix()
    return np.concatenate([turns, -turns @ places[..., None]], axis=2)


def disturbed(truth: np.ndarray, degrees: float, share: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    turns = Rotation.from_rotvec(np.radians(degrees) * rng.normal(size=(len(truth), 3))).as_matrix()
    places = -np.einsum("nji,nj->ni", truth[:, :, :3], truth[:, :, 3])
    places = places + share * rng.normal(size=places.shape)
    rotation = turns @ truth[:, :, :3]
    return np.concatenate([rotation, -rotation @ places[..., None]], axis=2)


def pose_cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    cases = {}
    for count in (2, 3, 5, 12, 30):
        for degrees, share in ((0.5, 0.01), (3.0, 0.1), (40.0, 1.0)):
            truth = poses(rng.normal(size=(count, 3)), count)
            cases[f"{count} by {degrees}"] = truth, disturbed(truth, degrees, share, count)
    line = poses(np.linspace(0, 1, 8)[:, None] * [1.0, 2, 3], 8)
    cases["on a line"] = line, disturbed(line, 2.0, 0.02, 8)
    walk = poses(rng.normal(size=(6, 3)), 6)
    cases["predicted at one place"] = walk, np.concatenate([walk[:, :, :3], np.zeros((6, 3, 1))], 2)
    cases["predicted alike"] = walk, np.tile(np.eye(3, 4), (6, 1, 1))
    cases["mirrored"] = walk, np.concatenate([walk[:, :, :3], -walk[:, :, 3:]], 2)
    still = np.concatenate([walk[:, :, :3], np.zeros((6, 3, 1))], 2)
    cases["truly at one place"] = still, walk
    outlying = poses(rng.normal(size=(30, 3)), 3)
    wrong = disturbed(outlying, 0.5, 0.01, 3)
    wrong[:9] = poses(5 * rng.normal(size=(9, 3)), 4)
    cases["outliers"] = outlying, wrong
    return cases


def square(cameras: np.ndarray) -> np.ndarray:
    return np.concatenate([cameras, np.tile([[[0.0, 0, 0, 1]]], (len(cameras), 1, 1))], axis=1)


def of_poses(kept: dict[str, np.ndarray]) -> None:
    for name, (truth, estimate) in pose_cases().items():
        aligned = [published.align_to_first_camera(torch.from_numpy(square(one))) for one in (estimate, truth)]
        errors = [one.numpy() for one in published.se3_to_relative_pose_error(*aligned, len(truth))]
        kept[f"pose/{name}/truth"], kept[f"pose/{name}/estimate"] = truth, estimate
        kept[f"pose/{name}/auc"] = np.array([published.calculate_auc_np(*errors, limit)[0] for limit in THRESHOLDS])
        for kind, ransac in (("plain", False), ("robust", True)):
            try:
                r, t, s = align_poses_umeyama(square(truth), square(estimate), ransac=ransac, random_state=42)
            except Exception:  # evo refuses what leaves the rotation open
                continue
            kept[f"pose/{name}/{kind}"] = np.concatenate([[s], r.ravel(), t])


def of_clouds(kept: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    sphere = rng.normal(size=(1500, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    near = sphere[:1200] + 0.02 * rng.normal(size=(1200, 3))
    far = np.vstack([near, rng.uniform(-2, 2, (300, 3))])
    cases = {
        "near": (near, sphere, 0.05, 0.0),
        "thinned": (far, sphere, 0.05, 0.06),
        "half": (near[near[:, 0] > 0], sphere, 0.1, 0.03),
        "elsewhere": (near + 50, sphere, 0.05, 0.1),
        "nothing": (np.zeros((0, 3)), sphere, 0.05, 0.1),
        "itself": (sphere, sphere, 0.05, 0.1),
    }
    for name, (found, truth, threshold, voxel) in cases.items():
        found, truth = found.astype(np.float32), truth.astype(np.float32)
        told = published.evaluate_3d_reconstruction(found.astype(float), truth.astype(float), threshold, voxel)
        kept[f"cloud/{name}/found"], kept[f"cloud/{name}/truth"] = found, truth
        kept[f"cloud/{name}/options"] = np.array([threshold, voxel])
        kept[f"cloud/{name}/told"] = np.array(
            [told[key] for key in ("acc", "comp", "overall", "precision", "recall", "fscore")]
        )


def of_dtu(kept: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform([-10, -10, 0], [10, 10, 0.5], (1500, 3)).astype(np.float32)
    found = (truth[:900] + rng.normal(0, 0.1, (900, 3))).astype(np.float32)
    found = np.vstack([found, found[:500] + 0.05, rng.uniform(-40, 40, (200, 3))]).astype(np.float32)
    seen = rng.random((24, 24, 6)) < 0.9
    box, step, plane = np.array([[-12.0, -12, -2], [12, 12, 4]]), 1.0, np.array([0.0, 0, 1, -0.1])
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("mask.mat", "plane.mat")]
        savemat(files[0], {"ObsMask": seen.astype(np.uint8), "BB": box, "Res": np.array([[step]])})
        savemat(files[1], {"P": plane[:, None]})
        told = DTU()._evaluate_reconstruction("scan1", found.copy(), truth.copy(), *files)
    kept |= {"dtu/found": found, "dtu/truth": truth, "dtu/seen": seen, "dtu/box": box}
    kept |= {"dtu/step": np.array(step), "dtu/plane": plane, "dtu/told": np.array(told)}


def of_evo(kept: dict[str, np.ndarray]) -> None:
    """A walk of 41 poses, 0.4 of its size and turned, with a drift."""
    rng = np.random.default_rng(3)
    places = np.cumsum(rng.normal(size=(41, 3)) * [1, 1, 0.1], axis=0)
    turns = Rotation.from_rotvec(np.cumsum(0.1 * rng.normal(size=(41, 3)), axis=0)).as_matrix()
    truth = np.concatenate([turns, -turns @ places[..., None]], axis=2)
    estimate = disturbed(truth, 1.5, 0.05, 9)
    world = Rotation.from_rotvec([0.4, -1, 0.3]).as_matrix()
    estimate = np.concatenate([estimate[:, :, :3] @ world.T, 0.4 * estimate[:, :, 3:]], axis=2)
    estimate[:, :, 3] -= estimate[:, :, :3] @ [1.0, 2, 3]
    kept |= {"evo/truth": truth, "evo/estimate": estimate}
    reference = PosePath3D(poses_se3=list(np.linalg.inv(square(truth))))
    for alignment in ("none", "se3", "sim3"):
        path = PosePath3D(poses_se3=list(np.linalg.inv(square(estimate))))
        if alignment != "none":
            path.align(reference, correct_scale=alignment == "sim3")
        ape = metrics.APE(metrics.PoseRelation.translation_part)
        ape.process_data((reference, path))
        told = [ape.get_statistic(metrics.StatisticsType.rmse)]
        for delta, overlapping in ((1, False), (5, False), (5, True)):
            for relation in (metrics.PoseRelation.translation_part, metrics.PoseRelation.rotation_angle_deg):
                rpe = metrics.RPE(relation, delta=delta, delta_unit=metrics.Unit.frames, all_pairs=overlapping)
                rpe.process_data((reference, path))
                told.append(rpe.get_statistic(metrics.StatisticsType.rmse))
        kept[f"evo/{alignment}"] = np.array(told)


def main() -> None:
    kept: dict[str, np.ndarray] = {}
    for write in (of_poses, of_clouds, of_dtu, of_evo):
        write(kept)
    np.savez_compressed(OUT, **kept)
    print(f"{OUT.name}: {len(kept)} arrays, {OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
