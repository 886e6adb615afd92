"""Nested configurations whose keys depend on a name, and deprecated spellings of keys."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fastitpn.config.fields import Config, Field, fields_of, nested_configs
from fastitpn.config.recipe import Given
from fastitpn.config.values import is_none, read_value
from fastitpn.errors import InputError


def variant_class(base: type[Config], name: str) -> type[Config]:
    """The keys that a name stands for.

    Args:
        base: A configuration with `_variants`.
        name: Perhaps with more behind a colon, as in `timm:resnet18`.

    Raises:
        InputError: Nothing has that name, or it needs a package that is not installed.
    """
    assert base._variants is not None
    member: Any = base._variants[base._variants.name_in(name)]
    config_class: type[Config] = member if isinstance(member, type) and issubclass(member, Config) else member.keys
    return config_class


def variant_classes(base: type[Config]) -> Iterator[tuple[str, type[Config] | InputError]]:
    """Every name with its keys, or with what is missing for it."""
    for name in base._variants or ():
        try:
            yield name, variant_class(base, name)
        except InputError as error:
            yield name, error


def aliases_of(config_class: type[Config]) -> dict[str, str]:
    """The deprecated spellings, dotted, to those of today."""
    result = dict(config_class._aliases)
    for name, nested in nested_configs(config_class).items():
        result |= {f"{name}.{old}": f"{name}.{today}" for old, today in aliases_of(nested).items()}
    return result


def full_keys(config_class: type[Config], aliases: Mapping[str, str], given: Iterable[Given]) -> list[Given]:
    """The items with today's dotted keys in place of deprecated spellings and shorthands.

    A nested configuration that is left empty in YAML gives nothing.
    """
    nested = nested_configs(config_class)
    result = []
    for item in given:
        key = aliases.get(item.key, item.key)
        typed = item.key if key != item.key else ""
        if key in nested:
            if item.value is None:
                continue
            join = nested[key]._joined
            if join is not None and isinstance(item.value, list) and all(isinstance(x, Mapping) for x in item.value):
                inner = join(item.value).items()
                result += [dataclasses.replace(item, key=f"{key}.{name}", value=value) for name, value in inner]
                continue
            if nested[key]._variants is not None:
                typed = item.key
            if nested[key]._shorthand:
                key = f"{key}.{nested[key]._shorthand}"
        result.append(dataclasses.replace(item, key=key, typed=typed))
    return result


class Selection:
    """The variants of nested configurations that were chosen.

    Args:
        config_class: The outer configuration.
        items: What was given, with full keys.

    Attributes:
        variants: Name of the field to class, where it is not the default.

    Raises:
        InputError: A package that a chosen variant needs is not installed.
    """

    def __init__(self, config_class: type[Config], items: Sequence[Given]):
        self.variants: dict[str, type[Config]] = {}
        self._bases = {name: base for name, base in nested_configs(config_class).items() if base._variants is not None}
        self._items = items
        self._names: dict[str, Any] = {}
        self._positions: dict[str, int] = {}
        fields = fields_of(config_class)
        for field, base in self._bases.items():
            key = f"{field}.{base._shorthand}"
            positions = [position for position, item in enumerate(items) if item.key == key]
            self._positions[field] = positions[-1] if positions else -1
            default = fields[key].default
            name = self._names[field] = items[positions[-1]].value if positions else default
            names = base._variants
            if names and _is_variant(base, name) and names.name_in(name) != names.name_in(str(default)):
                self.variants[field] = variant_class(base, name)

    def unused(self, position: int, *, old: bool) -> str | None:
        """What is wrong with a key that the chosen variant lacks: empty if nothing is, None if no variant has it.

        Args:
            position: Index of the key among the items.
            old: Whether it has a deprecated spelling, which is no misspelt one whatever variants there are.
        """
        item = self._items[position]
        field, _, name = item.key.partition(".")
        if (base := self._bases.get(field)) is None:
            return None
        others = (fields_of(keys) for _, keys in variant_classes(base) if not isinstance(keys, InputError))
        declared = [fields[name] for fields in others if name in fields]
        if not old and not declared:
            return None
        if any(_is_default(field, item.value) for field in declared):
            return ""  # settings of earlier versions spell the keys of all variants out
        if is_none(item.value) or not _is_variant(base, self._names[field]):
            return ""  # an unknown variant is an error of its own
        chosen_at = self._positions[field]
        if chosen_at > position and self._items[chosen_at].source != item.source:
            return ""  # a recipe gave it to the variant in whose place another was chosen later
        return f"{item.label}: expected none, since {field}={self._names[field]} makes no use of it"


def _is_variant(base: type[Config], name: object) -> bool:
    return isinstance(name, str) and base._variants is not None and base._variants.name_in(name) in base._variants


def _is_default(field: Field, value: Any) -> bool:
    try:
        return bool(read_value(field.annotation, value) == field.default)
    except ValueError:
        return False
