"""What the keys of a configuration are: read from its dataclass, whose docstring lines become the help."""

import ast
import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from fastitpn.config.values import OneOf
from fastitpn.registry import Registry

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
    _aliases: ClassVar[Mapping[str, str]] = {}
    """Deprecated spellings of keys, to those of today; those of a nested configuration stand on its base."""
    _variants: ClassVar[Registry[Any] | None] = None
    """For the base of configurations that stand directly in an outer one: what `outer=NAME` chooses from by the part
    of NAME before a colon. A member is a subclass of the base, or has one as its `keys`. The field's default is an
    instance of a member; it has none where a variant must be chosen, and then NAME has none in the base either."""
    _before: ClassVar[Mapping[str, Any]] = {}
    """For a nested configuration: what a key younger than a run was in it, where that is not its default."""
    _joined: ClassVar[Callable[[list[Mapping[str, Any]]], Mapping[str, Any]] | None] = None
    """For the base of variants of which a recipe may list several: makes their mappings the keys of one variant."""
    _given: ClassVar[frozenset[str] | None] = None
    """Of an instance: the dotted keys that a command, a recipe or a caller named; None where nobody noted them."""

    def problems(self) -> list[str]:
        """What is wrong between the keys, each a sentence that begins with a key. Single keys are checked before."""
        return []


ConfigT = TypeVar("ConfigT", bound=Config)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """One key of a configuration.

    Attributes:
        key: Name of the key, dotted where the configuration is nested (`teacher.weights`).
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


def fields_of(config: type[Config] | Config, variants: Mapping[str, type[Config]] | None = None) -> dict[str, Field]:
    """Every key of a configuration, in the order to show them: its own, then those of each base.

    A subclass may declare a field again to change its default; the key keeps its group, and its sentence unless the
    subclass has a new one.

    Args:
        config: A class, or a configuration with the variants that it holds.
        variants: For a class: the variants that differ from the default, name of the field to class. Their keys have
            the defaults of their class.
    """
    if not isinstance(config, type):
        variants, config = _variants_in(config), type(config)
    return dict(_fields_of(config, tuple((variants or {}).items())))  # type: ignore[arg-type]  # mypy: not hashable


@functools.cache
def _fields_of(config_class: type[Config], variants: tuple[tuple[str, type[Config]], ...] = ()) -> dict[str, Field]:
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
            for inner in _nested_fields(field, annotation, dict(variants).get(field.name)):
                nested[inner.key] = inner
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


def _nested_fields(
    field: "dataclasses.Field[Any]", annotation: type[Config], variant: type[Config] | None
) -> list[Field]:
    """The keys of a nested configuration, dotted; with the outer one's defaults unless another variant is chosen."""
    default = _default(field)
    config_class = variant or _class_of(default, annotation)
    result = []
    for inner in _fields_of(config_class).values():  # type: ignore[arg-type]
        key, value = f"{field.name}.{inner.key}", inner.default
        chooses = config_class._variants is not None and inner.key == config_class._shorthand
        if default is not REQUIRED and (variant is None or chooses):
            value = value_of(default, inner.key)
        kind = Annotated[str, OneOf(config_class._variants or (), with_rest=True)] if chooses else inner.annotation
        result.append(dataclasses.replace(inner, key=key, default=value, annotation=kind))
    return result


def given_keys(config: Config) -> frozenset[str]:
    """The dotted keys that were named when a configuration was made, also those named with their default.

    Of one that its constructor made, they are the keys that differ from their default.
    """
    if config._given is not None:
        return config._given
    return frozenset(key for key, field in fields_of(config).items() if value_of(config, key) != field.default)


def replaced(config: ConfigT, *, forget: str = "", **values: Any) -> ConfigT:
    """A configuration with other values; what was given stays noted, but for a key to `forget`."""
    result = dataclasses.replace(config, **values)
    object.__setattr__(result, "_given", given_keys(config) - {forget})
    return result


def nested_configs(
    config: type[Config] | Config, variants: Mapping[str, type[Config]] | None = None
) -> dict[str, type[Config]]:
    """The fields that are configurations themselves: name to class. The arguments are those of `fields_of`."""
    if not isinstance(config, type):
        variants, config = _variants_in(config), type(config)
    return _nested_of(config) | dict(variants or {})  # type: ignore[arg-type]


@functools.cache
def _nested_of(config_class: type[Config]) -> dict[str, type[Config]]:
    annotations = typing.get_type_hints(config_class, include_extras=True)
    return {
        field.name: _class_of(_default(field), annotations[field.name])
        for field in dataclasses.fields(config_class)
        if is_config(annotations[field.name])
    }


def _variants_in(config: Config) -> dict[str, type[Config]]:
    """The variants that a configuration holds, where they are not the default."""
    result = {}
    for field in dataclasses.fields(config):
        value, default = getattr(config, field.name), _default(field)
        if isinstance(value, Config) and value._variants is not None:
            if type(value) is not type(default) or variant_name(value) != variant_name(default):
                result[field.name] = type(value)
    return result


def variant_name(config: Config) -> str:
    """The name in `_variants` that a configuration was chosen by."""
    assert config._variants is not None
    return config._variants.name_in(str(getattr(config, str(config._shorthand))))


def _class_of(default: Any, annotation: type[Config]) -> type[Config]:
    return annotation if default is REQUIRED else type(default)


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
