"""splatfacto with densification as Markov chain Monte Carlo (Kheradmand 2024), which nerfstudio 1.1.5 does not offer.

gsplat has the strategy; what is here joins the two. Gaussians that fade are moved to where the scene needs them, so
seeds that lie right are kept, and their number is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from gsplat.strategy import MCMCStrategy
from nerfstudio.models.splatfacto import SplatfactoModel, SplatfactoModelConfig

__all__ = ["McmcSplatfacto", "McmcSplatfactoConfig"]


@dataclass
class McmcSplatfactoConfig(SplatfactoModelConfig):  # type: ignore[misc]
    """splatfacto's settings, and those of the chain; thresholds of gradient densification have no effect."""

    _target: type = field(default_factory=lambda: McmcSplatfacto)
    max_gs_num: int = 1_000_000
    """Most Gaussians."""
    noise_lr: float = 5e5
    """How far Gaussians are shaken, times the learning rate of their means."""
    opacity_reg: float = 0.01
    """Weight of mean opacity in the loss: what is not needed fades, and is moved."""
    scale_reg: float = 0.01
    """Weight of mean scale in the loss."""


@dataclass
class _Strategy(MCMCStrategy):  # type: ignore[misc]
    absgrad: bool = False  # asked for by splatfacto's rasterisation; gradients have no part here


class McmcSplatfacto(SplatfactoModel):  # type: ignore[misc]
    """See the module."""

    config: McmcSplatfactoConfig

    def populate_modules(self) -> None:
        super().populate_modules()
        self.strategy = _Strategy(
            cap_max=self.config.max_gs_num,
            noise_lr=self.config.noise_lr,
            refine_start_iter=self.config.warmup_length,
            refine_stop_iter=self.config.stop_split_at,
            refine_every=self.config.refine_every,
        )
        self.strategy_state = self.strategy.initialize_state()

    def step_post_backward(self, step: int) -> None:
        rate = self.optimizers["means"].param_groups[0]["lr"]
        self.strategy.step_post_backward(
            params=self.gauss_params,
            optimizers=self.optimizers,
            state=self.strategy_state,
            step=step,
            info=self.info,
            lr=rate,
        )

    def get_loss_dict(
        self, outputs: Any, batch: Any, metrics_dict: dict[str, torch.Tensor] | None = None
    ) -> dict[str, torch.Tensor]:
        losses: dict[str, torch.Tensor] = super().get_loss_dict(outputs, batch, metrics_dict)
        losses["opacity_reg"] = self.config.opacity_reg * torch.sigmoid(self.opacities).mean()
        losses["mcmc_scale_reg"] = self.config.scale_reg * torch.exp(self.scales).mean()
        return losses
