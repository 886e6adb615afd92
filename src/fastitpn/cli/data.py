"""`fastitpn data convert` and `fastitpn data shard`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import DataConvertConfig, DataShardConfig


def run_convert(config: DataConvertConfig) -> object:
    """Calls `run_convert`."""
    from fastitpn.commands.convert import run_convert

    return run_convert(config)


def run_shard(config: DataShardConfig) -> object:
    """Calls `run_shard`."""
    from fastitpn.commands.shard import run_shard

    return run_shard(config)


CONVERT = Verb(
    config=DataConvertConfig,
    sentence="Write the annotations of a Pascal VOC or YOLO data set in COCO's format, for detection.",
    example="fastitpn data convert data=VOC2012 out=runs/voc",
    run=run_convert,
)


SHARD = Verb(
    config=DataShardConfig,
    sentence="Write a folder of images into tar shards, which disks and networks read fastest.",
    example="fastitpn data shard data=photos out=shards",
    run=run_shard,
)
