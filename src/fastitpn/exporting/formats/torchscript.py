"""TorchScript, run by PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING

from fastitpn.exporting.formats.base import ExportFormat

if TYPE_CHECKING:
    from fastitpn.exporting.network import Graph
    from fastitpn.exporting.runner import Runner
    from fastitpn.exporting.shapes import Shapes


class TorchScript(ExportFormat):
    """TorchScript."""

    file = "model.pt"
    precisions = ("fp32", "fp16", "bf16")
    example = "open_torchscript.py"
    needed = "PyTorch"

    def write(self, graph: "Graph", shapes: "Shapes", path: Path) -> None:
        """Trace a graph and write it."""
        from fastitpn.exporting.torch_files import write_torchscript

        write_torchscript(graph, shapes, path)

    def open(self, path: Path) -> "Runner":
        """The file, run eagerly."""
        from fastitpn.exporting.torch_files import open_torchscript

        return open_torchscript(path)


FORMAT = TorchScript()
