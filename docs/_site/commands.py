"""The pages of the command line's verbs, from the same dataclasses as `--help`."""

import html

from fastitpn.commands.registry import all_verbs
from fastitpn.commands.verb import Verb
from fastitpn.config import Field, usage
from fastitpn.config.explain import groups_of
from fastitpn.config.fields import REQUIRED
from fastitpn.config.values import short_type, show


def verbs() -> dict[str, list[Verb]]:
    """First words of the verbs, in the order of `fastitpn --help`, to the verbs that begin with them."""
    groups: dict[str, list[Verb]] = {}
    for verb in all_verbs():
        groups.setdefault(verb.words[0], []).append(verb)
    return groups


def page(name: str, group: list[Verb]) -> str:
    """Every verb with its sentence, an example, and its keys in groups."""
    parts = [f"# fastitpn {name}", "The keys that `--help` prints."]
    for verb in sorted(group, key=lambda verb: len(verb.words)):
        if len(group) > 1:
            parts.append(f"## {' '.join(verb.words)}")
        parts += [verb.sentence, f"```text\n{usage(verb.config)}\n```", f"For example: `{verb.example}`"]
        for keys in groups_of(verb.config):
            parts += [f'<p class="keys-title">{keys.title}</p>', keys.note or "\n".join(map(_key, keys.fields))]
    return "\n\n".join(parts) + "\n"


def _key(field: Field) -> str:
    """A term with its description, which breaks well on a phone."""
    default = "required" if field.default is REQUIRED else f"default `{show(field.default)}`"
    kind = html.escape(short_type(field.annotation))
    return f"`{field.key}` <small>{kind}; {default}</small>\n:   {html.escape(field.sentence)}\n"
