"""A network as a program of `torch.export`."""

import torch
import torch._dynamo.config
from torch.export import ExportedProgram

from fastitpn.exporting.network import Graph
from fastitpn.exporting.shapes import Shapes


def trace(graph: Graph, shapes: Shapes) -> ExportedProgram:
    """Trace a network at the sizes that are for it.

    With sizes left open, PyTorch's cache of the shapes of results takes longer than to reckon them again.
    """
    with torch._dynamo.config.patch(fake_tensor_cache_enabled=shapes.dynamic != "all"):
        return torch.export.export(graph, (torch.zeros(shapes.traced),), dynamic_shapes=shapes.dims, strict=False)
