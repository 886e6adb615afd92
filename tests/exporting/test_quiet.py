"""What libraries say while they write and quantise graphs."""

import logging
import warnings

import pytest
import torch
from torch import nn

from fastitpn.exporting import openvino_int8
from fastitpn.exporting.attempts import Attempt
from fastitpn.exporting.quiet import quiet
from fastitpn.exporting.silent_openvino import import_nncf, import_openvino


def test_bars_warnings_and_logs_are_not_shown_and_the_logs_are_as_before(capsys):
    root = logging.getLogger()
    handlers, disabled = list(root.handlers), root.manager.disable
    with quiet():
        print("a bar")
        warnings.warn("advice", UserWarning, stacklevel=1)
        logging.warning("of the root")
        logging.getLogger("onnxscript.optimizer").warning("of a library")
    assert capsys.readouterr() == ("", "")
    assert (root.handlers, root.manager.disable) == (handlers, disabled)


def test_an_error_within_is_raised_and_the_logs_are_as_before():
    disabled = logging.getLogger().manager.disable
    with pytest.raises(ValueError, match="cannot"), quiet():
        raise ValueError("cannot")
    assert logging.getLogger().manager.disable == disabled


class Joined(nn.Module):
    """Two convolutions, joined."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, images):
        return torch.cat([self.left(images).relu(), self.right(images)], 1)


def test_what_has_no_common_scale_is_joined_in_fp32(tmp_path, monkeypatch):
    openvino, nncf = import_openvino(), import_nncf()
    program = torch.export.export(Joined().eval(), (torch.zeros(1, 3, 8, 8),))
    openvino.save_model(openvino.convert_model(program), tmp_path / "exact.xml", compress_to_fp16=False)
    quantize, tried = nncf.quantize, []

    def refuses_concatenations(*arguments, ignored_scope, **keys):
        tried.append(list(ignored_scope.types))
        if "Concat" not in ignored_scope.types:
            raise nncf.InternalError("QConfigs for unified scale group are not equal")
        return quantize(*arguments, ignored_scope=ignored_scope, **keys)

    monkeypatch.setattr(nncf, "quantize", refuses_concatenations)
    openvino_int8.quantise(tmp_path / "exact.xml", tmp_path / "int8.xml", Attempt(), [torch.rand(1, 3, 8, 8)])
    assert tried == [[], ["Concat"]]
    kinds = [each.get_type_name() for each in openvino.Core().read_model(tmp_path / "int8.xml").get_ops()]
    assert "FakeQuantize" in kinds
