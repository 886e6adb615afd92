"""Exported programs that hold code: opening one runs nothing of it."""

import json
import zipfile

import pytest
import torch

from fastitpn.errors import InputError
from fastitpn.exporting.torch_files import open_torch_export

CALLED: list[str] = []


class Code:
    def __reduce__(self):
        return CALLED.append, ("run",)


@pytest.fixture
def program(tmp_path):
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "model.pt2")
    return tmp_path / "model.pt2"


def rewritten(program, change):
    """The same archive, each member given to `change`: name and content to content."""
    with zipfile.ZipFile(program) as old:
        members = {name: change(name, old.read(name)) for name in old.namelist()}
    with zipfile.ZipFile(program, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    return program


def test_a_program_is_run(program):
    assert open_torch_export(program)(torch.zeros(1, 2))[0].shape == (2,)


def test_a_pickle_in_a_program_is_not_run(program, tmp_path):
    torch.save(Code(), tmp_path / "code.pt")
    code = (tmp_path / "code.pt").read_bytes()

    def change(name, content):
        if name.endswith("weights_config.json") and "aotinductor" not in name:
            config = json.loads(content)
            for entry in config["config"].values():
                entry["use_pickle"] = True
            return json.dumps(config).encode()
        return code if "/weights/weight_" in name else content

    with pytest.raises(Exception, match=r"(?i)weights.only|unsupported|unpickl"):
        open_torch_export(rewritten(program, change))
    assert CALLED == []


def test_libraries_in_a_program_are_not_loaded(program):
    with zipfile.ZipFile(program, "a") as archive:
        archive.writestr("model/data/aotinductor/model/library.wrapper.so", b"")
    with pytest.raises(InputError, match="compiled libraries"):
        open_torch_export(program)
