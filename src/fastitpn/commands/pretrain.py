"""`fastitpn pretrain`, and what prepares it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.tasks.pretrain.preparation_config import CacheFeaturesConfig
from fastitpn.tasks.registry import TASKS

if TYPE_CHECKING:
    from fastitpn.runs.run import Run

_KEYS = TASKS.keys_of("pretrain")
VERB = Verb(
    config=_KEYS.train,
    sentence=_KEYS.sentence,
    example=_KEYS.example,
    run="fastitpn.tasks.pretrain.pretrain:run_pretrain",
    trains=True,
)
CACHE_FEATURES = Verb(
    config=CacheFeaturesConfig,
    sentence="Store a teacher's features once, for pre-training without the teacher.",
    example="fastitpn pretrain cache-features data=photos teacher=timm:vit_base_patch16_clip_224.openai",
    run="fastitpn.tasks.pretrain.cache_features:run_cache_features",
)


def pretrain(*, data: str | os.PathLike[str], **keys: Any) -> "Run":
    """Pre-train trunk and pyramid on images without labels.

    Args:
        data: Folder of images, or a list of them.
        **keys: As on the command line (`fastitpn pretrain --help`): `model`, `teacher`, `px`, `epochs`, `out`, ...;
            nested ones as a dict, `teacher={"name": "timm:resnet18", "weights": FILE}`.

    Returns:
        The run: its directory, metrics and checkpoints.

    Raises:
        InputError: A key, the data or the folder of the run is wrong.
    """
    run: Run = VERB(build(VERB.config, {"data": data, **keys}))
    return run


def cache_features(*, data: str | os.PathLike[str], teacher: Any, **keys: Any) -> Path:
    """Store a teacher's features once, for pre-training with `teacher="features:FOLDER"`.

    Args:
        data: Images, as for `pretrain`.
        teacher: "timm:NAME", or a dict with `name`, `weights`, `px`, `projection`.
        **keys: As on the command line (`fastitpn pretrain cache-features --help`): `batch`, `out`, ...

    Returns:
        The folder.

    Raises:
        InputError: A key, the data, the teacher or the folder is wrong.
    """
    folder: Path = CACHE_FEATURES(build(CacheFeaturesConfig, {"data": data, "teacher": teacher, **keys}))
    return folder
