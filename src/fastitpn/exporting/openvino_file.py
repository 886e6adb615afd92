"""OpenVINO: writing its two files by way of an ONNX graph, and running them on the CPU.

From the program of torch.export a graph is as fast (tiny, 224 px, one core: within 2 %), but has no R-CNN.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor

from fastitpn.exporting.network import Graph
from fastitpn.exporting.onnx_file import write_onnx
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.signal_stack import signal_stack_kept
from fastitpn.exporting.silent_openvino import import_openvino


def write_openvino(graph: Graph, shapes: Shapes, path: Path) -> None:
    """Write `path` (XML), and the weights beside it (`.bin`).

    The ONNX file is read by the runtime itself, and not by `convert_model`: that would report what it converts.
    """
    openvino = import_openvino()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        source = Path(folder) / "model.onnx"
        write_onnx(graph, shapes, source)
        model = openvino.Core().read_model(source)
        openvino.save_model(model, path, compress_to_fp16=graph.half_weights)


def open_openvino(path: Path) -> Runner:
    """The files in OpenVINO, in single precision, on as many cores as PyTorch has threads."""
    openvino = import_openvino()
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",  # else a processor with bf16 takes that, and differs
        "PERFORMANCE_HINT": "LATENCY",
    }
    with signal_stack_kept():
        model = openvino.Core().compile_model(path, "CPU", settings)

    def run(images: Tensor) -> list[Tensor]:
        outputs = model([images.numpy()])
        return [torch.from_numpy(outputs[output].copy()) for output in model.outputs]

    return run
