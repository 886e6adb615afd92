"""What the keys of a configuration are: read from its dataclass, whose docstring lines become the help."""

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from typing import Any, ClassVar

REQUIRED = dataclasses.MISSING
"""The default of a key that has none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations: a frozen, keyword-only dataclass with a docstring line under each field."""

    _command: ClassVar[str] = ""
    """The words after `fastitpn` that this configuration belongs to, such as `finetune classify`."""
    _positional: ClassVar[tuple[str, ...]] = ()
    """The keys that words without `=` fill, in this order."""
    _rest: ClassVar[str | None] = None
    """The key, a list, that all further words without `=` fill together."""
    _shorthand: ClassVar[str | None] = None
    """For a nested configuration: the key that `outer=VALUE` sets, as in `teacher=ema` for `teacher.name=ema`."""
    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Groups of keys of which at most one may be given."""

    def problems(self) -> list[str]:
        """What is wrong between the keys, each a sentence that begins with a key. Single keys are checked before."""
        return []


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One key of a configuration.

    Attributes:
        key: Its name, dotted where the configuration is nested (`teacher.weights`).
        annotation: Its type with the bounds, as written in the dataclass.
        default: Its value when it is not given; `REQUIRED` if it must be.
        sentence: What it means, the docstring line under the field.
        group: Title of the dataclass that introduced it.
    """

    key: str
    annotation: Any
    default: Any
    sentence: str
    group: str


def fields_of(config_class: type[Config]) -> dict[str, Field]:
    """Every key of a configuration, in the order to show them: its own, then those of each base.

    A subclass may declare a field again to change its default; the key keeps its group, and its sentence unless the
    subclass has a new one.
    """
    return dict(_fields_of(config_class))  # type: ignore[arg-type]  # a class is hashable; mypy looks at its instances


@functools.cache
def _fields_of(config_class: type[Config]) -> dict[str, Field]:
    annotations = typing.get_type_hints(config_class, include_extras=True)
    lineage = [base for base in config_class.__mro__ if base is not Config and issubclass(base, Config)]
    sentences: dict[str, str] = {}
    introduced_by: dict[str, type[Config]] = {}
    for base in reversed(lineage):
        sentences |= _sentences(base)
        for name in inspect.get_annotations(base):
            introduced_by.setdefault(name, base)
    declared = sorted(dataclasses.fields(config_class), key=lambda field: lineage.index(introduced_by[field.name]))
    result: dict[str, Field] = {}
    nested: dict[str, Field] = {}
    for position, field in enumerate(declared):
        group = introduced_by[field.name]
        annotation = annotations[field.name]
        if is_config(annotation):
            default = _default(field)
            for inner in _fields_of(annotation).values():
                value = inner.default if default is REQUIRED else value_of(default, inner.key)
                key = f"{field.name}.{inner.key}"
                nested[key] = dataclasses.replace(inner, key=key, default=value)
        else:
            result[field.name] = Field(
                key=field.name,
                annotation=annotation,
                default=_default(field),
                sentence=sentences.get(field.name, ""),
                group=title_of(group),
            )
        if position + 1 == len(declared) or introduced_by[declared[position + 1].name] is not group:
            result |= nested  # nested configurations come after the plain keys of the class that holds them
            nested = {}
    return result


def nested_configs(config_class: type[Config]) -> dict[str, type[Config]]:
    """The fields that are configurations themselves: name to class."""
    annotations = typing.get_type_hints(config_class, include_extras=True)
    names = (field.name for field in dataclasses.fields(config_class))
    return {name: annotations[name] for name in names if is_config(annotations[name])}


def is_config(annotation: Any) -> bool:
    """Whether the type of a field is a nested configuration."""
    return (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, Config)
    )


def value_of(config: Config, key: str) -> Any:
    """The value at a dotted key."""
    return functools.reduce(getattr, key.split("."), config)


def title_of(config_class: type[Config]) -> str:
    """First line of the class's docstring, without its full stop."""
    return inspect.cleandoc(config_class.__doc__ or config_class.__name__).splitlines()[0].rstrip(".")


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _sentences(config_class: type[Config]) -> dict[str, str]:
    """The docstring line under each field that the class itself declares (Python does not keep them)."""
    try:
        source = textwrap.dedent(inspect.getsource(config_class))
    except OSError:  # no source file, as in an interactive session
        return {}
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    result = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        match following:
            case ast.Expr(value=ast.Constant(value=str(sentence))):
                result[statement.target.id] = " ".join(sentence.split())
    return result
