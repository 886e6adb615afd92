"""Recipes: YAML files of keys, read with the line of each key for the errors."""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from fastitpn.config.fields import Config, fields_of, value_of
from fastitpn.config.shipped import names
from fastitpn.config.values import is_auto, show
from fastitpn.nearest import nearest_name
from fastitpn.yaml_files import Values, check_size, pairs, problem_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
    """A key that was given.

    Attributes:
        key: The key, dotted where it is nested.
        value: A word as typed, or a value from YAML or Python.
        place: File and line, to begin an error with; empty for the command itself.
        source: What gave it; a later source may replace an alternative key of an earlier one.
        typed: What errors call the key, where that is not the dotted one: a deprecated spelling, or a shorthand.
    """

    key: str
    value: Any
    place: str = ""
    source: str = ""
    typed: str = ""

    @property
    def label(self) -> str:
        """What errors call the key."""
        return self.typed or self.key


def read_recipe(path: Path) -> tuple[list[Given], list[str]]:
    """Reads a recipe.

    Returns:
        The keys in the order of the file, nested ones dotted, and what is wrong with the file, a sentence each.
    """
    try:
        check_size(path)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = nearest_name(path.name.removesuffix(".yaml"), names())
        hint = f"; did you mean recipe={near}?" if near else "; `fastitpn recipes` lists those that there are"
        return [], [f"recipe: expected a YAML file or the name of a recipe, but there is no file {str(path)!r}{hint}"]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        return [], [f"recipe: {str(path)!r} cannot be read: {reason}"]
    try:
        loader = Values(text)
        node = loader.get_single_node()
        if node is None:  # nothing but comments
            return [], []
        if not isinstance(node, yaml.MappingNode):
            return [], [f"{path}, line {node.start_mark.line + 1}: expected lines of the form 'key: value'"]
        items = list(_walk(loader, node, path))
        return [item for item in items if isinstance(item, Given)], [item for item in items if isinstance(item, str)]
    except yaml.YAMLError as error:
        problem, line, _ = problem_of(error)
        return [], [f"{path}, line {line}: not valid YAML: {problem}" if line else f"{path}: not valid YAML: {problem}"]


def to_dict(config: Config) -> dict[str, Any]:
    """The configuration as plain types (nested dicts, lists, text, numbers), which `build` takes back."""
    result: dict[str, Any] = {}
    for key in fields_of(config):
        inner = result
        *outer, name = key.split(".")
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[name] = _plain(value_of(config, key))
    return result


def to_yaml(config: Config) -> str:
    """The configuration as a recipe: all keys, so that it says the same when a default changes."""
    header = f"# Every key of the run. To repeat it: fastitpn {config._command} recipe=THIS_FILE\n"
    return header + "".join(_line(key, value) for key, value in to_dict(config).items())


def _line(key: str, value: Any) -> str:
    """A key and its value in YAML; all keys at once would be one mapping in {...} if none held a list or a mapping."""
    flow = None if isinstance(value, list | dict) else False
    text: str = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, default_flow_style=flow)
    return text


def to_command(config: Config) -> str:
    """The configuration as one would type it, without keys that have their default."""
    values = {key: (value_of(config, key), field.default) for key, field in fields_of(config).items()}
    words = [f"{key}={show(value)}" for key, (value, default) in values.items() if value != default]
    return shlex.join(["fastitpn", *config._command.split(), *words])


def flatten(mapping: Mapping[str, Any], outer: str = "") -> dict[str, Any]:
    """Nested mappings and configurations to dotted keys."""
    result: dict[str, Any] = {}
    for name, value in mapping.items():
        inner = to_dict(value) if isinstance(value, Config) else value
        result |= flatten(inner, f"{outer}{name}.") if isinstance(inner, Mapping) else {f"{outer}{name}": inner}
    return result


def _walk(loader: Values, node: yaml.MappingNode, path: Path, outer: str = "") -> Iterator[Given | str]:
    """The keys of a mapping and of those in it; a text is something wrong."""
    lines: dict[str, int] = {}
    for name, line, value_node in pairs(loader, node):
        key, place = f"{outer}{name}", f"{path}, line {line}: "
        if key in lines:
            yield f"{place}{key}: given twice, first in line {lines[key]}"
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode):
            yield from _walk(loader, value_node, path, f"{key}.")
            continue
        try:
            yield Given(key=key, value=loader.construct_object(value_node, deep=True), place=place, source=str(path))
        except yaml.YAMLError as error:
            yield f"{place}not valid YAML: {problem_of(error)[0]} (in {key})"


def _plain(value: Any) -> Any:
    if isinstance(value, Path) or is_auto(value):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
