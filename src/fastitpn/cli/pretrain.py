"""`fastitpn pretrain`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import PretrainConfig


def run(config: PretrainConfig) -> object:
    """Calls `run_pretrain`."""
    from fastitpn.engine.pretrain import run_pretrain

    return run_pretrain(config)


VERB = Verb(
    config=PretrainConfig,
    sentence="Pre-train on images without labels: predict a teacher's features of hidden patches.",
    example="fastitpn pretrain data=photos px=224 epochs=300",
    run=run,
)
