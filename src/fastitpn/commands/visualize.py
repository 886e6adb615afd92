"""`fastitpn visualize SUBJECT`: pictures of what happens inside a model."""

import os
from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.visualization.config import (
    VisualizeAttentionConfig,
    VisualizeFeaturesConfig,
    VisualizeSimilarityConfig,
    VisualizeTokensConfig,
)

if TYPE_CHECKING:
    from fastitpn.visualization.drawings import Drawings

VERBS = (
    Verb(
        config=VisualizeTokensConfig,
        sentence="Draw which tokens leave the trunk at which step, and what each window gathers.",
        example="fastitpn visualize tokens runs/classify photos acceleration=balanced",
        run="fastitpn.visualization.tokens:run_visualize_tokens",
    ),
    Verb(
        config=VisualizeFeaturesConfig,
        sentence="Draw the feature maps of images; a colour means the same in all images.",
        example="fastitpn visualize features runs/pretrain photos",
        run="fastitpn.visualization.features:run_visualize_features",
    ),
    Verb(
        config=VisualizeAttentionConfig,
        sentence="Draw the attention of a chosen token, head by head.",
        example="fastitpn visualize attention runs/classify photos token=7,7 block=12",
        run="fastitpn.visualization.attention:run_visualize_attention",
    ),
    Verb(
        config=VisualizeSimilarityConfig,
        sentence="Draw the similarity of all tokens to a chosen token, in each feature map.",
        example="fastitpn visualize similarity runs/pretrain photos token=7,7",
        run="fastitpn.visualization.similarity:run_visualize_similarity",
    ),
)


def visualize(subject: str, *, images: str | os.PathLike[str], **keys: Any) -> "Drawings":
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
    subjects = {verb.words[1]: verb for verb in VERBS}
    if subject not in subjects:
        raise InputError(
            f"no subject {subject!r}", expected=", ".join(subjects), fix='visualize("tokens", checkpoint=, images=)'
        )
    drawings: Drawings = subjects[subject](build(subjects[subject].config, {"images": images, **keys}))
    return drawings
