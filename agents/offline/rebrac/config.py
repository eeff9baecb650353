"""ReBRAC's settings."""

from __future__ import annotations

from dataclasses import dataclass

from rlsuite.agents.cores.config import ConstrainedConfig
from rlsuite.contracts.config import Traced, knob


@dataclass(frozen=True)
class Config(ConstrainedConfig):
    """Revisiting the Minimalist Approach to Offline Reinforcement Learning (Tarasov, Kurenkov,
    Nikulin, Kolesnikov, 2023, arXiv 2305.09836).

    TD3+BC with two charges for leaving the data, one in the actor (`actor_beta`) and one in the
    critics' target (`critic_beta`), and what others had found to help: deeper networks, LayerNorm
    in the critics (after the activation), large minibatches. Squares are *summed* over the action's
    entries, the actor climbs the least critic. Observations are taken as they come. Defaults are
    the authors' for locomotion; betas differ from dataset to dataset, those here are the commonest:
    see the preset.

    As in their code, and not as in TD3+BC's, the target actor follows the actor of before each
    actor step (`target_lag`): that is what the published numbers were made with. Not copied: their
    actor moves on the 1st, 3rd ... update, here on the 2nd, 4th ...; their LayerNorm adds 1e-6 to
    the variance, ours 1e-5.
    """

    batch_size: int = knob(1024, "transitions in a minibatch", ge=1)
    learning_rate: Traced[float] = knob(1e-3, "the actor's Adam step size", gt=0)
    critic_learning_rate: Traced[float] = knob(1e-3, "the critics' Adam step size", gt=0)
    hidden: tuple[int, ...] = knob((256, 256, 256), "sizes of the actor's dense layers", ge=1)
    critic_layer_norm: bool = knob(True, "LayerNorm after the critics' hidden activations")
    small_start: bool = knob(
        True, "EDAC's start: hidden biases 0.1, output layers near 0; false: as `init` says"
    )
    standardize: bool = knob(False, "standardise observations by the dataset's mean and deviation")
    actor_beta: Traced[float] = knob(0.01, "the actor's charge for leaving the data", ge=0)
    critic_beta: Traced[float] = knob(0.01, "the target's charge for leaving the data", ge=0)
    normalize_q: bool = knob(True, "divide the actor's Q by its mean size, as TD3+BC does")
    target_lag: bool = knob(True, "the target actor follows the actor of before its step")
