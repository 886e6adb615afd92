import getpass
import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

import fastitpn
from fastitpn.reporting.environment import describe_environment


def test_versions_and_machine() -> None:
    facts = describe_environment("cpu", wall_time_s=245, now=datetime(2030, 1, 2, 3, 4, tzinfo=UTC))
    assert facts["date"] == "2030-01-02 03:04 UTC"
    assert facts["wall time"] == "4 min 05 s"
    assert facts["fastitpn"] == fastitpn.__version__
    assert facts["python"] == platform.python_version()
    assert facts["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts["device"] == "cpu"
    assert {"timm", "processor", "processor cores", "system"} <= set(facts)


def test_plain_strings_that_survive_json() -> None:
    facts = describe_environment()
    assert json.loads(json.dumps(facts)) == facts
    assert all(isinstance(value, str) and value for value in facts.values())
    assert "device" not in facts
    assert "wall time" not in facts


def test_nobody_and_no_host_is_named() -> None:
    text = json.dumps(describe_environment("cpu"))
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
    for name in (platform.node(), getpass.getuser()):
        assert len(name) < 3 or f'"{name}"' not in text
    assert platform.node() not in text.replace(platform.machine(), "") or len(platform.node()) < 4
