"""YAML files whose words stay what was written: no, on, 1e3 and 2024-01-01 are names, as people mean them."""

from pathlib import Path
from typing import Any

import yaml

from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.yaml_files import Words, check_size, problem_of


def read_yaml_words(file: Path, *, expected: str) -> Any:
    """The content of a YAML file: mappings, lists and texts; "" where nothing is written, None for an empty file.

    Args:
        file: In any encoding that `read_text` reads.
        expected: What such a file should have, for the error.

    Raises:
        InputError: It cannot be read, is no YAML, has a key twice, or is too large or too deep to be read.
    """
    place: str | Path = file
    try:
        check_size(file)
        return Words(read_text(file)).get_single_data()
    except yaml.YAMLError as error:
        problem, line, column = problem_of(error)
        place = f"{file}, line {line}, column {column}" if line else file
    except OSError as error:
        problem = error.strerror or str(error)
    except (RecursionError, ValueError, OverflowError) as error:
        problem = " ".join(str(error).split())[:200]
    raise InputError(f"cannot read this YAML file: {problem}", where=place, expected=expected, fix="correct it")
