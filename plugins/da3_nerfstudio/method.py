"""The method `da3-splatfacto`: nerfstudio's splatfacto with what suits our data sets."""

from __future__ import annotations

from nerfstudio.cameras.camera_optimizers import CameraOptimizerConfig
from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanagerConfig
from nerfstudio.engine.optimizers import AdamOptimizerConfig
from nerfstudio.engine.schedulers import ExponentialDecaySchedulerConfig
from nerfstudio.engine.trainer import TrainerConfig
from nerfstudio.pipelines.base_pipeline import VanillaPipelineConfig
from nerfstudio.plugins.types import MethodSpecification

from .dataparser import Da3DataParserConfig
from .splatfacto import McmcSplatfactoConfig

__all__ = ["DA3_SPLATFACTO"]

_STEPS = 30_000


def _decaying(first: float, last: float, warmup_steps: int = 0) -> dict[str, object]:
    schedule = ExponentialDecaySchedulerConfig(
        lr_final=last, max_steps=_STEPS, warmup_steps=warmup_steps, lr_pre_warmup=0
    )
    return {"optimizer": AdamOptimizerConfig(lr=first, eps=1e-15), "scheduler": schedule}


def _constant(rate: float) -> dict[str, object]:
    return {"optimizer": AdamOptimizerConfig(lr=rate, eps=1e-15), "scheduler": None}


DA3_SPLATFACTO = MethodSpecification(
    config=TrainerConfig(
        method_name="da3-splatfacto",
        steps_per_eval_image=100,
        steps_per_eval_batch=0,
        steps_per_save=2000,
        steps_per_eval_all_images=1000,
        max_num_iterations=_STEPS,
        mixed_precision=False,
        pipeline=VanillaPipelineConfig(
            datamanager=FullImageDatamanagerConfig(dataparser=Da3DataParserConfig(), cache_images_type="uint8"),
            # MCMC keeps seeds that lie right and moves what fades; it needs no opacity resets, and bounds the memory.
            model=McmcSplatfactoConfig(
                # Poses are sub-pixel, not exact: what is left of an error of theirs would be blurred into the splat.
                camera_optimizer=CameraOptimizerConfig(mode="SO3xR3"),
                # Phones change exposure and white balance while filming; without this they become floaters.
                use_bilateral_grid=True,
            ),
        ),
        optimizers={
            "means": _decaying(1.6e-4, 1.6e-6),
            "features_dc": _constant(0.0025),
            "features_rest": _constant(0.0025 / 20),
            "opacities": _constant(0.05),
            "scales": _constant(0.005),
            "quats": _constant(0.001),
            "camera_opt": _decaying(1e-4, 5e-7, warmup_steps=1000),
            "bilateral_grid": _decaying(2e-3, 1e-4, warmup_steps=1000),
        },
        viewer=ViewerConfig(num_rays_per_chunk=1 << 15),
        vis="viewer",
    ),
    description="splatfacto on a da3-pipeline data set: our seeds, MCMC, camera optimiser, bilateral grid.",
)
