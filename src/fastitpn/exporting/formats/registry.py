"""Formats by the name that `format=` takes."""

from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.registry import Registry

FORMATS: Registry[ExportFormat] = Registry(
    "format",
    {
        "onnx": "fastitpn.exporting.formats.onnx:FORMAT",
        "openvino": "fastitpn.exporting.formats.openvino:FORMAT",
        "torch_export": "fastitpn.exporting.formats.torch_export:FORMAT",
        "torchscript": "fastitpn.exporting.formats.torchscript:FORMAT",
        "hub": "fastitpn.exporting.formats.hub:FORMAT",
    },
)
