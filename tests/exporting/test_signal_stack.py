"""Models in OpenVINO may end in any order: signals are still handled."""

import ctypes
import sys

import numpy as np
import pytest

from fastitpn.exporting.openvino_file import open_openvino
from fastitpn.exporting.signal_stack import signal_stack_kept
from fastitpn.exporting.silent_openvino import import_openvino

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="OpenVINO takes the stack on Linux alone")


def stack() -> bytes:
    """Where this thread handles signals, as the system describes it."""
    description = ctypes.create_string_buffer(64)
    assert ctypes.CDLL(None).sigaltstack(None, description) == 0
    return description.raw


def test_a_compiled_model_leaves_the_stack_for_signals(tmp_path):
    openvino = import_openvino()
    value = openvino.opset13.parameter([1, 2], np.float32)
    product = openvino.opset13.matmul(value, np.eye(2, dtype=np.float32), False, False)
    openvino.save_model(openvino.Model([product], [value]), tmp_path / "model.xml")
    before = stack()
    first, second = open_openvino(tmp_path / "model.xml"), open_openvino(tmp_path / "model.xml")
    assert stack() == before
    del first
    del second
    assert stack() == before


def test_another_stack_is_given_back():
    before, memory = stack(), ctypes.create_string_buffer(1 << 16)
    other = (ctypes.c_size_t * 3)(ctypes.addressof(memory), 0, len(memory))
    with signal_stack_kept():
        assert ctypes.CDLL(None).sigaltstack(other, None) == 0
        assert stack() != before
    assert stack() == before
