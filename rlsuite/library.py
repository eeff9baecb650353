"""The suite inside your own script: train, evaluate, save and load without the command line.

Training here runs in your own process, one seed after the other on one compiled program. It makes
no promise of equal bits with the command line, whose workers are single-threaded. On CPU, jax 0.10
can hang in *vmapped* training scans and get some sums wrong; if you vmap an agent yourself, set
`rlsuite.engine.environment.worker_environment("cpu")` before importing jax.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from rlsuite import keys, metrics, registry
from rlsuite.config import check_seeds
from rlsuite.engine import files, tree
from rlsuite.engine.cells import executed_budget
from rlsuite.engine.data import check_fit, resolve, shapes
from rlsuite.engine.data import load as load_data
from rlsuite.engine.program import Program, context, evaluation_key
from rlsuite.engine.runner import boundaries
from rlsuite.types import Agent, Environment, Mode, PolicyParams


@dataclass(frozen=True)
class Result:
    """What `train` returns.

    Attributes:
      steps: at each evaluation: environment steps, or an offline agent's updates.
      returns: mean return of each seed's evaluations.
      policies: the trained policy of each seed.
      metrics: of each seed, training metrics over the whole run.
    """

    steps: Int[np.ndarray, " evaluations"]
    returns: Float[np.ndarray, "seeds evaluations"]
    policies: list[PolicyParams]
    metrics: list[dict[str, float]]


def train(
    agent: Agent,
    *,
    seeds: int | Iterable[int],
    total_steps: int,
    evaluations: int = 10,
    episodes: int = 16,
    mode: Mode | None = None,
    data: Any = None,
) -> Result:
    """Train an agent on several seeds.

    Args:
      agent: from an agent's `make(env, config)`.
      seeds: how many, or which.
      total_steps: of each seed, environment steps or updates, rounded down to whole iterations.
      evaluations: over the run, the last at its end.
      episodes: of each evaluation.
      mode: greedy or sample; default the agent's own.
      data: for agents that need `ctx.data`, see `load_dataset`.

    Raises:
      UsageError: a budget below one iteration, or no seeds.
    """
    chosen = check_seeds(seeds)
    iterations, _ = executed_budget(agent.config, total_steps)
    program = Program(agent, episodes, mode)
    if data is not None:
        data = agent.prepare(data)
    ctx = context(agent, agent.config, iterations, data)
    points = boundaries(iterations, evaluations, first=False)
    returns, policies, finals = [], [], []
    for seed in chosen:
        state, running = program.init(keys.root(seed), ctx)
        curve, at = [], 0
        for point in points:
            state, running = program.chunk(state, running, ctx, point - at)
            at = point
            curve.append(program.evaluate(state, evaluation_key(seed, at), ctx).returns.mean())
        if at < iterations:
            state, running = program.chunk(state, running, ctx, iterations - at)
        returns.append(jax.device_get(curve))
        # A copy: the state's buffers live on only as long as nobody donates them.
        policies.append(jax.tree.map(jax.numpy.copy, agent.policy(state)))
        finals.append(metrics.to_host(running))
    steps = agent.prefill + np.array(points, np.int64) * agent.steps_per_iteration
    return Result(steps, np.array(returns, np.float32), policies, finals)


def load_dataset(spec: str, env: Environment | str) -> Any:
    """A dataset for `train(..., data=...)`: transitions for an environment's spaces.

    Args:
      spec: a name of `rlsuite list datasets`, a file or a folder.
      env: what it was recorded on, or its id.

    Raises:
      UsageError: it cannot be found, is damaged, or belongs to another environment.
    """
    ref = resolve("dataset", spec)
    task = registry.make_env(env) if isinstance(env, str) else env
    check_fit(ref, registry.env(task.id), {})
    return load_data(ref, task)


def save(path: str | Path, agent: Agent, policy: PolicyParams) -> None:
    """Write a policy to one safetensors file that `load` and `rlsuite evaluate` read."""
    cell = {"agent": agent.name, "env": agent.env.id, "config": agent.config.to_mapping()}
    files.write_arrays(Path(path), tree.to_arrays(policy, "policy"), {"cell": cell})


def load(path: str | Path, agent: Agent, data: Any = None) -> PolicyParams:
    """Read a policy from `save`'s file, or from a run folder's finished or unfinished cell.

    Raises:
      UsageError: no such file, a damaged one, or one of other settings.
    """
    arrays, meta = files.read_arrays(Path(path))
    if data is None:
        data = shapes(agent.name, agent.env)
    ctx = context(agent, agent.config, 1, data)
    state = jax.eval_shape(agent.init, keys.root(0), ctx)
    if "iteration" in meta and not any(name.startswith("policy") for name in arrays):
        return agent.policy(tree.from_arrays(state, arrays, "state", str(path)))
    template = jax.eval_shape(agent.policy, state)
    return tree.from_arrays(template, arrays, "policy", str(path))
