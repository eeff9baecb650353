"""Errors a user can put right, and the nearest right answer.

Everything in the suite that finds a user's mistake raises `UsageError` with one line. The command
line prints that line and leaves with exit code 2; a library user sees an ordinary exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

# What other suites, or other options, call what is called otherwise here.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "lr": ("learning_rate", "actor_learning_rate", "value_learning_rate"),
    "step_size": ("learning_rate", "actor_learning_rate"),
    "temperature": ("alpha", "entropy_coef"),
    "actor_lr": ("actor_learning_rate", "learning_rate"),
    "critic_lr": ("critic_learning_rate", "value_learning_rate"),
    "discount": ("gamma",),
    "lambda": ("gae_lambda",),
    "clip_range": ("clip_epsilon",),
    "clip_coef": ("clip_epsilon",),
    "clip_eps": ("clip_epsilon",),
    "ent_coef": ("entropy_coef",),
    "vf_coef": ("value_coef",),
    "n_envs": ("num_envs",),
    "n_steps": ("num_steps", "n_step"),
    "rollout_length": ("num_steps",),
    "n_epochs": ("epochs",),
    "update_epochs": ("epochs",),
    "num_minibatches": ("minibatches",),
    "polyak": ("tau",),
    "seed": ("seeds",),
    "num_seeds": ("seeds",),
    "timesteps": ("total_steps",),
    "total_timesteps": ("total_steps",),
    "steps": ("total_steps",),
    "env_id": ("env",),
    "environment": ("env",),
    "output": ("out",),
    "output_dir": ("out",),
    "gpu": ("device",),
    "cuda": ("device",),
    "n_workers": ("workers",),
    "jobs": ("workers",),
}
# What is not here, and what serves instead.
ELSEWHERE: Mapping[str, str] = {
    "dqn": "there is no DQN: 'sac' learns discrete actions from a replay, 'ppo' from rollouts",
    "a2c": "there is no A2C: 'ppo' with --agent.epochs 1 --agent.minibatches 1 --agent.drift none",
    "wandb": "curves go to DIR/rows.parquet: rlsuite.load_results(DIR) gives frames to log",
    "track": "curves go to DIR/rows.parquet: rlsuite.load_results(DIR) gives frames to log",
    "tensorboard": "curves go to DIR/rows.parquet: rlsuite.load_results(DIR) gives frames to log",
}


class UsageError(ValueError):
    """A mistake in what the user asked for, described in one line."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant.

    Args:
      name: what the user wrote.
      known: the names that would have been accepted.

    Returns:
      A phrase to append to an error: the closest names, or all of them when none is close.
    """
    names = sorted(known)
    if told := _synonym(name, names):
        return told
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    if not names:
        return "none is installed"
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"known: {shown}"


def _plain(name: str) -> str:
    """`--agent.learning-rate` and `learning_rate` are one word."""
    return name.lstrip("-").removeprefix("agent.").replace("-", "_").lower()


def _synonym(name: str, known: list[str]) -> str:
    """What a name of other suites is called here, if it is known to be such a name."""
    word = _plain(name)
    if word in ELSEWHERE:
        return ELSEWHERE[word]
    if name.startswith("ALE/"):
        return f"Atari runs on the host where ale-py is installed: 'gym:{name}'; or try MinAtar's"
    plain = {_plain(candidate): candidate for candidate in known}
    same = [plain[other] for other in SYNONYMS.get(word, ()) if other in plain]
    return "did you mean " + " or ".join(map(repr, same)) + "?" if same else ""
