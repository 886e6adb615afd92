"""ONNX: writing a graph, quantising it, and running it with onnxruntime."""

import ast
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.exporting.formats.onnx import OPSET
from fastitpn.exporting.network import Graph
from fastitpn.exporting.quiet import quiet
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.tracing import shapes_reckoned, trace

_ONE_FILE_BYTES = 1_900_000_000
"""A protobuf ends at 2 GB; weights of larger models lie in a file beside it."""
_SILENT = 4
_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where PyTorch writes the modules that a node is of, the innermost one before its own name."""


def check_installed(*packages: str, extra: str = "export") -> None:
    """Raise unless packages are there.

    Args:
        *packages: Names of them.
        extra: The extra of this package that has them.

    Raises:
        InputError: With the command to install them.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            raise InputError(
                f"the package {package} is not installed",
                where="format",
                expected=" and ".join((", ".join(packages[:-1]), packages[-1])) if len(packages) > 1 else package,
                fix=f"pip install 'fastitpn[{extra}]'",
            ) from None


def write_onnx(graph: Graph, shapes: Shapes, path: Path, *, opset: int = OPSET) -> None:
    """Trace a graph and write it, without the paths of source files that PyTorch would put in it."""
    import onnx_ir

    if graph.network.one_by_one or opset < OPSET:
        return _write_by_script(graph, shapes, path, opset)
    program = trace(graph, shapes)
    _leave_out_assertions(program.graph)
    with shapes_reckoned(shapes), quiet():
        model = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=["images"],
            output_names=list(graph.network.outputs),
            custom_translation_table={torch.ops.aten.sort.stable: _stable_sort()},
        )
    assert model is not None
    _name_axes(model.model, shapes)
    for node in onnx_ir.traversal.RecursiveGraphIterator(model.model.graph):
        modules = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))[:-1]
        node.name = "/".join((*modules[-1:], str(node.name)))  # such as network.model.head/node_Gemm_279
        node.metadata_props.clear()
        node.doc_string = None
    size = sum(parameter.nbytes for parameter in graph.parameters())
    model.save(str(path), external_data=size > _ONE_FILE_BYTES)


def _name_axes(model: Any, shapes: Shapes) -> None:
    """Calls the axes of the input as `model.json` does, where PyTorch wrote numbers of symbols such as s34."""
    words = {
        str(axis): word
        for axis, word in zip(model.graph.inputs[0].shape, shapes.describe(), strict=True)
        if isinstance(word, str)
    }
    import onnx_ir

    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is not None:
            axes = [words.get(str(axis), axis) for axis in value.shape]
            value.shape = onnx_ir.Shape(axes)


def _write_by_script(graph: Graph, shapes: Shapes, path: Path, opset: int) -> None:
    """By the older exporter, which takes torchvision's detectors, and writes the opsets below 18."""
    import onnx

    with quiet():  # it prints the graph where it fails, and warns of each number that it takes as one
        torch.onnx.register_custom_op_symbolic("aten::argsort", _stable_argsort, opset)
        torch.onnx.register_custom_op_symbolic("aten::sort", _stable_topk, opset)
        torch.onnx.export(
            graph,
            (torch.zeros(shapes.traced),),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=["images"],
            output_names=list(graph.network.outputs),
            dynamic_axes=_axes_by_name(graph, shapes),
        )
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
    onnx.save(model, path)


def _axes_by_name(graph: Graph, shapes: Shapes) -> dict[str, dict[int, str]]:
    """What may change, for the older exporter: of the input as `model.json` says, of outputs at least the images."""
    if graph.network.one_by_one:
        return {name: {1: "detections"} for name in graph.network.outputs}
    open_axes = {axis: word for axis, word in enumerate(shapes.describe()) if isinstance(word, str)}
    if not open_axes:
        return {}
    return {"images": open_axes, **{name: {0: "batch"} for name in graph.network.outputs}}


def open_onnx(path: Path) -> Runner:
    """A file in onnxruntime, on the CPU, with as many threads as PyTorch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _SILENT  # what goes wrong is raised as well
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> list[Tensor]:
        outputs: Sequence[np.ndarray] = session.run(None, {"images": images.numpy()})
        return [torch.from_numpy(output) for output in outputs]

    return run


def _stable_topk(g: Any, values: Any, *arguments: Any) -> Any:
    """A stable sort for the older exporter; `arguments` are `stable`, if it is given, dim and descending."""
    dim, descending = (int(argument.node().t("value")) for argument in arguments[-2:])
    size = g.op("Gather", g.op("Shape", values), g.op("Constant", value_t=torch.tensor([dim])))
    return g.op("TopK", values, size, axis_i=dim, largest_i=descending, sorted_i=1, outputs=2)


def _stable_argsort(g: Any, values: Any, *arguments: Any) -> Any:
    """The places that `_stable_topk` gives."""
    return _stable_topk(g, values, *arguments)[1]


def _leave_out_assertions(graph: torch.fx.Graph) -> None:
    """Drops transformers' assertions on shapes: ONNX has none, and nothing else needs what they look at."""
    for node in list(graph.nodes):
        if node.op == "call_function" and str(node.target).startswith("aten._assert"):
            graph.erase_node(node)
    graph.eliminate_dead_code()


def _stable_sort() -> Any:
    """`torch.sort(stable=True)`, which the exporter lacks: TopK of all, whose ties ONNX breaks by their place."""
    import onnxscript

    op: Any = onnxscript.opset18

    def sort(self: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        size = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]))
        return op.TopK(self, size, axis=dim, largest=int(descending), sorted=1)

    return sort
