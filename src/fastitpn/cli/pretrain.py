"""`fastitpn pretrain`, and what prepares it."""

from fastitpn.cli.verb import Verb
from fastitpn.config import CacheFeaturesConfig, PretrainConfig


def run(config: PretrainConfig) -> object:
    """Calls `run_pretrain`."""
    from fastitpn.tasks.pretrain.pretrain import run_pretrain

    return run_pretrain(config)


def cache_features(config: CacheFeaturesConfig) -> object:
    """Calls `run_cache_features`."""
    from fastitpn.tasks.pretrain.cache_features import run_cache_features

    return run_cache_features(config)


VERB = Verb(
    config=PretrainConfig,
    sentence="Pre-train on images without labels: predict a teacher's features of hidden patches.",
    example="fastitpn pretrain data=photos px=224 epochs=300",
    run=run,
)
CACHE_FEATURES = Verb(
    config=CacheFeaturesConfig,
    sentence="Store a teacher's features once, for pre-training without running it along.",
    example="fastitpn pretrain cache-features data=photos teacher=timm:vit_base_patch16_clip_224.openai",
    run=cache_features,
)
