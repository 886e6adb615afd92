"""An export format: the weights in NumPy's format, run by the network that they came from."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastitpn.exporting.formats.base import ExportFormat


class NumPyWeights(ExportFormat):
    """`model.npz`."""

    file = "model.npz"
    precisions = ("fp32",)

    def write(self, graph: Any, shapes: Any, path: Path) -> None:
        self.graph = graph
        with open(path, "wb") as file:
            np.savez(file, **{name: value.numpy() for name, value in graph.state_dict().items()})

    def open(self, path: Path) -> Any:
        content = np.load(io.BytesIO(path.read_bytes()))
        self.graph.load_state_dict({name: torch.from_numpy(content[name]) for name in content.files})
        return lambda images: list(self.graph(images))


FORMAT = NumPyWeights()
