"""The verb `visualize` as a function, with the keys of the command line."""

import os
from collections.abc import Callable
from typing import Any

from fastitpn.config import (
    Config,
    VisualizeAttentionConfig,
    VisualizeFeaturesConfig,
    VisualizeSimilarityConfig,
    VisualizeTokensConfig,
    build,
)
from fastitpn.errors import InputError
from fastitpn.visualization.attention import run_visualize_attention
from fastitpn.visualization.drawings import Drawings
from fastitpn.visualization.features import run_visualize_features
from fastitpn.visualization.similarity import run_visualize_similarity
from fastitpn.visualization.tokens import run_visualize_tokens

SUBJECTS: dict[str, tuple[type[Config], Callable[[Any], Drawings]]] = {
    "tokens": (VisualizeTokensConfig, run_visualize_tokens),
    "features": (VisualizeFeaturesConfig, run_visualize_features),
    "attention": (VisualizeAttentionConfig, run_visualize_attention),
    "similarity": (VisualizeSimilarityConfig, run_visualize_similarity),
}


def visualize(subject: str, *, images: str | os.PathLike[str], **keys: Any) -> Drawings:
    """Draw what happens inside a model.

    Args:
        subject: "tokens": which of them leave at which step, and what each window gathers. "features": feature maps in
            colours. "attention": where a token looks. "similarity": how like a token all others are.
        images: An image, or a folder of images.
        **keys: As on the command line (`fastitpn visualize SUBJECT --help`): `checkpoint`, or `model` and `weights`;
            `token`, `block`, `levels`, `acceleration`, `px`, `limit`, `out`, ...

    Returns:
        Where the page and the pictures are.

    Raises:
        InputError: A key, the checkpoint or the images are wrong.
    """
    if subject not in SUBJECTS:
        raise InputError(
            f"no subject {subject!r}", expected=", ".join(SUBJECTS), fix='visualize("tokens", checkpoint=, images=)'
        )
    config, run = SUBJECTS[subject]
    return run(build(config, {"images": images, **keys}))
