"""A program of torch.export, run by PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastitpn.exporting.formats.base import ExportFormat

if TYPE_CHECKING:
    from fastitpn.exporting.network import Graph
    from fastitpn.exporting.runner import Runner
    from fastitpn.exporting.shapes import Shapes


class TorchExport(ExportFormat):
    """A program of torch.export."""

    file = "model.pt2"
    precisions = ("fp32", "fp16", "bf16")
    example = "open_torch_export.py"
    needed = "PyTorch"
    fewest_patches = 5  # below, the map of stride 64 is one cell, and a program knows 1 from all other numbers

    def write(self, graph: "Graph", shapes: "Shapes", path: Path) -> None:
        """Trace a graph and write it."""
        from fastitpn.exporting.torch_files import write_torch_export

        write_torch_export(graph, shapes, path)

    def open(self, path: Path) -> "Runner":
        """The file, run eagerly."""
        from fastitpn.exporting.torch_files import open_torch_export

        return open_torch_export(path)


FORMAT = TorchExport()
