"""`fastitpn data convert` and `fastitpn data shard`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.config.convert import DataConvertConfig
from fastitpn.tasks.pretrain.preparation_config import DataShardConfig

if TYPE_CHECKING:
    from fastitpn.data.detection.converters import Converted


CONVERT = Verb(
    config=DataConvertConfig,
    sentence="Write the annotations of a Pascal VOC or YOLO data set in COCO's format, for detection.",
    example="fastitpn data convert data=VOC2012 out=runs/voc",
    run="fastitpn.tasks.detect.convert:run_convert",
)
SHARD = Verb(
    config=DataShardConfig,
    sentence="Write a folder of images into tar shards, which disks and networks read fastest.",
    example="fastitpn data shard data=photos out=shards",
    run="fastitpn.tasks.pretrain.shard:run_shard",
)


def shard_data(*, data: str | os.PathLike[str], **keys: Any) -> list[Path]:
    """Write a folder of images into tar shards (`fastitpn data shard`).

    Args:
        data: Folder of images, or a list of them.
        **keys: As on the command line (`fastitpn data shard --help`): `shard_mib`, `out`.

    Returns:
        The shards; their folder is `data` for `pretrain`.

    Raises:
        InputError: A key, the data or the folder is wrong.
    """
    shards: list[Path] = SHARD(build(DataShardConfig, {"data": data, **keys}))
    return shards


def convert_data(*, data: str | os.PathLike[str], **keys: Any) -> "Converted":
    """Write the annotations of a Pascal VOC or YOLO data set in COCO's format (`fastitpn data convert`).

    Args:
        data: Folder of the data set.
        **keys: As on the command line (`fastitpn data convert --help`): `form`, `copy`, `on_error`, `out`.

    Returns:
        Files, classes and counts; the folder of the files is `data` for `finetune("detect")`.

    Raises:
        InputError: A key, the data or the folder is wrong.
    """
    converted: Converted = CONVERT(build(DataConvertConfig, {"data": data, **keys}))
    return converted
