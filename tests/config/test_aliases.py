"""Deprecated spellings of keys, and settings that were stored with them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from fastitpn.config import Config, build, parse
from fastitpn.config.explain import groups_of
from fastitpn.config.stored_settings import same_settings
from fastitpn.errors import InputError
from fastitpn.registry import Registry

Count = Annotated[int, Field(ge=1)]
FINDERS: Registry[Any] = Registry("finder", {})


@dataclass(frozen=True, kw_only=True)
class FinderKeys(Config):
    """Finder."""

    _variants = FINDERS
    _shorthand: ClassVar[str | None] = "name"

    name: str = "boxes"
    width: Count = 64


@dataclass(frozen=True, kw_only=True)
class BoxKeys(FinderKeys):
    """Finder: boxes."""

    anchor: float | None = None


@dataclass(frozen=True, kw_only=True)
class QueryKeys(FinderKeys):
    """Finder: queries."""

    name: str = "queries"
    queries: Count = 300


FINDERS.register("boxes", BoxKeys)
FINDERS.register("queries", QueryKeys)
FINDERS.register("plain", FinderKeys)


@dataclass(frozen=True, kw_only=True)
class ProbeKeys(Config):
    """Probe."""

    _aliases: ClassVar[Mapping[str, str]] = {"size": "px"}

    px: Count = 32


@dataclass(frozen=True, kw_only=True)
class FindConfig(Config):
    """Finding."""

    _command: ClassVar[str] = "find"
    _aliases: ClassVar[Mapping[str, str]] = {
        "anchor_size": "finder.anchor",
        "queries": "finder.queries",
        "rate": "lr",
        "width": "finder.width",
    }

    data: str = "photos"
    lr: float = 0.1
    finder: FinderKeys = BoxKeys(width=32)
    probe: ProbeKeys = ProbeKeys()


@pytest.fixture
def lines(caplog):
    """What was logged so far."""
    caplog.set_level(logging.DEBUG, logger="fastitpn")

    def lines() -> list[str]:
        assert all((record.name, record.levelname) == ("fastitpn", "WARNING") for record in caplog.records)
        return [record.getMessage() for record in caplog.records]

    return lines


def message(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(FindConfig, words)
    return str(caught.value)


def test_the_old_spelling_works_and_is_named_once(lines, tmp_path):
    (tmp_path / "r.yaml").write_text("queries: 8\nrate: 0.5\n")
    config = parse(FindConfig, ["finder=queries", "queries=7", f"recipe={tmp_path / 'r.yaml'}", "queries=9"])
    assert (config.finder, config.lr) == (QueryKeys(queries=9), 0.5)
    assert lines() == ["queries: deprecated, now finder.queries", "rate: deprecated, now lr"]


def test_it_works_in_python(lines):
    assert build(FindConfig, {"finder": "queries", "queries": 9, "width": 8}).finder == QueryKeys(queries=9, width=8)
    assert len(lines()) == 2


def test_the_later_of_two_sources_wins(tmp_path):
    (tmp_path / "r.yaml").write_text("finder: {name: queries, queries: 8}\n")
    assert parse(FindConfig, [f"recipe={tmp_path / 'r.yaml'}", "queries=9"]).finder.queries == 9
    (tmp_path / "r.yaml").write_text("finder: queries\nqueries: 8\n")
    assert parse(FindConfig, [f"recipe={tmp_path / 'r.yaml'}", "finder.queries=9"]).finder.queries == 9


def test_both_spellings_at_once():
    assert message("finder=queries", "queries=9", "finder.queries=9").startswith(
        "queries: expected only one of queries and finder.queries, got both\n"
    )
    assert "finder.width: expected only one of finder.width and width, got both" in message("finder.width=8", "width=8")


def test_errors_have_the_spelling_that_was_typed():
    assert message("queries=9").startswith("queries: expected none, since finder=boxes makes no use of it\n")
    assert message("finder=plain", "anchor_size=9").startswith("anchor_size: expected none, since finder=plain ")
    assert message("width=x").startswith("width: expected a whole number of at least 1, got 'x'\n")


def test_none_of_an_earlier_version_is_the_default(lines):
    assert build(FindConfig, {"queries": None, "width": None}).finder == BoxKeys(width=32)
    assert build(FindConfig, {"finder": "queries", "queries": None}).finder == QueryKeys()
    assert lines() == []
    build(FindConfig, {"anchor_size": None})
    assert lines() == ["anchor_size: deprecated, now finder.anchor"]


def test_help_and_suggestions_know_only_the_new_spelling():
    shown = {field.key for group in groups_of(FindConfig) for field in group.fields}
    assert not {"queries", "rate", "width", "probe.size"} & shown
    assert message("ratee=3").startswith("ratee: unknown key\n")


def test_an_alias_of_a_nested_key(lines):
    assert build(FindConfig, {"probe": {"size": 3}}).probe.px == 3
    assert lines() == ["probe.size: deprecated, now probe.px"]


def test_stored_settings_in_todays_spellings(lines):
    old = {"data": "photos", "lr": 0.1, "finder": "queries", "queries": 8, "anchor_size": None, "width": None}
    now = build(FindConfig, {"finder": {"name": "queries", "queries": 8}})
    settings = same_settings(FindConfig, old)
    assert settings == same_settings(FindConfig, {"finder": now.finder}) == same_settings(FindConfig, settings)
    assert (settings["finder.queries"], settings["finder.width"], settings["data"]) == (8, 64, "photos")
    assert lines() == []


def test_stored_settings_that_cannot_be_built_are_left_as_they_are():
    old = {"data": "photos", "gone": 3, "finder": {"name": "queries"}}
    assert same_settings(FindConfig, old) == {"data": "photos", "gone": 3, "finder.name": "queries"}


def test_a_key_younger_than_a_run_is_what_it_was_in_it(monkeypatch):
    member = type(build(FindConfig, {"finder": "queries"}).finder)
    monkeypatch.setattr(member, "_before", {"queries": 3})
    assert same_settings(FindConfig, {"finder": {"name": "queries"}})["finder.queries"] == 3
    assert same_settings(FindConfig, {"finder": {"name": "queries", "queries": 5}})["finder.queries"] == 5
    assert build(FindConfig, {"finder": "queries"}).finder.queries != 3
