"""The published policies in this suite's games: is a published return one of the same game?

    python -m rlsuite.experiments.ppo_minatar.published_policies FOLDER > published_policies.csv

FOLDER holds gymnax-blines' trained PPO agents, `<Game>-MinAtar_ppo.npz`: the flax parameters by
path and `log_return`, the returns its training logged. They were trained on gymnax before 1.0.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlsuite.acting.evaluate import evaluate
from rlsuite.contracts import keys, registry
from rlsuite.contracts.errors import UsageError
from rlsuite.engine.run.program import context

GAMES = ("Asterix", "Breakout", "Freeway", "SpaceInvaders")
EPISODES = 128
# Our names of the layers, theirs.
LAYERS = {
    ("actor", "Dense_0"): "Dense_0",
    ("actor", "Dense_1"): "Dense_1",
    ("head", "Dense_0"): "Dense_2",
    ("critic", "Dense_0"): "critic_fc_1",
    ("critic", "Dense_1"): "critic_fc_2",
    ("value",): "critic_fc_v",
}


def main(folder: str) -> None:
    """Write one row for each game and way of acting."""
    out = csv.writer(sys.stdout)
    out.writerow(["env", "mode", "episodes", "return", "standard_error", "published"])
    for game in GAMES:
        path = Path(folder) / f"{game}-MinAtar_ppo.npz"
        if not path.exists():
            raise UsageError(f"no {path.name} in {folder}: it holds gymnax-blines' agents")
        arrays = np.load(path, allow_pickle=False)
        for mode in ("sample", "greedy"):
            returns = play(f"{game}-MinAtar", arrays, mode)
            error = returns.std(ddof=1) / np.sqrt(returns.size)
            row = [f"{returns.mean():.2f}", f"{error:.2f}", f"{arrays['log_return'][-1]:.2f}"]
            out.writerow([f"{game}-MinAtar", mode, returns.size, *row])


def play(env_id: str, arrays: Any, mode: Any) -> np.ndarray:
    """Returns of whole episodes of a published policy."""
    row = registry.agent("ppo")
    settings, _ = registry.resolve_preset(row, "gymnax-blines-minatar", env_id)
    config = row.load_config().from_mapping(settings)
    agent = row.load_make()(registry.make_env(env_id), config)
    ctx = context(agent, config, 1)
    policy = agent.policy(agent.init(keys.root(0), ctx))
    params = place(policy.params["params"], arrays)
    policy = policy._replace(params={"params": params})
    key = keys.stream(keys.root(0), keys.Purpose.EVALUATE)
    out = evaluate(agent, policy, key, ctx.env_params, episodes=EPISODES, mode=mode)
    return np.asarray(out.returns)


def place(params: dict[str, Any], arrays: Any) -> dict[str, Any]:
    """Their arrays in our tree; the shapes must be ours."""
    for path, theirs in LAYERS.items():
        node = params
        for name in path:
            node = node[name]
        for kind in ("kernel", "bias"):
            array = jnp.asarray(arrays[f"params/{theirs}/{kind}"])
            assert array.shape == node[kind].shape, (path, array.shape, node[kind].shape)
            node[kind] = array
    return jax.tree.map(jnp.asarray, params)


if __name__ == "__main__":
    main(sys.argv[1])
