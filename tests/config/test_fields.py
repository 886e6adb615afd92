from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from fastitpn.config.fields import REQUIRED, Config, fields_of, value_of
from fastitpn.config.parse import build


@dataclass(frozen=True, kw_only=True)
class Wheel(Config):
    """The wheel. A second sentence."""

    _shorthand: ClassVar[str | None] = "px"

    px: int = 3
    """Its
    size."""
    tyre: str = "soft"


@dataclass(frozen=True, kw_only=True)
class Base(Config):
    """The base."""

    speed: float = 1.0
    """How fast."""
    colour: str
    """Which paint."""


@dataclass(frozen=True, kw_only=True)
class Car(Base):
    """The car."""

    road: Path
    """Where it goes."""
    wheel: Wheel = Wheel(tyre="hard")
    doors: list[int] = field(default_factory=lambda: [4])
    speed: float = 9.0


def test_own_keys_come_first_then_nested_then_inherited():
    assert list(fields_of(Car)) == ["road", "doors", "wheel.px", "wheel.tyre", "speed", "colour"]


def test_docstring_lines_become_sentences():
    sentences = {key: entry.sentence for key, entry in fields_of(Car).items()}
    assert sentences["road"] == "Where it goes."
    assert sentences["wheel.px"] == "Its size."
    assert sentences["wheel.tyre"] == ""


def test_a_field_declared_again_changes_default_but_keeps_sentence_and_group():
    speed = fields_of(Car)["speed"]
    assert (speed.default, speed.sentence, speed.group) == (9.0, "How fast.", "The base")
    assert fields_of(Base)["speed"].default == 1.0


def test_defaults():
    fields = fields_of(Car)
    assert fields["road"].default is REQUIRED
    assert fields["colour"].default is REQUIRED
    assert fields["doors"].default == [4]
    assert fields["wheel.px"].default == 3
    assert fields["wheel.tyre"].default == "hard"  # from the outer class's instance, not from Wheel


def test_the_result_is_a_copy():
    fields_of(Car).clear()
    assert "road" in fields_of(Car)


def test_value_of_follows_dots():
    car = build(Car, {"road": "lane", "colour": "red", "wheel": 7})
    assert value_of(car, "wheel.px") == 7
    assert car.wheel.tyre == "hard"


def test_configurations_are_frozen_and_keyword_only():
    with pytest.raises(TypeError):
        Wheel(4)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Wheel().px = 5  # type: ignore[misc]
