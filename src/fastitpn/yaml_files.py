"""The one reader of YAML: what a file of a few bytes could blow up, loop through or bring down is refused first."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 8 << 20
"""Of a file; one of a million names of classes is larger, and none that people write is."""
MAX_DEPTH = 40
"""Of mappings and lists in each other."""
MAX_VALUES = 1_000_000
"""Of a file, each counted as often as it is referred to."""


class _Limited(yaml.composer.Composer):
    """Composes no node that is too deep, contains itself, or is too large with all that it refers to."""

    max_values = MAX_VALUES

    def __init__(self, text: str):
        super().__init__(text)  # type: ignore[call-arg]  # of the loader that this is mixed into
        self._depth = 0
        self._values: dict[int, int] = {}  # of each finished node, with those that it refers to

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # type: ignore[attr-defined]
            event = self.peek_event()  # type: ignore[attr-defined]
            if (node := self.anchors.get(event.anchor)) is not None and id(node) not in self._values:
                raise yaml.composer.ComposerError(None, None, f"*{event.anchor} stands inside itself", event.start_mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            event = self.peek_event()  # type: ignore[attr-defined]
            problem = f"more than {MAX_DEPTH} mappings and lists in each other"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and id(node) not in self._values:
            inside = [] if isinstance(node, yaml.ScalarNode) else node.value
            inside = chain.from_iterable(inside) if isinstance(node, yaml.MappingNode) else inside
            values = self._values[id(node)] = 1 + sum(self._values.get(id(child), 1) for child in inside)
            if values > self.max_values:
                problem = f"with its references it has {values:,} values"
                raise yaml.composer.ComposerError(None, None, problem, node.start_mark)
        return node


class Values(_Limited, yaml.SafeLoader):
    """Numbers, dates, yes and no are what YAML says they are."""

    max_values = 20_000

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node.

        Raises:
            yaml.YAMLError: It is none of its type: the 31st of February, a number of 5,000 digits.
        """
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError, IndexError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2]
            text = f" {str(node.value)[:40]!r}" if isinstance(node, yaml.ScalarNode) else ""
            raise yaml.constructor.ConstructorError(
                None, None, f"{text.strip() or 'this'} is no {kind}", node.start_mark
            ) from error


class Words(_Limited, yaml.BaseLoader):
    """Every scalar is the text that was written: no, on, 1e3 and 2024-01-01 are names. No key may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys differ."""
        counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := next((key for key, count in counts.items() if count > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: Any) -> Any:
        """The text; an emoji may be two surrogates, as in JSON."""
        return super().construct_scalar(node).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_size(file: Path) -> None:
    """Make sure that a file is one, and not too large to be YAML.

    Raises:
        OSError: It is not there, larger, or a pipe or device, which might never end.
    """
    if file.exists() and not (file.is_file() or file.is_dir()):
        raise OSError(0, "it is a pipe or a device")
    if (size := os.stat(file).st_size) > MAX_BYTES:
        raise OSError(0, f"it has {size / 1e6:,.0f} MB, and such files have less than {MAX_BYTES / 1e6:.0f}")


def problem_of(error: yaml.YAMLError) -> tuple[str, int | None, int | None]:
    """What is wrong with a file, and its line and column, from 1, where they are known."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "context", None)
    text = problem or " ".join(str(error).split())[:200]
    return text, mark.line + 1 if mark else None, mark.column + 1 if mark else None


def pairs(loader: Values, node: yaml.MappingNode) -> Iterator[tuple[Any, int, yaml.Node]]:
    """Key, line of the key from 1, and node of the value, of each line of a mapping."""
    for key_node, value_node in node.value:
        yield loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1, value_node
