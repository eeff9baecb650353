"""A2PR's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rlsuite.agents.cores.config import ConstrainedConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(ConstrainedConfig):
    """Adaptive Advantage-Guided Policy Regularization for Offline Reinforcement Learning (Liu, Li,
    Lan, Gao, Pan, Xu, 2024, arXiv 2405.19909).

    TD3+BC whose actor regresses, row by row, on the better of the data's action and of one that a
    VAE makes of the actor's own, where the VAE has learned to reproduce only actions better than
    V(s); where neither is better than V(s) nothing pulls. Defaults are the authors' code's;
    `mask`, `vae_weight`, `alpha` and `gamma` differ from dataset to dataset: see the preset.

    As in the code, and perhaps not as meant: the target is not detached, so that the gradient also
    passes through the VAE where its action is chosen (`detach_target`); masks compare with V of
    before its step. The gate is 0 or 1, never 2: the code adds truth values. The VAE is not moved
    by the actor's loss.
    """

    hidden: tuple[int, ...] = knob((256,) * 3, "sizes of the actor's dense layers", ge=1)
    critic_hidden: tuple[int, ...] = knob((256,) * 4, "the critics' and V's", ge=1)
    alpha: Traced[float] = knob(2.5, "weight of the scaled Q", ge=0)
    mask: Traced[float] = knob(0.5, "weight of the regression; 0: TD3 on the data", ge=0)
    detach_target: bool = knob(False, "keep the actor's gradient out of the VAE's action")
    choice: Literal["advantage", "data", "vae"] = knob(
        "advantage", "what the actor regresses on: the better of the two, or always the same"
    )
    gate: bool = knob(True, "regress only where a target is better than V(s)")
    value_learning_rate: Traced[float] = knob(3e-4, "V's Adam step size", gt=0)
    vae_learning_rate: Traced[float] = knob(1e-3, "the VAE's Adam step size", gt=0)
    vae_weight: Traced[float] = knob(1.0, "weight of the VAE's reconstruction", ge=0)
    kl_weight: Traced[float] = knob(0.5, "weight of the VAE's divergence from its prior", ge=0)
    advantage_threshold: Traced[float] = knob(0.0, "advantage above which the VAE learns a row")
    select: bool = knob(True, "the VAE learns only rows above that; false: all")
    vae_hidden: tuple[int, ...] = knob((750, 750), "encoder's and decoder's dense layers", ge=1)
    latent: int = knob(0, "entries of the VAE's latent; 0: twice the action's", ge=0)
