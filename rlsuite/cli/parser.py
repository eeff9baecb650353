"""argparse with one-line errors that name the nearest right answer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from rlsuite.contracts import config, registry
from rlsuite.contracts.errors import UsageError, nearest
from rlsuite.engine.plan.grid import field_name


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print its usage and leave."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """One line, without the usage block."""
        raise UsageError(message)

    def flags(self) -> list[str]:
        """Every option this parser knows."""
        return [flag for action in self._actions for flag in action.option_strings]


def parse(parser: Parser, argv: Sequence[str], agent_flags: bool) -> argparse.Namespace:
    """Parse, keeping `--agent.*` options for `agent_settings`.

    Args:
      parser: of the command.
      argv: what follows the command's name.
      agent_flags: whether the command takes `--agent.*` options.

    Returns:
      With the texts of `--agent.*` options by setting, as `agent_options`.

    Raises:
      UsageError: an unknown option, with the nearest known one.
    """
    args, rest = parser.parse_known_args(argv)
    args.agent_options = {}
    while rest:
        flag = rest.pop(0)
        name, _, value = flag.partition("=")
        if agent_flags and name.startswith("--agent."):
            if not value:
                if not rest or rest[0].startswith("--"):
                    raise UsageError(f"{name} needs a value")
                value = rest.pop(0)
            args.agent_options[field_name(name.removeprefix("--"))] = value
        elif flag.startswith("-"):
            raise UsageError(f"no option {name}: {_nearest_flag(parser, name, agent_flags, args)}")
        else:
            raise UsageError(f"unexpected argument {flag!r}")
    return args


def _nearest_flag(parser: Parser, name: str, agent_flags: bool, args: argparse.Namespace) -> str:
    known = parser.flags()
    agent = getattr(args, "agent", None)
    if agent_flags and agent in registry.agents():
        fields = config.fields(registry.agent(agent).load_config())
        known += [f"--agent.{field.replace('_', '-')}" for field in fields]
        bare = f"--agent.{name.lstrip('-')}"
        if bare in known:
            return f"did you mean {bare!r}?"
    return nearest(name, known)


def agent_settings(row: registry.AgentRow, options: dict[str, str]) -> dict[str, Any]:
    """Typed settings from `--agent.name value` options.

    Raises:
      UsageError: an unknown field or a value that does not parse.
    """
    known = config.fields(row.load_config())
    settings = {}
    for name, text in options.items():
        if name not in known:
            raise UsageError(
                f"{row.name} has no setting --agent.{name.replace('_', '-')}: "
                + nearest(name, known)
            )
        settings[name] = config.parse(known[name], text)
    return settings


def agent_help(row: registry.AgentRow) -> str:
    """The settings of an agent, for `--help`."""
    lines = [f"settings of {row.name} (--agent.NAME VALUE):"]
    for field in config.fields(row.load_config()).values():
        flag = f"--agent.{field.name.replace('_', '-')}"
        lines.append(f"  {flag:34} {field.help} [{field.describe_type()}; {field.default}]")
    return "\n".join(lines)
