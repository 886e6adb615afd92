"""The table of a configuration's keys that `--help` prints."""

import dataclasses
import itertools

import rich.console
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fastitpn.config.fields import REQUIRED, Config, Field, fields_of, nested_configs, title_of
from fastitpn.config.values import short_type, show
from fastitpn.config.variants import variant_classes
from fastitpn.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Keys that are shown together.

    Attributes:
        title: Title of the dataclass that introduced them.
        fields: The keys; none where a package is missing to tell them.
        note: What to install then.
    """

    title: str
    fields: list[Field]
    note: str = ""


def groups_of(config_class: type[Config]) -> list[Group]:
    """Every key of a configuration in groups; of a nested one with variants, what they share and then each variant."""
    bases = {name: base for name, base in nested_configs(config_class).items() if base._variants is not None}
    groups = []

    def place(field: Field) -> tuple[str, str]:
        outer = field.key.partition(".")[0]
        return (outer, "") if outer in bases else ("", field.group)

    for (outer, title), fields in itertools.groupby(fields_of(config_class).values(), key=place):
        if outer:
            groups += _variant_groups(config_class, outer, bases[outer], list(fields))
        else:
            groups.append(Group(title=title, fields=list(fields)))
    return groups


def _variant_groups(config_class: type[Config], outer: str, default: type[Config], fields: list[Field]) -> list[Group]:
    """The keys that all variants share; then what each keys class adds, and where it has other defaults."""
    base = next(base for base in default.__mro__ if "_variants" in vars(base))
    shared = {f"{outer}.{name}" for name in fields_of(base)}
    first = Group(title=title_of(base), fields=[field for field in fields if field.key in shared])
    defaults = {field.key: field.default for field in first.fields}
    names: dict[type[Config], list[str]] = {}
    missing = []
    for name, keys in variant_classes(base):
        if isinstance(keys, InputError):
            missing.append(Group(title=f"{first.title}: {name}", fields=[], note=f"{keys.what}; {keys.fix}"))
        else:
            names.setdefault(keys, []).append(name)
    groups = [first]
    for keys, sharing in names.items():
        variant = fields_of(config_class, {} if keys is default else {outer: keys})
        inner = [field for key, field in variant.items() if key.startswith(f"{outer}.")]
        changed = [field for field in inner if field.key not in shared or field.default != defaults[field.key]]
        if changed:
            title = title_of(keys)
            if len(sharing) > 1 or keys is base:
                title = f"{title.partition(':')[0]}: {', '.join(sharing)}"
            groups.append(Group(title=title, fields=changed))
    return groups + missing


def explain(config_class: type[Config]) -> rich.console.Group:
    """Every key with its type, default and sentence, in groups; for `rich` to print."""
    parts: list[RenderableType] = []
    groups = groups_of(config_class)
    widest = max((len(field.key) for group in groups for field in group.fields), default=0)
    for group in groups:
        parts.append(Text(f"\n{group.title}", style="bold"))
        if group.note:
            parts.append(Text(group.note))
            continue
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=len(parts) == 1, pad_edge=False, header_style="dim")
        table.add_column("key", min_width=widest, no_wrap=True, style="cyan")
        table.add_column("type", width=24)
        table.add_column("default", width=18, overflow="fold")
        table.add_column("meaning", ratio=1)
        for field in group.fields:
            default = Text("required", style="bold") if field.default is REQUIRED else Text(show(field.default))
            table.add_row(Text(field.key), Text(short_type(field.annotation)), default, Text(field.sentence))
        parts.append(table)
    return rich.console.Group(*parts)


def usage(config_class: type[Config]) -> str:
    """The command in one line: `fastitpn predict CHECKPOINT SOURCE [key=value ...]`."""
    fields = fields_of(config_class)
    needed = {key: fields[key].default is REQUIRED for key in config_class._positional}
    words = [key.upper() if is_needed else f"[{key.upper()}]" for key, is_needed in needed.items()]
    if config_class._rest:
        words.append(f"{config_class._rest.upper()} ...")
    for key, field in fields.items():
        if field.default is REQUIRED and key not in (*config_class._positional, config_class._rest):
            words.append(f"{key}={key.upper()}")
    return " ".join(["fastitpn", config_class._command, *words, "[recipe=FILE.yaml]", "[key=value ...]"])
