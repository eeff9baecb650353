"""What is refused before anything is run, in the order in which a request is planned.

Each check names the mistake and the nearest right answer in one line. What is judged elsewhere:
settings by their `Config`, names and options by the registry, datasets' values by their kind.
Loads no jax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rlsuite.contracts import registry
from rlsuite.contracts.config import Config
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.contracts.refs import DataRef, task

if TYPE_CHECKING:
    from rlsuite.engine.plan.cells import Start
    from rlsuite.engine.plan.starts import Origin

# --- of one request, before anything is looked up ------------------------------------------------


def check_need(row: registry.AgentRow, given: bool) -> None:
    """Refuse an offline agent without data, and data for an agent that collects its own.

    Raises:
      UsageError: with a dataset to try, or the agents that learn from one.
    """
    if row.data and not given:
        names = [d.name for d in registry.datasets().values() if d.make]
        hint = f"try --dataset {names[0]}" if names else "give --dataset FILE"
        raise UsageError(f"{row.name} learns from a dataset and none was given: {hint}")
    if given and not row.data:
        offline = [other.name for other in registry.agents().values() if other.data]
        hint = nearest(row.name, offline) if offline else "none that does is installed"
        raise UsageError(f"{row.name} collects its own data, --dataset is not for it: {hint}")


def check_roles(row: registry.AgentRow, roles: Iterable[str]) -> None:
    """Refuse inputs that neither an agent nor what makes its inputs is given.

    Raises:
      UsageError: naming the nearest role.
    """
    known = {given.role for given in row.inputs}
    for given in row.inputs:
        maker = registry.agents().get(given.maker)
        known |= {below.role for below in maker.inputs} if maker else set()
    for role in roles:
        if role not in known:
            hint = nearest(role, known) if known else "it takes none"
            raise UsageError(f"{row.name} takes no input {role!r}: {hint}")


def check_home(spec: str, given: bool) -> None:
    """Refuse a dataset known by name whose environment the suite lacks, before its file is looked
    for.

    Raises:
      UsageError: so, and no environment is given.
    """
    row = registry.datasets().get(spec)
    if row is not None and not row.env and not given:
        raise UsageError(
            f"the suite has no environment for dataset {spec} ({row.summary}): `rlsuite dataset "
            "inspect` reads it; training needs one of another package, of the same sizes, by --env"
        )


def is_here(env_id: str) -> bool:
    """Whether the suite can build an environment."""
    try:
        registry.env(env_id)
    except UsageError:
        return False
    return True


def no_home(ref: DataRef) -> str:
    """What is said of data whose environment is not known or not here, where none is named."""
    sizes = f"observations {ref.observation} and actions "
    sizes += "that are indices" if ref.discrete else f"{ref.action}"
    row = registry.datasets().get(ref.name)
    if not ref.env and (row is None or row.env):
        return f"dataset {ref.name} does not say its environment: name it by --env"
    env = f"{ref.env}, which" if ref.env else "an environment that"
    return (
        f"dataset {ref.name} was recorded on {env} the suite does not have: `rlsuite dataset "
        f"inspect` reads it; training needs an environment of another package by --env, with "
        f"{sizes}"
    )


# --- of an agent on an environment, and of its data -----------------------------------------------


def checked_env(
    row: registry.AgentRow, env_id: str, options: Mapping[str, Any], data: DataRef | None
) -> registry.EnvRow:
    """The environment's row, fit for an agent and for what it learns from.

    Args:
      row: of the agent.
      env_id: of the environment.
      options: that it is built with.
      data: what the agent learns from, if there is any.

    Raises:
      UsageError: an unknown environment or option, actions the agent has no policy for, data of
        another environment.
    """
    env_row = registry.env(env_id, options)
    check_actions(row, env_row)
    registry.check_options(env_row, options)
    if data is not None:
        check_fit(data, env_row, options)
    return env_row


def check_actions(agent: registry.AgentRow, env: registry.EnvRow) -> None:
    """Refuse an agent on a kind of action it has no policy for.

    Raises:
      UsageError: naming the environments' action space and what the agent takes.
    """
    if env.action.kind not in agent.actions:
        fitting = [row.id for row in registry.envs().values() if row.action.kind in agent.actions]
        raise UsageError(
            f"{agent.name} needs {' or '.join(agent.actions)} actions but {env.id} has "
            f"{env.action}: {nearest(env.id, fitting)}"
        )


def check_fit(ref: DataRef, env: registry.EnvRow, options: Mapping[str, Any]) -> None:
    """Refuse data of another environment. With `options` its sizes are known only once it is built.

    Args:
      ref: the data.
      env: row of the environment that it is for.
      options: that the environment is built with.

    Raises:
      UsageError: naming both, and the environment the data belongs to.
    """
    if ref.env and task(ref.env) != task(env.id):
        where = f"dataset {ref.name} was recorded on {ref.env}"
        if not is_here(ref.env):
            raise UsageError(f"{where}, which the suite does not have, and not on {env.id}")
        raise UsageError(f"{where}, not on {env.id}: try --env {ref.env}")
    if options:
        return
    action = ("discrete", ()) if ref.discrete else ("box", ref.action)
    if ref.observation != env.observation.shape or action != (env.action.kind, env.action.shape):
        kind = "Discrete" if ref.discrete else f"Box{ref.action}"
        raise UsageError(
            f"dataset {ref.name} has observations {ref.observation} and actions {kind}, "
            f"{env.id} has {env.observation.shape} and {env.action}: they do not fit"
        )
    judge = getattr(registry.data_kind(ref.kind).load(), "check", None)
    # What is not recorded yet has no values to judge.
    if judge is not None and ref.hash:
        judge(ref, env)


def check_start(
    origin: Origin, env: registry.EnvRow, options: Mapping[str, Any], seeds: int
) -> None:
    """Refuse to go on from a file where that cannot be, or as more seeds than it has.

    Args:
      origin: the file.
      env: to go on in.
      options: of the environment.
      seeds: how many.

    Raises:
      UsageError: naming the file and the nearest that can be done.
    """
    path = origin.start.path
    known = registry.env(origin.env, origin.env_options)
    if not origin.start.whole:
        if (env.observation.shape, env.action) != (known.observation.shape, known.action):
            raise UsageError(
                f"{path} was trained on {known.id} ({known.observation}, {known.action}) and "
                f"cannot act on {env.id} ({env.observation}, {env.action})"
            )
        return
    if (env.id, dict(options)) != (origin.env, origin.env_options):
        with_options = f" with {origin.env_options}" if origin.env_options else ""
        raise UsageError(
            f"{path} is a whole state on {origin.env}{with_options}, which its environments are in "
            f"the middle of: leave --env out, or go on from a policy (.done) on {env.id}"
        )
    if seeds > 1:
        raise UsageError(
            f"{path} is one whole state, which goes on as one seed, not as {seeds}: leave --seeds "
            "out, or go on from a policy (.done)"
        )


# --- of settings and budget ----------------------------------------------------------------------


def checked_config(
    row: registry.AgentRow, env_row: registry.EnvRow, settings: Mapping[str, Any]
) -> Config:
    """Settings that an agent and an environment allow.

    Args:
      row: of the agent.
      env_row: of the environment.
      settings: by name; the others keep their defaults.

    Raises:
      UsageError: a setting is unknown, of another type or out of bounds, or not for this one.
    """
    config = row.load_config().from_mapping(settings)
    check = getattr(config, "check_env", None)
    if check is not None:
        check(env_row)
    return config


def executed_budget(
    config: Config, total_steps: int, exact: bool = False, start: Start | None = None
) -> tuple[int, int]:
    """Round a budget down to whole iterations, after what fills the replay; of a run that goes on
    from a whole state `total_steps` come on top, and nothing is filled again.

    Args:
      config: of the agent.
      total_steps: asked for, in the unit of the agent's budget; what fills the replay counts.
      exact: refuse to round.

    Returns:
      (iterations, executed environment steps), with those that a whole state has behind it.

    Raises:
      UsageError: the budget is below one iteration, or does not divide though `exact`.
    """
    if not isinstance(total_steps, int) or isinstance(total_steps, bool):
        raise UsageError(f"total-steps must be a whole number, not {total_steps!r}")
    per, prefill, behind = config.steps_per_iteration(), config.prefill_steps(), (0, 0)
    if start is not None and start.whole:
        prefill, behind = 0, (start.iterations, start.steps)
    if total_steps < prefill + per:
        before = f" after {prefill} steps that fill the replay" if prefill else ""
        raise UsageError(
            f"total-steps {total_steps} is below one iteration of {per} steps{before}: "
            f"try {prefill + per} or more"
        )
    if exact and (total_steps - prefill) % per:
        below = total_steps - (total_steps - prefill) % per
        raise UsageError(
            f"total-steps {total_steps} is no multiple of an iteration's {per}: "
            f"try {below} or {below + per}"
        )
    if behind[1] + total_steps >= 2**31:
        after = f" after {behind[1]}" if behind[1] else ""
        raise UsageError(
            f"total-steps {total_steps}{after} cannot be counted in 32 bits: below {2**31}"
        )
    iterations = (total_steps - prefill) // per
    return behind[0] + iterations, behind[1] + prefill + iterations * per


# --- of all cells together ------------------------------------------------------------------------


def check_families(refs: Iterable[DataRef | None]) -> None:
    """Refuse to put D4RL's, Minari's and own data into one run folder, hence into one table.

    Raises:
      UsageError: naming a dataset of each.
    """
    check_one_family((ref.family, ref.name) for ref in refs if ref is not None)


def check_one_family(named: Iterable[tuple[str, str]]) -> None:
    """`check_families` of (family, dataset) pairs.

    Raises:
      UsageError: naming a dataset of each.
    """
    first: dict[str, str] = {}
    for family, name in named:
        first.setdefault(family, name)
    if len(first) > 1:
        both = " and ".join(f"{name} ({family})" for family, name in first.items())
        raise UsageError(
            f"{both} cannot share a run folder, their scores do not compare: run "
            "each family into a folder of its own"
        )


def check_names(tasks: Iterable[tuple[DataRef | None, str]]) -> None:
    """Refuse two datasets of one name in one run folder, or one on two environments: tables tell
    runs apart by the dataset's name.

    Args:
      tasks: what cells learn from and their environment's id.

    Raises:
      UsageError: naming both.
    """
    first: dict[str, tuple[DataRef, str]] = {}
    for ref, env in tasks:
        # What is not recorded yet has no content to tell apart.
        if ref is None or not ref.hash:
            continue
        other, its_env = first.setdefault(ref.name, (ref, env))
        if other.identity != ref.identity:
            raise UsageError(
                f"{other.spec} and {ref.spec} differ but are both called {ref.name}, one table "
                "would count them as one: rename one, or run each into a folder of its own"
            )
        if its_env != env:
            raise UsageError(
                f"dataset {ref.name} on {its_env} and on {env}: one table would count them as "
                "one: run each environment into a folder of its own"
            )
