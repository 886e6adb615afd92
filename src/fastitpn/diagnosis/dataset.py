"""Which task a data set is for, and what is in it; nothing stops at the first thing that is wrong."""

import importlib
from collections.abc import Callable

from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet
from fastitpn.errors import InputError

_TASKS = ("segment", "detect", "classify", "pretrain")
"""The most particular first: COCO's panoptic files are also JSON files, masks also images in folders of their own."""


def open_dataset(config: DoctorConfig) -> DataSet:
    """What a data set holds, told by the task that it is for, or by the first that knows it.

    Raises:
        InputError: There is no data, or it is of another form than was asked for.
    """
    if not config.data.exists():
        raise InputError(
            "there is no such file or folder", where=config.data, expected="a data set", fix="check the path"
        )
    for task in (config.task,) if config.task else _TASKS:
        diagnose: Callable[[DoctorConfig], DataSet | None]
        diagnose = importlib.import_module(f"fastitpn.tasks.{task}.diagnosis").diagnose
        if (data := diagnose(config)) is not None:
            return data
    raise AssertionError("the last task takes any data")
