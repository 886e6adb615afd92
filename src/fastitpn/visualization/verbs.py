"""The verb `visualize` as a function, with the keys of the command line."""

import os
from typing import Any

from fastitpn.config import VisualizeTokensConfig, build
from fastitpn.errors import InputError
from fastitpn.visualization.tokens import TokenPictures, run_visualize_tokens

SUBJECTS = ("tokens",)


def visualize(subject: str, *, images: str | os.PathLike[str], **keys: Any) -> TokenPictures:
    """Draw what happens inside a model.

    Args:
        subject: "tokens": which of them leave at which step, and what each window gathers.
        images: An image, or a folder of images.
        **keys: As on the command line (`fastitpn visualize tokens --help`): `checkpoint`, or `model` and `weights`;
            `acceleration`, `px`, `limit`, `out`, ...

    Returns:
        Where the page and the pictures are.

    Raises:
        InputError: A key, the checkpoint or the images are wrong.
    """
    if subject not in SUBJECTS:
        raise InputError(
            f"no subject {subject!r}", expected=" or ".join(SUBJECTS), fix='visualize("tokens", checkpoint=, images=)'
        )
    return run_visualize_tokens(build(VisualizeTokensConfig, {"images": images, **keys}))
