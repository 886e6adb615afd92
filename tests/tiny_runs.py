"""Runs small enough for a test: `fastitpn_nano` at 32 px, a few steps on a few scenes."""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fastitpn
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run
from fastitpn.tasks.detect.heads import rcnn
from fastitpn.tasks.heads import HeadSpec
from fastitpn.tasks.segment.heads import mask2former

TRAINING: dict[str, Any] = {
    "model": "fastitpn_nano",
    "px": 32,
    "batch": 4,
    "steps": 3,
    "warmup_steps": 0,
    "log_every": 1,
    "workers": 0,
    "device": "cpu",
}
"""Keys of all trainings."""

FINETUNING: dict[str, Any] = {**TRAINING, "defaults": "fixed"}
"""Those of fine-tunings whose settings must not follow the number of their images."""

PANOPTIC: dict[str, Any] = {
    **TRAINING,
    "panoptic": True,
    "head": {"name": "mask2former", "width": 32, "queries": 12},
    "px": 64,
    "scale_range": (1, 1),
    "photometric": False,
}
"""Those of a panoptic segmentation."""


_PATHS = (Path(fastitpn.__file__).parents[1], Path(__file__).parent / "as_installed")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _PATHS))}
"""Of processes that are to use this very package, and have no more than users have."""

SMALL_HEADS = "FASTITPN_TESTS_SMALL_HEADS"
"""Set in the environment of a copied process (`forking`), it makes its heads as `small_heads` does."""


SHORT = {"depths": (1, 1, 2)}
"""Every part of a trunk, with few of the operations that exporters take one by one."""

NARROW: dict[str, Any] = {"box_width": 64, "mask_width": 16, "proposals": 100, "detections": 30}
"""Of detectors by regions, what no key makes so small."""


def shallow_mask2former() -> AbstractContextManager[None]:
    """Segmentation networks that are made have a Mask2Former of 1 and 2 layers; no key asks for fewer than 6 and 9."""
    return _made_with((mask2former.HEAD, {"encoder_layers": 1, "decoder_layers": 2}))


def narrow_rcnn() -> AbstractContextManager[None]:
    """Detectors by regions that are made have the sizes of `NARROW`."""
    boxes = {name: size for name, size in NARROW.items() if name != "mask_width"}
    return _made_with((rcnn.MASK_RCNN, NARROW), (rcnn.CASCADE_MASK_RCNN, NARROW), (rcnn.FASTER_RCNN, boxes))


@contextlib.contextmanager
def small_heads() -> Iterator[None]:
    """Both."""
    with shallow_mask2former(), narrow_rcnn():
        yield


@contextlib.contextmanager
def _made_with(*heads: tuple[HeadSpec[Any], Mapping[str, int]]) -> Iterator[None]:
    """Heads are made with these arguments, whatever their keys say."""
    with pytest.MonkeyPatch.context() as patch:
        for head, fewer in heads:
            change = functools.partial(_changed, head.arguments, fewer)
            patch.setitem(vars(head), "arguments", change)
        yield


def _changed(arguments: Callable[..., dict[str, Any]], fewer: Mapping[str, int], *given: Any) -> dict[str, Any]:
    return {**arguments(*given), **fewer}


def words(**keys: Any) -> list[str]:
    """Keys as they are typed; `teacher_px` stands for `teacher.px`."""
    names = {name: name.replace("teacher_", "teacher.") for name in keys}
    return [f"{names[name]}={str(value).lower() if value is None else value}" for name, value in keys.items()]


def content(run: Run) -> dict[str, Any]:
    """The checkpoint to resume from."""
    assert run.last_checkpoint is not None
    return load_checkpoint(run.last_checkpoint)


def assert_same(one: Any, other: Any) -> None:
    """Nested values, equal to the bit."""
    ours, theirs = dict(leaves(one)), dict(leaves(other))
    assert list(ours) == list(theirs)
    different = [name for name, value in ours.items() if not _equal(value, theirs[name])]
    assert not different


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What nested dicts and lists hold, with its path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}/{key}")
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{name}/{place}")
    else:
        yield name, value


def figures(run: Run) -> list[dict[str, Any]]:
    """The rows of the log without what time and memory decide."""
    timed = ("images_per_s", "data_wait_ratio", "memory_mib")
    return [{key: value for key, value in row.items() if key not in timed} for row in run.history]


def files(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    return bool(one == other)
