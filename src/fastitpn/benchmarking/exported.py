"""An exported graph in its runtime, and beside it the network that it was made of, eagerly and with random weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fastitpn.exporting.exported import FirstOutput, open_exported
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.runs.exported_folder import read_exported_folder
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


def open_graph(folder: str) -> nn.Module:
    """The graph of a folder, as a module from images to its first output; all of it is computed.

    Raises:
        InputError: The runtime is not installed, or the file was changed.
    """
    path = Path(folder)
    return FirstOutput(open_exported(path, read_exported_folder(path)))


def build_described(content: Mapping[str, Any], acceleration: Acceleration) -> nn.Module:
    """The network that was exported, with random weights, in evaluation mode.

    Args:
        content: What a checkpoint says beside its weights.
        acceleration: What to run it with.

    Raises:
        InputError: They do not go together.
    """
    path = "the exported folder"
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(content["task"], path)
    about = spec.description.from_dict(content)
    model = spec.create(about).eval()
    backbone = spec.backbone(model)
    backbone.set_acceleration(acceleration)
    trained: Trained[Any, Any] = Trained(
        path=Path(path), model=model, about=about, acceleration=acceleration, fast_itpn=backbone, content=content
    )
    return spec.exportable(trained).network.eval()
