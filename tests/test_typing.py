"""What type checkers see of the package in programs of its users."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastitpn

ROOT = Path(__file__).parents[1]
PROGRAM = """
import torch
import fastitpn

predictor = fastitpn.load("runs/it", device="cpu")
reveal_type(predictor)  # ImagePredictor[Any]
for prediction in predictor(["a.jpg", "b.jpg"], top_k=3):
    print(prediction.labels)
predictor([1, 2])  # error: list-item
predictor.guess("a.jpg")  # error: attr-defined
if isinstance(predictor, fastitpn.Predictor):
    reveal_type(predictor("a.jpg")[0].labels)  # tuple[str, ...]
    predictor("a.jpg", top_k="three")  # error: arg-type

run = fastitpn.finetune("classify", data="images", epochs=3)
reveal_type(run)  # Run
reveal_type(run.metrics)  # dict[str, Any]
fastitpn.finetune(3, data="images")  # error: arg-type
fastitpn.finetune("classify")  # error: call-arg
fastitpn.train("classify")  # error: attr-defined

model = fastitpn.create_model("fastitpn_tiny", pyramid=True)
reveal_type(model)  # FastITPN
reveal_type(model.pyramid_features(torch.zeros(1, 3, 64, 64)))  # list[Tensor]
model.pyramid_features("a.jpg")  # error: arg-type
reveal_type(fastitpn.create_pretraining_model("fastitpn_tiny", teacher_dim=8))  # MaskedModel
reveal_type(fastitpn.evaluate("runs/it", "val").metrics)  # dict[str, float]
reveal_type(fastitpn.__version__)  # str
"""


SETTINGS = """
[mypy]
follow_imports = skip
cache_dir = /dev/null
[mypy-fastitpn.*,torch,torch._C.*,torch._tensor,torch.nn.*,numpy.*,PIL.*]
follow_imports = normal
"""
"""To read the package, and of what lies below it those whose types its names show: all of PyTorch takes a minute."""


def test_types_are_told_to_those_who_install_it():
    assert Path(fastitpn.__file__).with_name("py.typed").is_file()


@pytest.mark.slow
def test_a_program_is_checked(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    settings = tmp_path / "mypy.ini"
    settings.write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), str(program)]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said: dict[int, str] = {}
    for line in done.stdout.splitlines():
        if match := re.match(
            r".*program\.py:(\d+): (?:error: .*\[([a-z-]+)\]$|note: Revealed type is \"(.*)\"$)", line
        ):
            number, code, kind = match.groups()
            said[int(number)] = f"error: {code}" if code else re.sub(r"(\w+\.)+(?=\w)", "", kind)
    expected = {
        number: line.partition("  # ")[2] for number, line in enumerate(PROGRAM.splitlines(), 1) if "  # " in line
    }
    assert said == expected, done.stdout + done.stderr
