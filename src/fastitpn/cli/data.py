"""`fastitpn data shard`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import DataShardConfig


def run(config: DataShardConfig) -> object:
    """Calls `run_shard`."""
    from fastitpn.engine.shard import run_shard

    return run_shard(config)


SHARD = Verb(
    config=DataShardConfig,
    sentence="Write a folder of images into tar shards, which disks and networks read fastest.",
    example="fastitpn data shard data=photos out=shards",
    run=run,
)
