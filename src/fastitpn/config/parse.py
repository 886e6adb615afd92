"""From words, recipes and Python arguments to a configuration. All errors are reported at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastitpn.config.fields import REQUIRED, Config, Field, fields_of, nested_configs
from fastitpn.config.recipe import Given, flatten, read_recipe
from fastitpn.config.values import choices, expected, read_value
from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name

ConfigType = TypeVar("ConfigType", bound=Config)

_KEY_AND_VALUE = re.compile(r"(-*[A-Za-z_][\w.-]*)=(.*)", re.DOTALL)


def parse(config_class: type[ConfigType], arguments: Sequence[str]) -> ConfigType:
    """Reads `key=value` words. `recipe=FILE.yaml` stands for the keys in that file; the later of two keys wins.

    Raises:
        InputError: With everything that is wrong, each with its file and line if it comes from a recipe.
    """
    given: list[Given] = []
    problems: list[str] = []
    positional, rest = list(config_class._positional), []
    for word in arguments:
        match = _KEY_AND_VALUE.fullmatch(word)
        if match is None and positional and not word.startswith("-"):
            given.append(Given(key=positional.pop(0), value=word))
        elif match is None and config_class._rest and not word.startswith("-"):
            rest.append(word)
        elif match is None or word.startswith("-"):
            problems.append(_not_a_key(config_class, word))
        elif match[1] == "recipe":
            keys, wrong = read_recipe(Path(match[2]).expanduser())
            given += keys
            problems += wrong
        else:
            given.append(Given(key=match[1], value=match[2]))
    if rest:
        given.append(Given(key=str(config_class._rest), value=rest))
    return _assemble(config_class, given, problems)


def build(config_class: type[ConfigType], mapping: Mapping[str, Any]) -> ConfigType:
    """Makes a configuration of Python values, as from `fastitpn.pretrain(data=..., teacher={"name": ...})`.

    Nested configurations are mappings, instances, their shorthand, or dotted keys. `recipe` is a path; the other
    keys win over it.

    Raises:
        InputError: With everything that is wrong.
    """
    own = dict(mapping)
    recipe = own.pop("recipe", None)
    given, problems = read_recipe(Path(recipe).expanduser()) if recipe is not None else ([], [])
    given += [Given(key=key, value=value) for key, value in flatten(own).items()]
    return _assemble(config_class, given, problems)


def _assemble(config_class: type[ConfigType], given: Iterable[Given], problems: list[str]) -> ConfigType:
    fields = fields_of(config_class)
    chosen: dict[str, Given] = {}
    for item in given:
        key = _full_key(config_class, item)
        if key in fields:
            _choose(config_class, chosen, key, item)
        elif key is not None:
            problems.append(item.place + _unknown(config_class, key))
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in chosen:
            try:
                values[key] = read_value(field.annotation, chosen[key].value)
            except ValueError:
                problems.append(chosen[key].place + _misfit(field, chosen[key].value))
        elif field.default is REQUIRED:
            problems.append(f"{key}: required, but not given; expected {expected(field.annotation)}")
        else:
            values[key] = field.default
    for group in config_class._alternatives:
        clash = [key for key in group if key in chosen and values.get(key) is not None]
        if len(clash) > 1:
            problems.append(f"{clash[0]}: expected only one of {' and '.join(clash)}, got both")
    if not problems:
        config = _construct(config_class, values)
        problems = config.problems()
    if problems:
        raise _error(config_class, problems)
    return config


def _full_key(config_class: type[Config], item: Given) -> str | None:
    """The key that a shorthand stands for, else the key; None for a nested configuration left empty in YAML."""
    nested = nested_configs(config_class).get(item.key)
    if nested is None:
        return item.key
    if item.value is None:
        return None
    return f"{item.key}.{nested._shorthand}" if nested._shorthand else item.key


def _choose(config_class: type[Config], chosen: dict[str, Given], key: str, item: Given) -> None:
    """Notes the key; it replaces its alternatives from an earlier source, as `steps=9` does to a recipe's epochs."""
    alternatives = [other for group in config_class._alternatives if key in group for other in group if other != key]
    if item.value is not None:
        for other in alternatives:
            if other in chosen and chosen[other].source != item.source:
                del chosen[other]
    chosen[key] = item


def _construct(config_class: type[ConfigType], values: Mapping[str, Any], outer: str = "") -> ConfigType:
    arguments = {
        name: _construct(nested, values, f"{outer}{name}.") for name, nested in nested_configs(config_class).items()
    }
    for key, value in values.items():
        name = key.removeprefix(outer)
        if key.startswith(outer) and "." not in name:
            arguments[name] = value
    return config_class(**arguments)


def _misfit(field: Field, value: Any) -> str:
    got = "no value" if value == "" else "none" if value is None else repr(value)
    near = nearest_name(str(value), choices(field.annotation))
    return f"{field.key}: expected {expected(field.annotation)}, got {got}" + (
        f"; did you mean {near}?" if near else ""
    )


def _unknown(config_class: type[Config], key: str) -> str:
    inner = [name for name in fields_of(config_class) if name.startswith(f"{key}.")]
    if inner:
        return f"{key}: not a key by itself; expected one of {', '.join(inner)}"
    near = nearest_name(key, _names(config_class))
    return f"{key}: unknown key" + (f"; did you mean {near}?" if near else "")


def _not_a_key(config_class: type[Config], word: str) -> str:
    if word.startswith("-"):
        key, _, value = word.lstrip("-").partition("=")
        near = nearest_name(key, _names(config_class))
        return f"{word}: keys have no dashes" + (f"; type {near}={value or 'VALUE'}" if near else "")
    near = nearest_name(word, _names(config_class))
    if near:
        return f"{word}: expected key=value; type {near}=VALUE"
    taken = config_class._positional
    if taken:
        return f"{word}: expected key=value; {' and '.join(taken)} {'is' if len(taken) == 1 else 'are'} given already"
    return f"{word}: expected key=value"


def _names(config_class: type[Config]) -> list[str]:
    """Everything that may stand before `=`."""
    shorthands = [name for name, nested in nested_configs(config_class).items() if nested._shorthand]
    return [*shorthands, *fields_of(config_class), "recipe"]


def _error(config_class: type[Config], problems: list[str]) -> InputError:
    command = config_class._command
    fix = f"fastitpn {command} --help lists every key" if command else None
    if len(problems) == 1:
        return InputError(problems[0], fix=fix)
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return InputError(f"{len(problems)} errors in the configuration:{lines}", fix=fix)
