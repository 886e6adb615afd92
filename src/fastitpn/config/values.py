"""One value: from what was typed to what the field's type asks for, and that type in words."""

import itertools
import os
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from fastitpn.registry import Registry

_NONE_WORDS = ("none", "null")
_STRICTLY_FINITE = pydantic.ConfigDict(allow_inf_nan=False)
_NAMES: dict[Any, tuple[str, str]] = {
    int: ("a whole number", "int"),
    float: ("a number", "float"),
    bool: ("true or false", "true | false"),
    str: ("text", "text"),
    Path: ("a path", "path"),
}


class OneOf:
    """In `Annotated[str, OneOf(REGISTRY)]`: the names that are there when a value is read, as `Literal` has fixed ones.

    Args:
        names: The names, or what gives them.
        with_rest: Whether more may stand behind a name and a colon, as in `timm:resnet18`.
    """

    def __init__(self, names: Iterable[str] | Callable[[], Iterable[str]], *, with_rest: bool = False):
        self._names = names
        self._with_rest = with_rest

    def forms(self) -> tuple[str, ...]:
        """What people type for each of the names."""
        forms = getattr(self._names, "forms", {})
        return tuple(forms.get(name, name) for name in self.names())

    def names(self) -> tuple[str, ...]:
        """The names that are allowed at this moment."""
        return tuple(self._names() if callable(self._names) else self._names)

    def __get_pydantic_core_schema__(self, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        """Checks the items of lists, which pydantic reads."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def _checked(self, value: str) -> str:
        if value not in self:
            raise ValueError
        return value

    def __contains__(self, value: object) -> bool:
        name: object = value
        if self._with_rest and isinstance(value, str):
            name = self._names.name_in(value) if isinstance(self._names, Registry) else value.partition(":")[0]
        return name in self.names()


class Auto:
    """In `Annotated[float, Auto(), ...]`: the word auto is a value, too, which a command replaces by a number."""


class AutoFloat(float):
    """The word auto for a float; infinite, so that no bound is above it."""

    def __repr__(self) -> str:
        return "auto"


class AutoInt(int):
    """The word auto for a whole number; 0."""

    def __repr__(self) -> str:
        return "auto"


def is_auto(value: object) -> bool:
    """Whether a number stands for the word auto."""
    return isinstance(value, AutoFloat | AutoInt)


def read_value(annotation: Any, value: Any) -> Any:
    """Turns a word, or a value from YAML or Python, into what the annotation asks for.

    Words: `none` where the key may be none, true/false/yes/no, lists with commas (`0.9,0.98`), `~` in paths.

    Raises:
        ValueError: If it does not fit; `expected` has the words for it.
    """
    members = _members(annotation)
    if is_none(value) and takes_none(annotation):
        return None
    for member in members:
        try:
            return _read(member, value)
        except ValueError:  # also pydantic's; the next member of the union may fit
            continue
    raise ValueError(f"expected {expected(annotation)}, got {value!r}")


def choices(annotation: Any) -> list[str]:
    """The words that a key with fixed choices takes; empty if it takes others too."""
    members = [member for member in _members(annotation) if member is not type(None)]
    fixed = [_choices(member) for member in members]
    if any(words is None for words in fixed):
        return []
    return [str(choice) for words in fixed for choice in words or ()]


def item_choices(annotation: Any) -> list[str]:
    """The words that may stand between the commas of a key that accepts several; empty if others may too."""
    arguments = [
        argument
        for member in _members(annotation)
        if typing.get_origin(base := _unwrap(member)[0]) in (tuple, list)
        for argument in typing.get_args(base)
        if argument is not ...
    ]
    words = [choices(argument) for argument in arguments]
    return list(dict.fromkeys(itertools.chain(*words))) if all(words) else []


_MOST_DIGITS = 20
"""A whole number with more is no slip of someone who wanted an allowed one."""


def nearest_multiples(annotation: Any, value: Any) -> list[int]:
    """The allowed whole numbers on either side of one that is no multiple of the type's step: 96 and 112 for 100."""
    for member in _members(annotation):
        low, high, step = _range(_unwrap(member)[1])
        if step is not None and str(value).strip().isdecimal() and len(str(value)) < _MOST_DIGITS:
            below = int(value) // step * step
            near = {max(number, -(-low[1] // step) * step if low else number) for number in (below, below + step)}
            return sorted(number for number in near if high is None or number <= high[1])
    return []


def expected(annotation: Any) -> str:
    """The type as a phrase for an error: `a number greater than 0`."""
    members = _members(annotation)
    plain = [member for member in members if member is not type(None) and not _is_list_of(member, members)]
    phrases = [_phrase(member) + " or auto" * _takes_auto(member) for member in plain]
    phrases += ["several of them, separated by commas"] * any(_is_list_of(member, members) for member in members)
    return " or ".join([*phrases, *["none"] * (type(None) in members)])


def short_type(annotation: Any) -> str:
    """The type for a table: `float > 0`."""
    return " | ".join(
        "none" if member is type(None) else _short(member) + " | auto" * _takes_auto(member)
        for member in _members(annotation)
    )


def show(value: Any) -> str:
    """A value as one would type it after `key=`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(show(item) for item in value)
    return str(value)


def takes_none(annotation: Any) -> bool:
    """Whether `none` is a value of the type."""
    return type(None) in _members(annotation)


def is_none(value: Any) -> bool:
    """Whether a value is none, or the word for it."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _NONE_WORDS)


def _choices(member: Any) -> tuple[Any, ...] | None:
    """What a type with fixed choices takes; None for another type."""
    base, extras = _unwrap(member)
    if typing.get_origin(base) is Literal:
        return typing.get_args(base)
    return next((extra.names() for extra in extras if isinstance(extra, OneOf)), None)


def _takes_auto(member: Any) -> bool:
    return any(isinstance(extra, Auto) for extra in _unwrap(member)[1])


def _read(member: Any, value: Any) -> Any:
    base, extras = _unwrap(member)
    if _takes_auto(member) and (is_auto(value) or value == "auto"):
        return AutoFloat("inf") if base is float else AutoInt(0)
    fixed = _choices(member)
    if value is False and "off" in (fixed or ()):
        return "off"  # which YAML reads as false
    if value is None or value == "" or (isinstance(value, bool) and base is not bool):
        raise ValueError  # pydantic would take True for 1, and Path("") is the current folder
    if fixed is not None:
        for choice in fixed:
            if value == choice or value == str(choice):
                return choice
        if any(isinstance(extra, OneOf) and value in extra for extra in extras):
            return value
        raise ValueError
    if typing.get_origin(base) in (tuple, list) and isinstance(value, str):
        value = [item.strip() for item in value.strip().strip("()[]").split(",")]
    if typing.get_origin(base) is tuple and ... in typing.get_args(base):
        items = value if isinstance(value, list | tuple) else [value]  # a single one stands for a list of one
        if not items:
            raise ValueError
        return tuple(read_value(typing.get_args(base)[0], item) for item in items)
    if base is Path and isinstance(value, str):
        value = os.path.expanduser(value)
    return pydantic.TypeAdapter(member, config=_STRICTLY_FINITE).validate_python(value)


def _members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, none last; any other type alone."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return (annotation,)
    return tuple(sorted(typing.get_args(annotation), key=lambda member: member is type(None)))


def _is_list_of(member: Any, members: tuple[Any, ...]) -> bool:
    """Whether a type of a union is a list of another one: `tuple[int, ...]` in `int | tuple[int, ...]`."""
    arguments = typing.get_args(member)
    return typing.get_origin(member) is tuple and ... in arguments and arguments[0] in members


def _unwrap(member: Any) -> tuple[Any, list[Any]]:
    """`Annotated[float, pydantic.Field(gt=0)]` -> (float, [Gt(0)])."""
    if typing.get_origin(member) is not Annotated:
        return member, []
    base, *extras = typing.get_args(member)
    bounds = []
    for extra in extras:
        bounds.extend(extra.metadata if isinstance(extra, FieldInfo) else [extra])
    return base, bounds


def _phrase(member: Any) -> str:
    base, bounds = _unwrap(member)
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    fixed = _choices(member)
    if fixed is not None:
        words = next((list(bound.forms()) for bound in bounds if isinstance(bound, OneOf)), list(map(str, fixed)))
        return " or ".join(words) if len(words) < 3 else "one of " + ", ".join(words)
    if origin in (tuple, list):
        count = "values" if origin is list or ... in arguments else f"{len(arguments)} values"
        kinds = list(dict.fromkeys(expected(argument) for argument in arguments if argument is not ...))
        return f"{count} separated by commas, each {' or '.join(kinds)}"
    text = _NAMES[base][0] if base in _NAMES else str(base)
    low, high, step = _range(bounds)
    if low and high:
        open_edges = [edge[1] for edge in (low, high) if edge[0] in "<>"]
        text += f" between {low[1]} and {high[1]}"
        if open_edges:
            text += ", both excluded" if len(open_edges) == 2 else f", {open_edges[0]} excluded"
    elif low:
        text += f" greater than {low[1]}" if low[0] == ">" else f" of at least {low[1]}"
    elif high:
        text += f" less than {high[1]}" if high[0] == "<" else f" of at most {high[1]}"
    return text if step is None else f"{text}, a multiple of {step}"


def _short(member: Any) -> str:
    base, bounds = _unwrap(member)
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    fixed = _choices(member)
    if fixed is not None:
        return " | ".join(str(choice) for choice in fixed)
    if origin in (tuple, list):
        names = [short_type(_unwrap(argument)[0]) for argument in arguments if argument is not ...]
        return ",".join(names) + (",..." if origin is list or ... in arguments else "")
    text = _NAMES[base][1] if base in _NAMES else str(base)
    low, high, step = _range(bounds)
    if low and high:
        text += f" in {'(' if low[0] == '>' else '['}{low[1]}, {high[1]}{')' if high[0] == '<' else ']'}"
    elif low or high:
        text += " " + " ".join(str(part) for part in low or high or ())
    return text if step is None else f"{text}, multiple of {step}"


def _range(bounds: list[Any]) -> tuple[tuple[str, Any] | None, tuple[str, Any] | None, Any]:
    """Lower bound, upper bound (each with its sign) and step."""
    low: tuple[str, Any] | None = None
    high: tuple[str, Any] | None = None
    step = None
    for bound in bounds:
        match bound:
            case annotated_types.Gt(gt=value):
                low = (">", value)
            case annotated_types.Ge(ge=value):
                low = (">=", value)
            case annotated_types.Lt(lt=value):
                high = ("<", value)
            case annotated_types.Le(le=value):
                high = ("<=", value)
            case annotated_types.MultipleOf(multiple_of=value):
                step = value
    return low, high, step
