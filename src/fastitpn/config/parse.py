"""From words, recipes and Python arguments to a configuration. All errors are reported at once."""

import logging
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastitpn.config.fields import REQUIRED, Config, Field, fields_of, nested_configs
from fastitpn.config.recipe import Given, flatten, read_recipe
from fastitpn.config.shipped import recipe_file
from fastitpn.config.values import choices, expected, is_none, item_choices, nearest_multiples, read_value, takes_none
from fastitpn.config.variants import Selection, aliases_of, full_keys
from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name

ConfigType = TypeVar("ConfigType", bound=Config)

logger = logging.getLogger("fastitpn")

_KEY_AND_VALUE = re.compile(r"(-*[A-Za-z_][\w.-]*)=(.*)", re.DOTALL)


def parse(config_class: type[ConfigType], arguments: Sequence[str]) -> ConfigType:
    """Reads `key=value` words. `recipe=FILE.yaml` stands for the keys in that file.

    A key that is typed wins over a recipe, wherever it stands; of two typed ones, or of two recipes, the later wins.

    Raises:
        InputError: With everything that is wrong, each with its file and line if it comes from a recipe.
    """
    given: list[Given] = []
    of_recipes: list[Given] = []
    problems: list[str] = []
    positional, rest = list(config_class._positional), []
    for word in arguments:
        match = _KEY_AND_VALUE.fullmatch(word)
        if match is None and positional and not word.startswith("-"):
            given.append(Given(key=positional.pop(0), value=word))
        elif match is None and config_class._rest and not word.startswith("-"):
            rest.append(word)
        elif match is None or word.startswith("-"):
            problems.append(_not_a_key(config_class, word, arguments))
        elif match[1] == "recipe":
            keys, wrong = read_recipe(recipe_file(match[2]))
            of_recipes += keys
            problems += wrong
        else:
            given.append(Given(key=match[1], value=match[2]))
    if rest:
        given.append(Given(key=str(config_class._rest), value=rest))
    return assemble(config_class, [*of_recipes, *given], problems)


def build(config_class: type[ConfigType], mapping: Mapping[str, Any]) -> ConfigType:
    """Makes a configuration of Python values, as from `fastitpn.pretrain(data=..., teacher={"name": ...})`.

    Nested configurations are mappings, instances, their shorthand, or dotted keys. `recipe` is a path; the other
    keys win over it.

    Raises:
        InputError: With everything that is wrong.
    """
    values = dict(mapping)
    recipe = values.pop("recipe", None)
    given, problems = read_recipe(recipe_file(recipe)) if recipe is not None else ([], [])
    given += [Given(key=key, value=value) for key, value in flatten(values).items()]
    return assemble(config_class, given, problems)


def assemble(
    config_class: type[ConfigType], given: Iterable[Given], problems: Iterable[str] = (), *, silent: bool = False
) -> ConfigType:
    """Makes a configuration of the keys that were given.

    Args:
        config_class: The configuration to make.
        given: The keys in their order; the later of two wins.
        problems: What is wrong already.
        silent: Whether to say nothing of deprecated spellings.

    Raises:
        InputError: With everything that is wrong.
    """
    problems = list(problems)
    aliases = aliases_of(config_class)
    items = full_keys(config_class, aliases, given)
    selection = Selection(config_class, items)
    fields = fields_of(config_class, selection.variants)
    chosen: dict[str, Given] = {}
    deprecated: dict[str, str] = {}
    for position, item in enumerate(items):
        old = item.typed in aliases
        if item.key not in fields:
            problem = selection.unused(position, old=old)
            if problem != "":
                problems.append(item.place + (problem or _unknown(fields, config_class, item.label)))
            continue
        if old:
            if is_none(item.value) and not takes_none(fields[item.key].annotation):
                continue  # which said "the default" when the key was written so
            deprecated[item.typed] = aliases[item.typed]
        before = chosen.get(item.key)
        if before and before.source == item.source and before.label != item.label and (old or before.typed in aliases):
            problems.append(
                f"{item.place}{before.label}: expected only one of {before.label} and {item.label}, got both"
            )
        _choose(config_class, chosen, item.key, item)
    for typed, today in deprecated.items():
        if not silent:
            logger.warning("%s: deprecated, now %s", typed, today)
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in chosen:
            try:
                values[key] = read_value(field.annotation, chosen[key].value)
            except ValueError:
                problems.append(chosen[key].place + _misfit(field, chosen[key]))
        elif field.default is REQUIRED:
            problems.append(f"{key}: required, but not given; expected {expected(field.annotation)}")
        else:
            values[key] = field.default
    for group in config_class._alternatives:
        clash = [key for key in group if key in chosen and values.get(key) is not None]
        if len(clash) > 1:
            problems.append(f"{clash[0]}: expected only one of {' and '.join(clash)}, got both")
    if not problems:
        config = _construct(config_class, values, selection.variants)
        object.__setattr__(config, "_given", frozenset(chosen))
        problems = _problems_in(config)
    if problems:
        raise _error(config_class, problems)
    return config


def _problems_in(config: Config, outer: str = "") -> list[str]:
    """What is wrong between the keys of a configuration, then between those of each that it holds."""
    result = [f"{outer}{problem}" for problem in config.problems()]
    for name in nested_configs(config):
        result += _problems_in(getattr(config, name), f"{outer}{name}.")
    return result


def _choose(config_class: type[Config], chosen: dict[str, Given], key: str, item: Given) -> None:
    """Notes the key; it replaces its alternatives from an earlier source, as `steps=9` does to a recipe's epochs."""
    alternatives = [other for group in config_class._alternatives if key in group for other in group if other != key]
    if item.value is not None:
        for other in alternatives:
            if other in chosen and chosen[other].source != item.source:
                del chosen[other]
    chosen[key] = item


def _construct(
    config_class: type[ConfigType], values: Mapping[str, Any], variants: Mapping[str, type[Config]], outer: str = ""
) -> ConfigType:
    arguments: dict[str, Any] = {
        name: _construct(nested, values, {}, f"{outer}{name}.")
        for name, nested in nested_configs(config_class, variants).items()
    }
    for key, value in values.items():
        name = key.removeprefix(outer)
        if key.startswith(outer) and "." not in name:
            arguments[name] = value
    return config_class(**arguments)


def _misfit(field: Field, item: Given) -> str:
    value = item.value
    got = "no value" if value == "" else "none" if value is None else repr(value)
    near = nearest_name(str(value), choices(field.annotation))
    near = near or _nearest_items(item_choices(field.annotation), str(value))
    near = near or " or ".join(map(str, nearest_multiples(field.annotation, value)))
    return f"{item.label}: expected {expected(field.annotation)}, got {got}" + (
        f"; did you mean {near}?" if near else ""
    )


def _nearest_items(words: Sequence[str], value: str) -> str | None:
    """The list that was probably meant; None if a word of it is like no other."""
    items = [item.strip() for item in value.split(",")]
    meant = [item if item in words else nearest_name(item, words) for item in items]
    return ",".join(map(str, meant)) if words and all(meant) else None


def _unknown(fields: Iterable[str], config_class: type[Config], key: str) -> str:
    inner = [name for name in fields if name.startswith(f"{key}.")]
    if inner:
        return f"{key}: not a key by itself; expected one of {', '.join(inner)}"
    near = nearest_name(key, _names(config_class, fields))
    return f"{key}: unknown key" + (f"; did you mean {near}?" if near else "")


def _not_a_key(config_class: type[Config], word: str, words: Iterable[str]) -> str:
    if word.startswith("-"):
        key, _, value = word.lstrip("-").partition("=")
        near = nearest_name(key, _names(config_class, fields_of(config_class)))
        return f"{word}: keys have no dashes" + (f"; type {near}={value or 'VALUE'}" if near else "")
    near = nearest_name(word, _names(config_class, fields_of(config_class)))
    if near:
        return f"{word}: expected key=value; type {near}=VALUE"
    taken = config_class._positional
    if taken:
        return f"{word}: expected key=value; {' and '.join(taken)} {'is' if len(taken) == 1 else 'are'} given already"
    without_data = "data" in fields_of(config_class) and not any(each.startswith("data=") for each in words)
    if without_data and (os.sep in word or Path(word).exists()):
        return f"{word}: expected key=value; type data={shlex.quote(word)}"
    return f"{word}: expected key=value"


def _names(config_class: type[Config], fields: Iterable[str]) -> list[str]:
    """Everything that may stand before `=`."""
    shorthands = [name for name, nested in nested_configs(config_class).items() if nested._shorthand]
    return [*shorthands, *fields, "recipe"]


def _error(config_class: type[Config], problems: list[str]) -> InputError:
    command = config_class._command
    fix = f"fastitpn {command} --help lists every key" if command else None
    if len(problems) == 1:
        return InputError(problems[0], fix=fix)
    lines = "".join(f"\n  - {problem}" for problem in problems)
    return InputError(f"{len(problems)} errors in the configuration:{lines}", fix=fix)
