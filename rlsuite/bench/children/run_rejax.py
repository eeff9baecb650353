"""rejax's PPO with our settings. `python run_rejax.py WORK-AS-JSON`.

Its evaluation (128 episodes at every `eval_freq`) is replaced by nothing, through its public
callback, and happens once: like the others it only trains. It has no annealing of the step size,
and `max_grad_norm` clips element-wise, which costs less.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from rival import measure


def make(work: dict[str, Any]) -> Any:
    """Its algorithm object from our settings."""
    c = work["config"]
    algorithm = (
        importlib.import_module("rejax")
        .get_algo("ppo")
        .create(
            env=work["env"],
            total_timesteps=work["total_steps"],
            eval_freq=work["total_steps"],
            skip_initial_evaluation=True,
            num_envs=c["num_envs"],
            num_steps=c["num_steps"],
            num_epochs=c["epochs"],
            num_minibatches=c["minibatches"],
            learning_rate=c["learning_rate"],
            gamma=c["gamma"],
            gae_lambda=c["gae_lambda"],
            clip_eps=c["clip_epsilon"],
            ent_coef=c["entropy_coef"],
            vf_coef=c["value_coef"],
            max_grad_norm=c["max_grad_norm"],
            agent_kwargs={"activation": c["activation"], "hidden_layer_sizes": tuple(c["hidden"])},
        )
    )
    return algorithm.replace(eval_callback=lambda algorithm, state, key: ())


if __name__ == "__main__":
    work = json.loads(sys.argv[1])
    measure(make(work).train, work)
