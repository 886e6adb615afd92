"""OpenVINO and NNCF send nothing, ask nothing, and leave the home folder alone."""

import json
import re
import subprocess
import sys

import pytest
from test_architecture import SOURCE
from tiny_runs import ENVIRONMENT

from fastitpn.errors import InputError
from fastitpn.exporting.silent_openvino import import_openvino

IMPORTED = re.compile(r"^\s*(import|from) (openvino|nncf)\b|import_module\(.(openvino|nncf)", re.MULTILINE)
RECORDING = """
import json, sys, threading
events = []
watched = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn"}
sys.addaudithook(lambda name, given: events.append([name, repr(given)[:200]]) if name in watched else None)
"""
USE = """
from fastitpn.exporting.silent_openvino import import_nncf, import_openvino
openvino, nncf = import_openvino(), import_nncf()
import numpy as np
value = openvino.opset13.parameter([1, 2], np.float32)
model = openvino.Model([openvino.opset13.matmul(value, np.eye(2, dtype=np.float32), False, False)], [value])
openvino.Core().compile_model(model, "CPU")([np.float32([[-1, 2]])])
nncf.quantize(model, nncf.Dataset([np.float32([[-1, 2]])]), subset_size=1)
"""
REPORT = """
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
import openvino.tools.ovc.telemetry_utils as used
kinds = [used.tm.__name__, type(nncf.telemetry.telemetry).__name__]
print(json.dumps({"events": events, "threads": threads, "telemetry": kinds}))
"""


def run(script: str, home) -> dict:
    hidden = {"CI", "NNCF_CI", "NNCF_DEV", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"}  # telemetry knows these
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in hidden} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", RECORDING + script + REPORT],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_is_sent_and_nothing_asked(tmp_path):
    found = run(USE, tmp_path)
    assert found["telemetry"] == ["openvino.tools.ovc.telemetry_stub", "MagicMock"]
    assert [event for event in found["events"] if event[0].startswith("socket")] == []
    assert not any("google" in text or "telemetry" in text for _, text in found["events"])
    assert not any(name.startswith("ThreadPool") for name in found["threads"])
    assert not [path for path in tmp_path.rglob("*") if "intel" in str(path) or "telemetry" in str(path)]


def test_one_module_imports_them():
    """Beside the example for people who have no fastitpn, which switches it off as well."""
    places = {path.name for path in SOURCE.rglob("*.py") if IMPORTED.search(path.read_text(encoding="utf-8"))}
    assert places == {"silent_openvino.py", "open_openvino.py"}
    example = (SOURCE / "exporting" / "examples" / "open_openvino.py").read_text()
    assert example.index('sys.modules["openvino_telemetry"] = None') < example.index("import openvino\n")


def test_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match="the package openvino is not installed") as caught:
        import_openvino()
    assert caught.value.fix == "pip install 'fastitpn[openvino]'"
