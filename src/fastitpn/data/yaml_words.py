"""YAML files whose words stay what was written: no, on, 1e3 and 2024-01-01 are names, as people mean them."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError


class _Words(yaml.BaseLoader):
    """Gives every scalar as text, and refuses a key that stands twice."""

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
