"""JSON texts of files that anyone may have written."""

import json
from typing import Any


def from_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: It is none; or brackets within brackets, too many to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it has too many brackets within brackets") from error
