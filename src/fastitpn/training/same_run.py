"""Whether a checkpoint can be gone on from with the data and the model of today."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from fastitpn.errors import InputError


def check_same_data(before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Make sure that the order of the samples is the one that the run began with.

    Args:
        before: Counts that its checkpoint has.
        now: Those of the data and the batches of today.

    Raises:
        InputError: They differ.
    """
    for name, count in before.items():
        if now[name] != count:
            raise InputError(
                f"the run cannot be continued: it was begun with {count} {name}, and now there are {now[name]}",
                expected="the same data, and the same devices x batch x accumulate",
                fix="put them back, or start another run from its checkpoint: weights=.../last.ckpt out=...",
            )


def check_same_model(before: Mapping[str, Any], model: nn.Module) -> None:
    """Make sure that a checkpoint has the parts of a model.

    Args:
        before: Weights of the checkpoint by name.
        model: Made of the same keys by this version.

    Raises:
        InputError: It has others.
    """
    different = set(before) ^ set(model.state_dict())
    if different:
        raise InputError(
            f"the run cannot be continued: its model has other parts than the one that this version makes of the same "
            f"keys, such as {min(different)}",
            expected="a run that this version began",
            fix="the version that began it; or start another run: weights=.../last.ckpt out=...",
        )
