"""OpenVINO, the fastest runtime on CPUs by Intel and AMD."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fastitpn.exporting.formats.base import ExportFormat

if TYPE_CHECKING:
    from torch import Tensor

    from fastitpn.exporting.attempts import Attempt
    from fastitpn.exporting.network import Graph
    from fastitpn.exporting.runner import Runner
    from fastitpn.exporting.shapes import Shapes


class OpenVINO(ExportFormat):
    """A file for OpenVINO, and its weights beside it."""

    file = "model.xml"
    precisions = ("fp32", "fp16", "int8")
    half_weights = True
    example = "open_openvino.py"
    needed = "openvino"
    one_by_one = True

    def check_installed(self, precision: str = "fp32") -> None:
        """Make sure that openvino is there, onnx and onnxscript, through which graphs go, and for int8 nncf."""
        from fastitpn.exporting.onnx_file import check_installed
        from fastitpn.exporting.silent_openvino import import_nncf

        self.check_runtime()
        if precision == "int8":
            import_nncf()
        check_installed("onnx", "onnxscript", extra="openvino")

    def check_runtime(self) -> None:
        """Make sure that openvino is there."""
        from fastitpn.exporting.silent_openvino import import_openvino

        import_openvino()

    def write(self, graph: "Graph", shapes: "Shapes", path: Path) -> None:
        """Trace a graph and write it."""
        from fastitpn.exporting.openvino_file import write_openvino

        write_openvino(graph, shapes, path)

    def open(self, path: Path) -> "Runner":
        """The file, compiled for the CPU."""
        from fastitpn.exporting.openvino_file import open_openvino

        return open_openvino(path)

    def quantise(self, exact: Path, path: Path, attempt: "Attempt", images: "Sequence[Tensor]") -> None:
        """By NNCF."""
        from fastitpn.exporting.openvino_int8 import quantise

        quantise(exact, path, attempt, images)


FORMAT = OpenVINO()
