# pyright: strict
"""Configurations: plain frozen dataclasses, checked when made, split into traced and static.

A field typed `Traced[float]` or `Traced[int]` may differ between runs that share one compiled
program: `Config.hyper()` splits those off as scalars. All other fields decide shapes and control
flow; together they are `Config.static()`, the signature a program is compiled for. This module
loads no jax, so that arguments are checked before anything slow is imported.

    @dataclass(frozen=True)
    class Config(config.Config):
        '''The paper in five lines.'''
        learning_rate: Traced[float] = knob(2.5e-4, "Adam step size", gt=0)
        num_envs: int = knob(4, "environments stepped together", ge=1)
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

from rlsuite.contracts.errors import UsageError, nearest

_T = TypeVar("_T", int, float)
_ConfigT = TypeVar("_ConfigT", bound="Config")
# Without a bound: what `static` really returns is a proxy.
_Self = TypeVar("_Self")


class _TracedMark:
    """Marks an annotation as traced."""


Traced = Annotated[_T, _TracedMark()]


def knob(
    default: Any,
    help: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    lt: float | None = None,
    le: float | None = None,
) -> Any:
    """A configuration field with its help text and bounds.

    Args:
      default: its value where nothing is said.
      help: for `--help`, without a full stop.
      gt: a number that it, or each entry of a list, is above.
      ge: the least it may be, or each entry of a list.
      lt: a number that it, or each entry of a list, is below.
      le: the most it may be, or each entry of a list.
    """
    bounds = {k: v for k, v in {"gt": gt, "ge": ge, "lt": lt, "le": le}.items() if v is not None}
    return dataclasses.field(default=default, metadata={"help": help, "bounds": bounds})


@dataclasses.dataclass(frozen=True)
class FieldInfo:
    """What the command line and the checks need to know of one field."""

    name: str
    type: Any
    traced: bool
    default: Any
    help: str
    bounds: Mapping[str, float]

    def describe_type(self) -> str:
        """The type in a user's words."""
        if typing.get_origin(self.type) is Literal:
            return " | ".join(str(choice) for choice in typing.get_args(self.type))
        if typing.get_origin(self.type) is tuple:
            return "list of " + typing.get_args(self.type)[0].__name__
        return {bool: "true | false"}.get(self.type, getattr(self.type, "__name__", str(self.type)))


@functools.cache
def fields(cls: type[Config]) -> Mapping[str, FieldInfo]:
    """The fields of a configuration class by name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    out: dict[str, FieldInfo] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        marks = getattr(hint, "__metadata__", ())
        traced = any(isinstance(mark, _TracedMark) for mark in marks)
        out[field.name] = FieldInfo(
            name=field.name,
            type=typing.get_args(hint)[0] if traced else hint,
            traced=traced,
            default=field.default,
            help=field.metadata.get("help", ""),
            bounds=field.metadata.get("bounds", {}),
        )
    return out


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every agent's configuration: host only, hashable, validated when made.

    `budget_unit` is what `total_steps` and the x-axis count: environment steps, or the gradient
    updates of an agent that learns from a dataset.

    Raises:
      UsageError: a value of the wrong type, outside its bounds, or not a number.
    """

    budget_unit: ClassVar[Literal["env_steps", "updates"]] = "env_steps"
    # Settings that runs on disk still name, which never had an effect, with their defaults.
    removed: ClassVar[Mapping[str, Any]] = {}
    # Settings that came later than runs on disk, with the value that those had in effect (lists for
    # tuples). It stays when the default changes, so that finished runs remain known as what they
    # are; a setting that comes without an entry counts with its default.
    added: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        for info in fields(type(self)).values():
            value = coerce(info, getattr(self, info.name))
            object.__setattr__(self, info.name, value)
        self.check()

    def check(self) -> None:
        """Conditions between fields; raise `UsageError` where one fails."""

    def steps_per_iteration(self) -> int:
        """What one iteration takes of a budget; every agent says."""
        raise NotImplementedError(f"{type(self).__name__} does not say steps_per_iteration()")

    def prefill_steps(self) -> int:
        """What a run takes of its budget before the first iteration, e.g. to fill a replay."""
        return 0

    @classmethod
    def from_mapping(
        cls: type[_ConfigT], values: Mapping[str, Any], base: _ConfigT | None = None
    ) -> _ConfigT:
        """Make a configuration from names and values, on top of `base`.

        Raises:
          UsageError: a name that is no field, with the nearest that is.
        """
        known = fields(cls)
        for name in values:
            if name not in known:
                raise UsageError(f"no setting 'agent.{name}': {nearest(name, known)}")
        checked = {name: coerce(known[name], value) for name, value in values.items()}
        return dataclasses.replace(base, **checked) if base is not None else cls(**checked)

    @classmethod
    def stored(cls: type[_ConfigT], values: Mapping[str, Any]) -> _ConfigT:
        """`from_mapping` of what was written to disk: it may name settings since removed and lack
        some that came later."""
        kept = {n: v for n, v in values.items() if n not in cls.removed}
        return cls.from_mapping({**cls.missing(values), **kept})

    @classmethod
    def missing(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """What runs on disk whose `values` lack settings had for them, as plain values."""
        plain: dict[str, Any] = {}
        for name, info in fields(cls).items():
            default: Any = info.default
            plain[name] = [*default] if isinstance(default, tuple) else default
        return {n: v for n, v in {**plain, **cls.added}.items() if n not in values}

    def signature(self) -> tuple[Any, ...]:
        """What two configurations share when one compiled program serves both."""
        return self.static().signature()

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON or TOML; tuples become lists."""
        plain: dict[str, Any] = {}
        for name in fields(type(self)):
            value: Any = getattr(self, name)
            plain[name] = [*value] if isinstance(value, tuple) else value
        return plain

    def hyper(self) -> dict[str, float | int]:
        """The traced fields: what may differ between runs of one program."""
        return {n: getattr(self, n) for n, info in fields(type(self)).items() if info.traced}

    def static(self: _Self) -> _Self:
        """The rest: what a program is compiled for. Reading a traced field from it is an error.

        To type checkers it is of the configuration's own class; at run time it is a `Static`.
        """
        return cast(_Self, Static(cast(Config, self)))


class Static:
    """The static half of a configuration; equal and hashable by the static fields alone.

    Agents bind this and not the `Config`, so that a traced value cannot be baked into a compiled
    program by mistake.
    """

    def __init__(self, config: Config) -> None:
        self._cls = type(config)
        self._values = {
            n: getattr(config, n) for n, info in fields(type(config)).items() if not info.traced
        }

    @property
    def __class__(self) -> type[Config]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The configuration's own: a parameter annotated with it takes either."""
        return self._cls

    def __reduce__(self) -> tuple[Callable[..., Static], tuple[type[Config], dict[str, object]]]:
        return _static, (self._cls, self._values)

    def __getattr__(self, name: str) -> Any:
        # Through __dict__: unpickling asks for attributes before there are any.
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        if values and name in fields(self._cls):
            raise AttributeError(f"{name!r} is traced: read it from ctx.hp.{name}")
        raise AttributeError(name)

    def signature(self) -> tuple[Any, ...]:
        """What two configurations share when one compiled program serves both."""
        return (self._cls.__module__, self._cls.__qualname__, *sorted(self._values.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.signature() == other.signature()

    def __hash__(self) -> int:
        return hash(self.signature())


def _static(cls: type[Config], values: dict[str, object]) -> Static:
    made = object.__new__(Static)
    made.__dict__.update(_cls=cls, _values=values)
    return made


def coerce(info: FieldInfo, value: Any) -> Any:
    """Check one value against its field, converting what is harmless (3 to 3.0, list to tuple).

    Raises:
      UsageError: wrong type, outside the bounds, NaN or infinite.
    """
    origin = typing.get_origin(info.type)
    if origin is Literal:
        choices = typing.get_args(info.type)
        if value not in choices:
            hint = nearest(str(value), map(str, choices))
            raise UsageError(f"agent.{info.name} cannot be {value!r}: {hint}")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UsageError(f"agent.{info.name} must be a {info.describe_type()}, not {value!r}")
        element = typing.get_args(info.type)[0]
        items = cast("list[object]", value)
        return tuple(_scalar(info, element, item) for item in items)
    return _scalar(info, info.type, value)


def _scalar(info: FieldInfo, kind: Any, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not kind:
        raise UsageError(f"agent.{info.name} must be {_article(kind)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"agent.{info.name} must be a finite number, not {value!r}")
    for bound, limit in info.bounds.items():
        holds = {"gt": operator.gt, "ge": operator.ge, "lt": operator.lt, "le": operator.le}
        if not holds[bound](value, limit):
            words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}[bound]
            raise UsageError(f"agent.{info.name} must be {words} {limit:g}, not {value!r}")
    return value


def _article(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(
        kind, str(kind)
    )


def parse(info: FieldInfo, text: str) -> Any:
    """Read a field's value from the command line's text ('256,256' for a list)."""
    origin = typing.get_origin(info.type)
    if origin is tuple:
        element = typing.get_args(info.type)[0]
        return [_parse_scalar(info, element, part) for part in text.split(",") if part.strip()]
    if origin is Literal:
        return text
    return _parse_scalar(info, info.type, text)


def _parse_scalar(info: FieldInfo, kind: Any, text: str) -> Any:
    text = text.strip()
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UsageError(f"agent.{info.name} must be true or false, not {text!r}")
    try:
        return float(text) if kind is float else int(text.replace("_", "")) if kind is int else text
    except ValueError:
        raise UsageError(f"agent.{info.name} must be {_article(kind)}, not {text!r}") from None


# A key is made of 32 bits, the sign left out.
MOST_SEEDS = 1_000_000
SEED_LIMIT = 2**31


def check_seed(value: Any, called: str = "a seed") -> int:
    """A seed as a plain number; numpy's integers are numbers too.

    Raises:
      UsageError: it is no whole number from 0 to below 2**31, or a truth value.
    """
    try:
        seed = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        seed = -1
    if not 0 <= seed < SEED_LIMIT:
        raise UsageError(
            f"{called} must be a whole number of at least 0 and below 2**31 ({SEED_LIMIT}), "
            f"not {value!r}"
        )
    return seed


def few_enough(seeds: int) -> int:
    """A number of seeds, before a list of them fills the memory.

    Raises:
      UsageError: more than `MOST_SEEDS`.
    """
    if seeds > MOST_SEEDS:
        raise UsageError(f"seeds must be at most {MOST_SEEDS:,}, not {seeds:,}")
    return seeds


def check_seeds(seeds: Any) -> list[int]:
    """Seeds as plain numbers: of a number as many from 0 on, else each by itself.

    Raises:
      UsageError: there are none, one is none, or one is given twice.
    """
    if not isinstance(seeds, Iterable):
        seeds = range(few_enough(check_seed(seeds, "seeds")))
    found = [check_seed(seed) for seed in cast("Iterable[object]", seeds)]
    if not found:
        raise UsageError("seeds must be at least 1")
    seed, times = Counter(found).most_common(1)[0]
    if times > 1:
        raise UsageError(f"seed {seed} is given {times} times: it is one run, leave it out")
    return found
