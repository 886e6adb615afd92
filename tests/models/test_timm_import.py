"""Registration with timm, whatever is imported first and whatever the program is called."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ENVIRONMENT

FOUND = "assert len(timm.list_models('fastitpn_*')) == 10, timm.list_models('fastitpn_*')"
ORDERS = {
    "ours first": "import fastitpn; import timm",
    "timm first": "import timm; import fastitpn",
    "a part of timm": "import fastitpn; from timm.layers import DropPath; import timm",
    "a part of ours imports timm": "import fastitpn.models.layers.cell_blocks; import timm",
    "the registry itself": "import fastitpn.models.registry; import timm",
    "looked for before": "import fastitpn, importlib.util; importlib.util.find_spec('timm'); import timm",
    "twice": "import fastitpn, importlib; importlib.reload(fastitpn); import timm",
    "its hook leaves timm as it is": (
        "import fastitpn, importlib.resources; import timm; assert timm.__spec__.origin.endswith('timm/__init__.py');"
        "assert importlib.resources.files('timm').joinpath('version.py').is_file()"
    ),
}


EACH_IN_A_COPY = """
import json, os, sys, traceback
import timm
for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
    del sys.modules[name]
failed = {}
for name, lines in json.loads(sys.argv[1]).items():
    assert not {"timm", "fastitpn"} & set(sys.modules)
    child = os.fork()
    if child == 0:
        try:
            exec(lines, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    failed[name] = os.waitpid(child, 0)[1]
print(json.dumps(failed))
"""
"""Runs programs one by one in copies of a process that has imported all that timm needs, and has nothing of timm."""


def python(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot copy a process")
def test_the_models_are_there_in_any_order_of_imports() -> None:
    use = f"{FOUND}; timm.create_model('fastitpn_nano', device='meta')"
    done = python("-c", EACH_IN_A_COPY, json.dumps({name: f"{order}; {use}" for name, order in ORDERS.items()}))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(ORDERS, 0), done.stderr


def test_a_script_of_the_name_of_the_command_finds_the_models(tmp_path: Path) -> None:
    script = tmp_path / "fastitpn"
    script.write_text(f"import fastitpn, timm; {FOUND}; print(timm.create_model('fastitpn_nano').embed_dim)")
    done = python(str(script))
    assert (done.returncode, done.stdout.strip()) == (0, "192"), done.stderr


@pytest.mark.parametrize(
    "words", [("-m", "fastitpn", "--help"), ("-c", "from fastitpn.cli.main import main; main([])")]
)
def test_the_help_waits_for_nothing_heavy(words: tuple[str, ...]) -> None:
    done = python("-X", "importtime", *words)
    assert done.returncode == 0
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "fastitpn" in imported
    assert not imported & {"torch", "timm", "numpy", "PIL"}
