"""Opens a model with OpenVINO."""

import sys

sys.modules["openvino_telemetry"] = None  # with it, OpenVINO reports that it is used, and writes to the home folder
import openvino


def open_model(path):
    """A function from images to the model's outputs, in single precision."""
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: list(model([images]).values())
