"""ONNX, run by onnxruntime."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastitpn.exporting.formats.base import ExportFormat

if TYPE_CHECKING:
    from torch import Tensor

    from fastitpn.exporting.attempts import Attempt
    from fastitpn.exporting.config import ExportConfig
    from fastitpn.exporting.network import Graph
    from fastitpn.exporting.runner import Runner
    from fastitpn.exporting.shapes import Shapes

OPSET = 18
"""The first one that PyTorch's present exporter writes."""


class Onnx(ExportFormat):
    """An ONNX file."""

    file = "model.onnx"
    precisions = ("fp32", "fp16", "int8")  # onnxruntime has no bf16 on a CPU, where the file is checked
    dynamic_int8 = True
    one_by_one = True
    example = "open_onnx.py"
    needed = "onnxruntime"
    takes = ("opset",)

    def check_installed(self, precision: str = "fp32") -> None:
        """Make sure that onnx, onnxscript and onnxruntime are there."""
        from fastitpn.exporting.onnx_file import check_installed

        check_installed("onnx", "onnxscript", "onnxruntime")

    def check_runtime(self) -> None:
        """Make sure that onnxruntime is there."""
        from fastitpn.exporting.onnx_file import check_installed

        check_installed("onnxruntime")

    def options(self, config: "ExportConfig") -> dict[str, Any]:
        """The opset that is written."""
        return {"opset": config.opset or OPSET}

    def write(self, graph: "Graph", shapes: "Shapes", path: Path, *, opset: int = OPSET) -> None:
        """Trace a graph and write it."""
        from fastitpn.exporting.onnx_file import write_onnx

        write_onnx(graph, shapes, path, opset=opset)

    def open(self, path: Path) -> "Runner":
        """A session of onnxruntime."""
        from fastitpn.exporting.onnx_file import open_onnx

        return open_onnx(path)

    def quantise(self, exact: Path, path: Path, attempt: "Attempt", images: "Sequence[Tensor]") -> None:
        """With quantisation nodes for constant scales, or matrices alone with scales for each input."""
        from fastitpn.exporting.onnx_int8 import quantise

        quantise(exact, path, attempt, images)


FORMAT = Onnx()
