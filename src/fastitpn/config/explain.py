"""The table of a configuration's keys that `--help` prints."""

import itertools

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fastitpn.config.fields import REQUIRED, Config, fields_of
from fastitpn.config.values import short_type, show


def explain(config_class: type[Config]) -> Group:
    """Every key with its type, default and sentence, in groups; for `rich` to print."""
    parts: list[RenderableType] = []
    fields = fields_of(config_class).values()
    widest = max((len(field.key) for field in fields), default=0)
    for title, group in itertools.groupby(fields, key=lambda field: field.group):
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=not parts, pad_edge=False, header_style="dim")
        table.add_column("key", min_width=widest, no_wrap=True, style="cyan")
        table.add_column("type", width=24)
        table.add_column("default", width=18, overflow="fold")
        table.add_column("meaning", ratio=1)
        for field in group:
            default = Text("required", style="bold") if field.default is REQUIRED else Text(show(field.default))
            table.add_row(Text(field.key), Text(short_type(field.annotation)), default, Text(field.sentence))
        parts += [Text(f"\n{title}", style="bold"), table]
    return Group(*parts)


def usage(config_class: type[Config]) -> str:
    """The command in one line: `fastitpn predict CHECKPOINT SOURCE [key=value ...]`."""
    words = [key.upper() for key in config_class._positional]
    if config_class._rest:
        words.append(f"{config_class._rest.upper()} ...")
    for key, field in fields_of(config_class).items():
        if field.default is REQUIRED and key not in (*config_class._positional, config_class._rest):
            words.append(f"{key}={key.upper()}")
    return " ".join(["fastitpn", config_class._command, *words, "[recipe=FILE.yaml]", "[key=value ...]"])
