"""Whether a change of the code changes a bit of what agents learn.

    python tests/bits.py --out before.json        # on the code as it was
    python tests/bits.py --compare before.json    # on the code as it is; names what differs

Every agent, every preset's kind of run and every choice that one agent alone has is run for a few
iterations at toy size (of what agents share, only some: see VARIANTS), and each leaf of its last
state, of its policy and of its metrics is hashed under the name it has in a checkpoint. Digests
belong to a machine and to the versions on it: keep the file outside the repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":
    # As the tests run (see conftest.py): one thread, no late passes of the compiler.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ["PJRT_NPROC"] = "1"
    os.environ["XLA_FLAGS"] = " ".join(
        (
            "--xla_cpu_enable_concurrency_optimized_scheduler=false",
            "--xla_cpu_experimental_ynn_fusion_type=-reduce",
            "--xla_backend_optimization_level=0",
        )
    )

import jax
from offline_tools import dataset_for

from rlsuite.contracts import config, keys, registry
from rlsuite.contracts.config import Config
from rlsuite.contracts.registry import AgentRow
from rlsuite.contracts.types import Context
from rlsuite.engine.run import tree
from rlsuite.engine.run.program import context

Digests = dict[str, str]
ON_POLICY = {"num_envs": 4, "num_steps": 16, "minibatches": 2, "epochs": 2, "value_epochs": 2}
REPLAY = {
    "num_envs": 2, "buffer_size": 128, "learning_starts": 32, "batch_size": 8,
    "updates": 4, "target_period": 3, "refresh_period": 5,
}  # fmt: skip
# Settings that no preset has, each on a path of its own.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "ppo": [
        *({"drift": d} for d in ("kl", "kl_fixed", "mdpo", "mdpo_fixed", "mdpo_tsallis", "none")),
        {"network": "gru", "time_limits": "terminal"},
        {"advantage_normalization": "batch"},
        {"advantage_normalization": "none"},
    ],
    "mdpo": [{"divergence": "tsallis"}, {"mirror_schedule": "constant"}],
    "trpo": [{"fisher_every": 2}],
    "td3": [
        {"n_step": 3, "time_limits": "terminal", "normalize_observations": True},
        {"critic_layer_norm": True, "policy_delay": 3, "num_steps": 2},
    ],
    "sac": [{"n_step": 2, "normalize_observations": True, "actor_period": 3}],
    "mdpo-off": [{"exploration": "greedy", "tsallis": 1.5}, {"value": "q"}],
    "rebrac": [{"normalize_q": False, "small_start": False, "target_lag": False}],
    "a2pr": [
        {"choice": "data", "gate": False, "select": False},
        {"choice": "vae", "detach_target": True, "latent": 3},
    ],
    "odice": [
        {"gradient": "semi"},
        {"gradient": "true"},
        {"divergence": "reverse-kl"},
        {"weight": "theory", "twin": False},
    ],
    "bc": [{"policy": "gaussian", "mean": "linear", "decay": "cosine"}],
    "cql": [
        {"lagrange": True, "max_target": True},
        {"conservative": False, "backup_entropy": True},
    ],
    "prdc": [
        {"distance": "paper", "standardize": False},
        {"search": "exact"},
        {"search": "table", "resolve": 4},
    ],
}


class Case(NamedTuple):
    """One run.

    Attributes:
      name: of its digests in the file.
      row: the agent's.
      config: its settings, at toy size.
      env: what it acts in, or what its data belongs to.
    """

    name: str
    row: AgentRow
    config: Config
    env: str


def cases() -> list[Case]:
    """The default of every agent, then its presets and variants; of equal programs the first."""
    found: dict[Any, Case] = {}
    for row in registry.agents().values():
        wanted = [(f"{row.name} {name}", *of_preset(row, name)) for name in row.load_presets()]
        for settings in VARIANTS.get(row.name, []):
            wanted.append((variant_name(row.name, settings), settings, "Pendulum-v1"))
        for name, settings, env in [(row.name, {}, "Pendulum-v1"), *wanted]:
            small = toy(row, settings)
            program = (row.name, env, small.static())
            found.setdefault(program, Case(name, row, small, env))
    return list(found.values())


def variant_name(agent: str, settings: dict[str, Any]) -> str:
    """An agent's name and all settings of a variant."""
    return f"{agent} {','.join(f'{k}={v}' for k, v in settings.items())}"


def of_preset(row: AgentRow, name: str) -> tuple[dict[str, Any], str]:
    """A preset's settings where it is for, and a small environment of the same kind."""
    table = row.load_presets()[name]
    env = next(iter(table.get("env", {})), "")
    listed = "" if env else next(iter(table.get("dataset", {})), "")
    settings, _ = registry.resolve_preset(row, name, env, listed)
    images = "MinAtar" in env or "minatar" in name
    small = "Breakout-MinAtar" if images else "CartPole-v1" if env in DISCRETE else "Pendulum-v1"
    return settings, small


DISCRETE = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0")


def toy(row: AgentRow, settings: dict[str, Any]) -> Config:
    """The settings with small networks, rollouts, minibatches and replays."""
    cls = row.load_config()
    known = config.fields(cls)
    sizes = {
        k: v for k, v in (REPLAY if "batch_size" in known else ON_POLICY).items() if k in known
    }
    small: dict[str, Any] = {k: min(v, settings.get(k, v)) for k, v in sizes.items()}
    for name in ("hidden", "critic_hidden", "vae_hidden"):
        if name in known:
            small[name] = [8] * min(len(settings.get(name, known[name].default)), 3)
    small |= {k: 8 for k in ("rnn_size", "neighbours") if k in known}
    if settings.get("search") == "exact":
        del small["neighbours"]
    if "value_minibatches" in known:
        small["value_minibatches"] = 2
    return cls.from_mapping({**settings, **small})


@cache
def env_of(name: str) -> Any:
    """Built once."""
    return registry.make_env(name)


def run(case: Case, iterations: int = 50, seed: int = 0) -> Digests:
    """Digests of the last state's leaves, of its policy's, of some actions and of the metrics.

    Args:
      case: what is run.
      iterations: how many.
      seed: of the run; the data is always the same.
    """
    whole, ctx = program(case, iterations)
    return digests(whole(keys.root(seed), ctx))


@lru_cache(1)
def program(case: Case, iterations: int) -> tuple[Any, Context]:
    """(key, ctx) -> what is hashed, compiled; and the ctx."""
    agent = case.row.load_make()(env_of(case.env), case.config)
    data = agent.prepare(dataset_for(agent.env)) if case.row.data else None

    def whole(key: Any, ctx: Context) -> Any:
        def step(state: Any, _: None) -> Any:
            return agent.step(state, ctx)

        state, metrics = jax.lax.scan(step, agent.init(key, ctx), None, iterations)
        obs = jax.numpy.ones((2, *agent.env.observation_space.shape))
        first, policy = jax.numpy.ones(2, bool), agent.policy(state)
        # What is made for others plays no episodes.
        modes = () if case.row.makes else MODES
        acts = [agent.act(policy, agent.carry((2,)), obs, first, key, m)[0] for m in modes]
        return {"state": state, "policy": policy, "acts": acts, "metrics": metrics}

    return jax.jit(whole), context(agent, case.config, iterations, data)


MODES: tuple[Any, ...] = ("greedy", "sample", "explore")


def digests(tree_: Any) -> Digests:
    """Each leaf's, by key path, with its shape and type."""
    found = {}
    for name, leaf in tree.to_arrays(tree_, "").items():
        text = f"{leaf.dtype}{leaf.shape}".encode()
        found[name] = hashlib.sha256(text + leaf.tobytes()).hexdigest()[:16]
    return found


def differences(before: dict[str, Digests], after: dict[str, Digests]) -> Iterable[str]:
    """A line for each run that is gone, or whose leaves are not the same."""
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            yield f"{name}: no such run"
            continue
        wrong = [leaf for leaf in {**old, **new} if old.get(leaf) != new.get(leaf)]
        if wrong:
            yield f"{name}: {len(wrong)} of {len(old)} leaves differ: {', '.join(wrong[:4])}"


def main(arguments: list[str] | None = None) -> int:
    """Write the digests, or compare them with a file's; 1 where they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="write the digests to this file")
    parser.add_argument("--compare", type=Path, help="name what differs from this file's")
    parser.add_argument("--only", default="", help="runs whose name starts so")
    options = parser.parse_args(arguments)
    if not (options.out or options.compare):
        parser.error("give --out FILE to keep the digests, or --compare FILE for what differs")
    chosen = [case for case in cases() if case.name.startswith(options.only)]
    before: dict[str, Digests] = {}
    if options.compare:
        # Before anything runs: a missing file is not found out after minutes.
        kept = json.loads(options.compare.read_text(encoding="utf-8"))
        before = {name: one for name, one in kept.items() if name.startswith(options.only)}
    if not chosen or (options.compare and not before):
        parser.error(f"--only {options.only!r}: no run's name starts so")
    found = {}
    for number, case in enumerate(chosen, 1):
        print(f"{number}/{len(chosen)} {case.name}", file=sys.stderr, flush=True)
        found[case.name] = run(case)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    if not options.compare:
        return 0
    lines = list(differences(before, found))
    print("\n".join(lines) or f"{len(before)} runs, every bit the same")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
