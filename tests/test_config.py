"""Configurations: what is refused, what is traced, and when two share a program."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Literal

import numpy as np
import pytest

from rlsuite.contracts import config
from rlsuite.contracts.config import Traced, knob
from rlsuite.contracts.errors import UsageError


@dataclass(frozen=True)
class Toy(config.Config):
    """A configuration with one field of every type."""

    rate: Traced[float] = knob(0.1, "a step size", gt=0, le=1)
    delay: Traced[int] = knob(2, "a period", ge=1)
    width: int = knob(4, "a size", ge=1, lt=100)
    hidden: tuple[int, ...] = knob((8, 8), "sizes", ge=1)
    anneal: bool = knob(True, "a switch")
    kind: Literal["one", "two"] = knob("one", "a choice")
    scale: float = knob(1.0, "a static number")


@dataclass(frozen=True)
class Other(Toy):
    """The same fields, another class."""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 0.0}, "agent.rate must be above 0, not 0.0"),
        ({"rate": 1.5}, "agent.rate must be at most 1, not 1.5"),
        ({"delay": 0}, "agent.delay must be at least 1, not 0"),
        ({"width": 100}, "agent.width must be below 100, not 100"),
        ({"hidden": (8, 0)}, "agent.hidden must be at least 1, not 0"),
        ({"rate": math.nan}, "agent.rate must be a finite number, not nan"),
        ({"scale": math.inf}, "agent.scale must be a finite number, not inf"),
        ({"rate": "0.1"}, "agent.rate must be a number, not '0.1'"),
        ({"rate": True}, "agent.rate must be a number, not True"),
        ({"rate": None}, "agent.rate must be a number, not None"),
        ({"delay": True}, "agent.delay must be a whole number, not True"),
        ({"width": 2.5}, "agent.width must be a whole number, not 2.5"),
        ({"hidden": 8}, "agent.hidden must be a list of int, not 8"),
        ({"hidden": ("8",)}, "agent.hidden must be a whole number, not '8'"),
        ({"anneal": 1}, "agent.anneal must be true or false, not 1"),
        ({"kind": "twoo"}, "agent.kind cannot be 'twoo': did you mean 'two'"),
        ({"kind": ["one"]}, "agent.kind cannot be"),
        ({"wdth": 3}, "no setting 'agent.wdth': did you mean 'width'"),
    ],
)
def test_mistakes_are_refused_in_one_line(values, message):
    with pytest.raises(UsageError) as raised:
        Toy.from_mapping(values)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_harmless_values_are_converted():
    toy = Toy.from_mapping({"rate": 1, "width": 4.0, "hidden": [3, 4.0]})
    assert (type(toy.rate), type(toy.width), toy.hidden) == (float, int, (3, 4))


def test_replacing_checks_again_and_instances_are_frozen():
    with pytest.raises(UsageError):
        replace(Toy(), rate=2.0)
    with pytest.raises(FrozenInstanceError):
        Toy().rate = 0.5  # pyright: ignore[reportAttributeAccessIssue]


def test_settings_lay_over_a_base():
    base = Toy(width=7, rate=0.5)
    laid = Toy.from_mapping({"rate": 0.2}, base)
    assert (laid.width, laid.rate) == (7, 0.2)


def test_mapping_round_trip_is_plain():
    toy = Toy(hidden=(3,), kind="two")
    plain = toy.to_mapping()
    assert plain["hidden"] == [3]
    assert Toy.from_mapping(plain) == toy


def test_traced_fields_are_split_off():
    assert Toy(rate=0.3).hyper() == {"rate": 0.3, "delay": 2}


def test_static_refuses_traced_and_unknown_fields():
    static = Toy().static()
    assert static.width == 4
    with pytest.raises(AttributeError, match=r"'rate' is traced: read it from ctx\.hp\.rate"):
        _ = static.rate
    with pytest.raises(AttributeError, match="nothing"):
        _ = static.nothing  # pyright: ignore[reportAttributeAccessIssue]


def test_static_passes_for_its_configuration_and_pickles():
    """Functions annotated with the configuration's class are handed the static half."""
    static = Toy(width=8).static()
    assert isinstance(static, Toy)
    assert type(static) is not Toy
    copied = pickle.loads(pickle.dumps(static))
    assert copied == static
    with pytest.raises(AttributeError, match="is traced"):
        _ = copied.rate


def test_signatures_are_equal_exactly_when_static_fields_are():
    reference = Toy().static()
    for same in (Toy(rate=0.9), Toy(delay=7), Toy(hidden=(8, 8))):
        assert same.static() == reference
        assert hash(same.static()) == hash(reference)
    static_changes = {
        "width": 5, "hidden": (8,), "anneal": False, "kind": "two", "scale": 2.0,
    }  # fmt: skip
    for name, value in static_changes.items():
        assert replace(Toy(), **{name: value}).static() != reference, name
    assert Other().static() != reference


def test_static_travels_to_a_worker():
    static = Toy().static()
    assert pickle.loads(pickle.dumps(static)) == static


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", "3e-4", 3e-4),
        ("delay", "1_000", 1000),
        ("hidden", "256,128", [256, 128]),
        ("hidden", "256", [256]),
        ("hidden", "", []),
        ("anneal", "False", False),
        ("kind", "two", "two"),
    ],
)
def test_the_command_lines_text_is_read(name, text, value):
    assert config.parse(config.fields(Toy)[name], text) == value


@pytest.mark.parametrize(
    ("name", "text"), [("rate", "x"), ("delay", "1.5"), ("hidden", "8,x"), ("anneal", "1")]
)
def test_unreadable_text_is_refused(name, text):
    with pytest.raises(UsageError, match=f"agent.{name} must be"):
        config.parse(config.fields(Toy)[name], text)


def test_fields_describe_themselves():
    info = config.fields(Toy)
    assert info["rate"].traced
    assert not info["width"].traced
    described = {name: field.describe_type() for name, field in info.items()}
    assert described == {
        "rate": "float", "delay": "int", "width": "int", "hidden": "list of int",
        "anneal": "true | false", "kind": "one | two", "scale": "float",
    }  # fmt: skip


def test_seeds_are_numbers_of_32_bits_without_the_sign():
    assert config.check_seeds(np.arange(2, 4)) == [2, 3]
    assert config.check_seeds(np.int64(2)) == config.check_seeds(2) == [0, 1]
    assert [type(seed) for seed in config.check_seeds([np.uint8(7)])] == [int]
    assert config.check_seeds([2**31 - 1]) == [2**31 - 1]
    for bad in (2**31, -1, 1.0, True, np.bool_(True), "3", None, np.float32(1), np.int64(2**40)):
        with pytest.raises(UsageError, match=r"a seed must be a whole number .* below 2\*\*31"):
            config.check_seeds([0, bad])
    for none in ([], 0, np.arange(0)):
        with pytest.raises(UsageError, match="seeds must be at least 1"):
            config.check_seeds(none)
