"""Nested configurations whose keys depend on a name."""

import io
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field
from rich.console import Console

from fastitpn.config import Config, build, explain, fields_of, parse, to_command, to_dict, to_yaml
from fastitpn.config.fields import nested_configs, value_of
from fastitpn.config.recipe import flatten
from fastitpn.errors import InputError
from fastitpn.registry import Registry

Count = Annotated[int, Field(ge=1)]
FINDERS: Registry[Any] = Registry("finder", {})
GUIDES: Registry[Any] = Registry("guide", {})


@dataclass(frozen=True, kw_only=True)
class FinderKeys(Config):
    """Finder."""

    _variants = FINDERS
    _shorthand: ClassVar[str | None] = "name"

    name: str = "boxes"
    """What finds objects."""
    width: Count = 64
    """Channels inside."""


@dataclass(frozen=True, kw_only=True)
class BoxKeys(FinderKeys):
    """Finder: boxes."""

    anchor: float | None = None
    """Side of the anchors."""


@dataclass(frozen=True, kw_only=True)
class QueryKeys(FinderKeys):
    """Finder: queries."""

    name: str = "queries"
    queries: Count = 300
    """Objects at most."""
    layers: Count | None = None
    """Layers of the decoder."""
    width: Count = 256

    def problems(self) -> list[str]:
        """Checks the width."""
        return [f"width: expected a multiple of 8, got {self.width}"] if self.width % 8 else []


@dataclass(frozen=True, kw_only=True)
class GuideKeys(Config):
    """Guide."""

    _variants = GUIDES
    _shorthand: ClassVar[str | None] = "name"

    name: str = "ema"
    """What gives the targets."""


@dataclass(frozen=True, kw_only=True)
class AverageKeys(GuideKeys):
    """Guide: ema."""

    momentum: float = 0.9
    """Share that is kept."""


@dataclass(frozen=True, kw_only=True)
class TimmKeys(GuideKeys):
    """Guide: timm."""

    name: str
    weights: Path | None = None
    """File with its weights."""


FINDERS.register("boxes", BoxKeys)
FINDERS.register("cascade", SimpleNamespace(keys=BoxKeys))
FINDERS.register("queries", QueryKeys)
FINDERS.register("plain", FinderKeys)
GUIDES.register("ema", AverageKeys)
GUIDES.register("timm", TimmKeys)


@dataclass(frozen=True, kw_only=True)
class FindConfig(Config):
    """Finding."""

    _command: ClassVar[str] = "find"

    data: Path = Path("photos")
    """Images."""
    lr: float = 0.1
    """Learning rate."""
    finder: FinderKeys = BoxKeys(width=32)
    guide: GuideKeys = AverageKeys()


@dataclass(frozen=True, kw_only=True)
class ChosenKeys(Config):
    """Guide."""

    _variants = Registry[Any]("guide", {})
    _shorthand: ClassVar[str | None] = "name"

    name: str


@dataclass(frozen=True, kw_only=True)
class FolderKeys(ChosenKeys):
    """Guide: folder."""

    px: Count = 3


ChosenKeys._variants.register("folder", FolderKeys)


@dataclass(frozen=True, kw_only=True)
class CacheConfig(Config):
    """Cache."""

    guide: ChosenKeys


def message(*words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(FindConfig, words)
    return str(caught.value)


def help_of(config_class) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=120).print(explain(config_class))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_without_a_choice_there_are_the_keys_of_the_default():
    assert parse(FindConfig, []).finder == BoxKeys(width=32)
    assert [key for key in fields_of(FindConfig) if "." in key] == [
        "finder.anchor",
        "finder.name",
        "finder.width",
        "guide.momentum",
        "guide.name",
    ]
    assert fields_of(FindConfig)["finder.width"].default == 32
    assert nested_configs(FindConfig) == {"finder": BoxKeys, "guide": AverageKeys}


@pytest.mark.parametrize(
    "given",
    [
        {"finder": "queries", "finder.queries": 500},
        {"finder": {"name": "queries", "queries": "500"}},
        {"finder": QueryKeys(queries=500)},
        {"finder.queries": 500, "finder.name": "queries"},
    ],
)
def test_the_name_chooses_the_keys(given):
    assert build(FindConfig, given).finder == QueryKeys(queries=500)


def test_words_and_recipes_choose_too(tmp_path):
    recipe = tmp_path / "r.yaml"
    for text in ("finder: queries\nfinder.queries: 500\n", "finder: {name: queries, queries: 500}\n"):
        recipe.write_text(text)
        assert parse(FindConfig, [f"recipe={recipe}"]).finder == QueryKeys(queries=500)
    assert parse(FindConfig, ["finder.queries=500", "finder=queries"]).finder == QueryKeys(queries=500)


def test_another_variant_has_the_defaults_of_its_class():
    assert parse(FindConfig, ["finder=queries"]).finder.width == 256
    assert parse(FindConfig, ["finder=cascade"]).finder == BoxKeys(name="cascade", width=64)
    assert parse(FindConfig, ["finder=boxes"]).finder == BoxKeys(width=32)


def test_more_may_stand_behind_a_colon():
    assert parse(FindConfig, ["guide=timm:resnet18"]).guide == TimmKeys(name="timm:resnet18")
    assert "guide: expected ema or timm, got 'tim:resnet18'" in message("guide=tim:resnet18")


def test_an_unknown_name_reads_like_that_of_a_literal():
    text = "expected one of boxes, cascade, queries, plain, got 'querys'; did you mean queries?\n"
    assert message("finder=querys").startswith(f"finder: {text}")
    assert message("finder.name=querys").startswith(f"finder.name: {text}")
    assert message("finder=querys", "finder.queries=5").startswith(f"finder: {text}")  # not about its keys as well


@pytest.mark.parametrize("value", [None, 5, [1], "", False])
def test_no_name_at_all(value):
    with pytest.raises(InputError, match=r"finder\.name: expected one of boxes"):
        build(FindConfig, {"finder": {"name": value, "width": 9}})


def test_a_key_of_another_variant(tmp_path):
    assert message("finder=queries", "finder.anchor=4").startswith(
        "finder.anchor: expected none, since finder=queries makes no use of it\n"
    )
    assert "finder.queries: expected none, since finder=boxes makes no use of it" in message("finder.queries=4")
    assert "since guide=timm:a makes no use of it" in message("guide=timm:a", "guide.momentum=0.5")
    (tmp_path / "r.yaml").write_text("finder:\n  name: queries\n  anchor: 4\n")
    assert "r.yaml, line 3: finder.anchor: expected none" in message(f"recipe={tmp_path / 'r.yaml'}")
    assert "finder.widht: unknown key; did you mean finder.width?" in message("finder.widht=5")
    assert "finder.layer: unknown key; did you mean finder.layers?" in message("finder=queries", "finder.layer=5")


def test_none_for_a_key_of_another_variant_is_nothing():
    assert build(FindConfig, {"finder": {"queries": None}}) == FindConfig()
    assert parse(FindConfig, ["finder=queries", "finder.anchor=none"]).finder == QueryKeys()


def test_a_later_choice_leaves_the_recipes_keys_behind(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(to_yaml(parse(FindConfig, ["finder=queries", "finder.width=48"])))
    assert parse(FindConfig, [f"recipe={recipe}", "finder=boxes"]).finder == BoxKeys(width=48)
    assert "finder.queries: expected none" in message(f"recipe={recipe}", "finder=boxes", "finder.queries=3")


def test_keys_are_checked_against_each_other():
    assert "finder.width: expected a multiple of 8, got 9" in message("finder=queries", "finder.width=9")
    assert parse(FindConfig, ["finder.width=9"]).finder.width == 9


@pytest.mark.parametrize(
    "words",
    [[], ["finder=cascade"], ["finder=queries", "finder.layers=2", "guide=timm:a b", "guide.weights=w.pt"]],
)
def test_what_is_written_reads_back_equal(tmp_path, words):
    config = parse(FindConfig, words)
    (tmp_path / "r.yaml").write_text(to_yaml(config))
    assert parse(FindConfig, [f"recipe={tmp_path / 'r.yaml'}"]) == config
    assert build(FindConfig, to_dict(config)) == config
    assert build(FindConfig, flatten({"finder": config.finder, "guide": config.guide})) == config


def test_the_keys_of_a_configuration_are_those_of_its_variant():
    config = parse(FindConfig, ["finder=queries", "finder.queries=9", "guide=timm:a"])
    assert to_dict(config)["finder"] == {"queries": 9, "layers": None, "name": "queries", "width": 256}
    assert value_of(config, "finder.queries") == 9
    assert nested_configs(config) == {"finder": QueryKeys, "guide": TimmKeys}
    assert to_command(config) == "fastitpn find finder.queries=9 finder.name=queries guide.name=timm:a"
    assert to_command(parse(FindConfig, ["finder=cascade"])) == "fastitpn find finder.name=cascade"


def test_help_has_the_shared_keys_once_and_then_each_variant():
    lines = help_of(FindConfig)
    titles = [line for line in lines if line.startswith(("Find", "Guide"))]
    assert titles == [
        "Finding",
        "Finder",
        "Finder: boxes, cascade",
        "Finder: queries",
        "Finder: plain",
        "Guide",
        "Guide: ema",
        "Guide: timm",
    ]
    assert "finder.name boxes | cascade | boxes What finds objects." in lines
    assert [line for line in lines if line.startswith("finder.width")] == [
        "finder.width int >= 1 32 Channels inside.",
        "finder.width int >= 1 256 Channels inside.",  # of queries, and of plain:
        "finder.width int >= 1 64 Channels inside.",
    ]
    for key in ("finder.name", "finder.anchor", "finder.queries", "guide.weights"):
        assert len([line for line in lines if line.startswith(f"{key} ")]) == 1, key
    assert "finder.queries int >= 1 300 Objects at most." in lines


def test_a_missing_package_of_one_variant(monkeypatch, tmp_path):
    (tmp_path / "dense_keys.py").write_text("import package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    FINDERS.register("dense", "dense_keys:Keys")
    try:
        assert parse(FindConfig, ["finder=queries"]).finder == QueryKeys()
        lines = help_of(FindConfig)
        line = lines.index("Finder: dense")
        assert lines[line + 1] == (
            "the finder 'dense' needs a package that is not installed; pip install package_that_is_not_there"
        )
        assert "finder.queries int >= 1 300 Objects at most." in lines
        assert "needs a package that is not installed" in message("finder=dense")
        assert "finder.anchor: expected none" in message("finder=queries", "finder.anchor=3")
    finally:
        FINDERS.unregister("dense")


def test_a_new_variant_is_one_line():
    @dataclass(frozen=True, kw_only=True)
    class DenseKeys(FinderKeys):
        """Finder: dense."""

        name: str = "dense"
        folder: Path = Path("here")

    FINDERS.register("dense", DenseKeys)
    try:
        assert parse(FindConfig, ["finder=dense", "finder.folder=there"]).finder == DenseKeys(folder=Path("there"))
        assert "did you mean dense?" in message("finder=dens")
    finally:
        FINDERS.unregister("dense")
    assert "finder: expected one of boxes, cascade, queries, plain, got 'dense'" in message("finder=dense")


def test_a_variant_that_must_be_chosen():
    config = parse(CacheConfig, ["guide=folder:/a", "guide.px=4"])
    assert config.guide == FolderKeys(name="folder:/a", px=4)
    assert build(CacheConfig, to_dict(config)) == config
    assert to_command(config) == "fastitpn guide.px=4 guide.name=folder:/a"
    with pytest.raises(InputError, match=r"guide\.name: required, but not given; expected folder"):
        parse(CacheConfig, [])
    assert "guide.px int >= 1 3" in help_of(CacheConfig)
