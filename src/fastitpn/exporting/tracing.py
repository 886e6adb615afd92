"""A network as a program of `torch.export`."""

from contextlib import AbstractContextManager

import torch
import torch._dynamo.config
from torch.export import ExportedProgram

from fastitpn.exporting.network import Graph
from fastitpn.exporting.shapes import Shapes


def trace(graph: Graph, shapes: Shapes) -> ExportedProgram:
    """Trace a network at the sizes that are for it."""
    with shapes_reckoned(shapes):
        return torch.export.export(graph, (torch.zeros(shapes.traced),), dynamic_shapes=shapes.dims, strict=False)


def shapes_reckoned(shapes: Shapes) -> AbstractContextManager[None]:
    """Within, PyTorch has no cache of the shapes of results where sizes are open: to look there takes it longer."""
    return torch._dynamo.config.patch(fake_tensor_cache_enabled=shapes.dynamic != "all")
