"""The script beside an exported file: one file, which needs none of this package."""

from importlib import resources
from pathlib import Path
from typing import Any

EXAMPLES = Path(str(resources.files("fastitpn.exporting") / "examples"))
_IMPORTS = "from opening import open_model\nfrom picture import read_picture\nfrom PIL import Image\n"


def example_script(example: Any, format_: Any) -> str:
    """The script of a task, with how it reads pictures and opens its model in the place of the imports of that.

    Args:
        example: File of the script.
        format_: The format of the model, which has an example.
    """
    reader = (EXAMPLES / "picture.py").read_text(encoding="utf-8")
    opening = (EXAMPLES / format_.example).read_text(encoding="utf-8").partition("\n\n")[2]
    imports, _, function = opening.removeprefix("import sys\n").partition("\n\n\n")
    parts = (f"{imports}\nfrom PIL import Image, ImageOps\n", reader[reader.index("LOW_BYTES =") :], f"\n{function}\n")
    text: str = example.read_text(encoding="utf-8")
    return text.replace(_IMPORTS, "\n".join(parts)).replace("NEEDED", format_.needed)
