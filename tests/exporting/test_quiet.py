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


def state():
    root, library = logging.getLogger(), logging.getLogger("onnxscript")
    return list(root.handlers), list(root.filters), library.level


def test_what_libraries_say_is_not_shown_and_all_is_as_before(capsys, caplog):
    caplog.set_level("WARNING", "fastitpn")
    before = state()
    with quiet():
        print("a bar")
        warnings.warn("advice", UserWarning, stacklevel=1)
        logging.warning("of the root")
        logging.getLogger("onnxscript.optimizer").warning("of a library")
        logging.getLogger("fastitpn.training").warning("of this package")
    assert capsys.readouterr().out == ""
    assert [record.message for record in caplog.records] == ["of this package"]
    assert state() == before


def test_an_error_within_is_raised_and_all_is_as_before():
    before = state()
    with pytest.raises(ValueError, match="cannot"), quiet():
        raise ValueError("cannot")
    assert state() == before


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
