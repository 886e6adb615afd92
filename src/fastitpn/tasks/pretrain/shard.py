"""`fastitpn data shard`: images into tar shards."""

from pathlib import Path

from fastitpn.console import say
from fastitpn.data.images.folders import image_names, unlabelled
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.tar_writer import write_shards
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.tasks.pretrain.preparation_config import DataShardConfig


def run_shard(config: DataShardConfig) -> list[Path]:
    """Write the shards, or go on where an interrupted command stopped.

    Returns:
        The shards.

    Raises:
        InputError: The images or the folder do not fit.
    """
    paths = unlabelled(config.data)
    check_readable(paths)
    check_no_run(config.out, "shards")
    make_folder(config.out)
    shards = write_shards(
        paths,
        image_names(paths, config.data),
        config.out,
        shard_mib=config.shard_mib,
        said=say,
    )
    counted = f"{len(shards)} shard{'s' if len(shards) > 1 else ''}"
    say(f"done: {len(paths)} images in {counted}; pre-train with data={config.out}")
    return shards
