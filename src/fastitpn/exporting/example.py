"""The script beside an exported file: one file, which needs none of this package."""

from importlib import resources
from typing import Any

_READER = resources.files("fastitpn.exporting") / "examples" / "picture.py"
_IMPORT = "from picture import read_picture\n"


def example_script(example: Any) -> str:
    """The script of a task, with how it reads pictures in the place of the import of that.

    Args:
        example: File of the script.
    """
    reader = _READER.read_text(encoding="utf-8")
    body = reader[reader.index("LOW_BYTES =") :]
    text: str = example.read_text(encoding="utf-8")
    return text.replace(_IMPORT, "").replace("from PIL import Image\n", f"from PIL import Image, ImageOps\n\n{body}\n")
