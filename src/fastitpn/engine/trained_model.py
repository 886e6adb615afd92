"""The model of a checkpoint, built from the checkpoint alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model


def build_trained_model(content: Mapping[str, Any], path: Path) -> FastITPN:
    """Build a checkpoint's classifier and fill it.

    Args:
        content: Of a checkpoint, see `checkpoint.load_checkpoint`.
        path: Where it came from, for messages.

    Raises:
        InputError: The model cannot be built, or its weights do not fit it.
    """
    name, arguments = content["model"]["name"], content["model"]["arguments"]
    try:
        model = create_model(name, **{**arguments, "weight_init": "skip"})
        model.load_state_dict(content["weights"])
    except (TypeError, RuntimeError) as error:
        raise InputError(
            f"the model of this checkpoint cannot be built: {' '.join(str(error).split())}",
            where=path,
            expected=f"the weights of create_model({name!r}) with the arguments stored beside them",
        ) from error
    if model.num_classes != len(content["classes"]):
        raise InputError(
            f"the checkpoint has {len(content['classes'])} names for {model.num_classes} classes", where=path
        )
    return model.eval()
