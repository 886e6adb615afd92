"""The locked development environment: every requirement, at a version that pyproject.toml allows, with its hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements" / "dev.lock").read_text()
LOCKED = dict(re.findall(r"^([\w.-]+)==([^ ]+) \\\n    --hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE))
ASKED = [line for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()) for line in lines]


@pytest.mark.parametrize("line", sorted({line for line in ASKED if not line.startswith("fastitpn")}))
def test_it_is_locked(line):
    requirement = Requirement(line)
    assert LOCKED[canonicalize_name(requirement.name)] in requirement.specifier


def test_nothing_is_locked_without_hashes_or_from_a_place_of_its_own():
    lines = [line for line in LOCK.splitlines() if not line.startswith(("#", "    --hash=sha256:"))]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.+]+( ; .+)? \\", line)] == []
    assert len(lines) == len(LOCKED)
