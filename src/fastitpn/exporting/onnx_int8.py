"""int8 for ONNX, by onnxruntime: quantised matrices and convolutions, with scales from images or for each input."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fastitpn.exporting.attempts import Attempt
from fastitpn.exporting.quiet import quiet

_PRODUCTS = ["MatMul", "Gemm"]


def quantise(exact: Path, path: Path, attempt: Attempt, images: Sequence[Tensor]) -> None:
    """Write the int8 form of a file in fp32: a scale for each column of weights, one for an activation.

    Products of two activations stay in fp32. So do the outputs of products, which onnxruntime computes in one step; but
    in a graph of one shape it would join them with the bias first, and then compute in fp32.

    Args:
        exact: The file in fp32.
        path: The file to write.
        attempt: What is left out, and whether scales of activations are those of `images`.
        images: Batches to calibrate on.
    """
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quant_pre_process,
        quantize_dynamic,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.rest, None)
            return None if batch is None else {"images": batch.numpy()}

    with tempfile.TemporaryDirectory() as folder, quiet():
        prepared = Path(folder) / exact.name
        quant_pre_process(exact, prepared, skip_optimization=True, skip_symbolic_shape=True)
        graph = onnx.load(prepared, load_external_data=False).graph
        one_shape = all(axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim)
        kept = [node.name for node in graph.node if attempt.keeps(node.name)]
        common: dict[str, Any] = {
            "per_channel": True,
            "weight_type": QuantType.QInt8,
            "nodes_to_exclude": [*kept, *_products_of_activations(graph)],
        }
        if not attempt.static:
            quantize_dynamic(prepared, path, op_types_to_quantize=_PRODUCTS, **common)
            return
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            op_types_to_quantize=[*_PRODUCTS, "Conv"],
            extra_options={
                "OpTypesToExcludeOutputQuantization": [] if one_shape else _PRODUCTS,
                "CalibMovingAverage": True,
            },
            **common,
        )


def _products_of_activations(graph: Any) -> list[str]:
    """Names of the products without weights."""
    constants = {weights.name for weights in graph.initializer}
    constants |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not constants & set(node.input)]
