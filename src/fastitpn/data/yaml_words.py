"""YAML files whose words stay what was written: no, on, 1e3 and 2024-01-01 are names, as people mean them."""

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError

_MOST_VALUES = 10**6


class _Words(yaml.BaseLoader):
    """Gives every scalar as text, and refuses a key that stands twice, and references that blow a small file up."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values: dict[int, int] = {}  # of each node, with those that it refers to

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        node = super().compose_node(parent, index)
        if node is not None and id(node) not in self._values:
            inside = [] if isinstance(node, yaml.ScalarNode) else node.value
            inside = chain.from_iterable(inside) if isinstance(node, yaml.MappingNode) else inside
            values = self._values[id(node)] = 1 + sum(self._values.get(id(child), 1) for child in inside)
            if values > _MOST_VALUES:
                raise yaml.composer.ComposerError(
                    None, None, f"with its references it has {values:,} values", node.start_mark
                )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        counts = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := next((key for key, count in counts.items() if count > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: Any) -> Any:
        # "\ud83d\ude00" is how JSON writes an emoji
        return super().construct_scalar(node).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def read_yaml_words(file: Path, *, expected: str) -> Any:
    """The content of a YAML file: mappings, lists and texts; "" where nothing is written, None for an empty file.

    Args:
        file: In any encoding that `read_text` reads.
        expected: What such a file should have, for the error.

    Raises:
        InputError: It cannot be read, is no YAML, or has a key twice.
    """
    text = read_text(file)
    try:
        return _Words(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        raise InputError(
            f"cannot read this YAML file: {problem or ' '.join(str(error).split())[:200]}",
            where=f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else file,
            expected=expected,
            fix="correct it",
        ) from error
