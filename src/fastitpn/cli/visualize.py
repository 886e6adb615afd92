"""`fastitpn visualize SUBJECT`: a verb for each subject."""

from fastitpn.cli.verb import Verb
from fastitpn.config import (
    VisualizeAttentionConfig,
    VisualizeFeaturesConfig,
    VisualizeSimilarityConfig,
    VisualizeTokensConfig,
)


def run_tokens(config: VisualizeTokensConfig) -> object:
    """Calls `run_visualize_tokens`."""
    from fastitpn.visualization.tokens import run_visualize_tokens

    return run_visualize_tokens(config)


def run_features(config: VisualizeFeaturesConfig) -> object:
    """Calls `run_visualize_features`."""
    from fastitpn.visualization.features import run_visualize_features

    return run_visualize_features(config)


def run_attention(config: VisualizeAttentionConfig) -> object:
    """Calls `run_visualize_attention`."""
    from fastitpn.visualization.attention import run_visualize_attention

    return run_visualize_attention(config)


def run_similarity(config: VisualizeSimilarityConfig) -> object:
    """Calls `run_visualize_similarity`."""
    from fastitpn.visualization.similarity import run_visualize_similarity

    return run_visualize_similarity(config)


TOKENS = Verb(
    config=VisualizeTokensConfig,
    sentence="Draw which tokens leave the trunk at which step, and what each window gathers.",
    example="fastitpn visualize tokens runs/classify photos acceleration=balanced",
    run=run_tokens,
)
FEATURES = Verb(
    config=VisualizeFeaturesConfig,
    sentence="Draw the feature maps of images in colours that mean the same in all of them.",
    example="fastitpn visualize features runs/pretrain photos",
    run=run_features,
)
ATTENTION = Verb(
    config=VisualizeAttentionConfig,
    sentence="Draw where a chosen token looks, head by head.",
    example="fastitpn visualize attention runs/classify photos token=7,7 block=12",
    run=run_attention,
)
SIMILARITY = Verb(
    config=VisualizeSimilarityConfig,
    sentence="Draw how like a chosen token all others are, in each feature map.",
    example="fastitpn visualize similarity runs/pretrain photos token=7,7",
    run=run_similarity,
)
