"""Every key of every verb, given wrong values by word, recipe and Python: no traceback, and the key is named."""

import importlib
import itertools
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

import fastitpn
from fastitpn.config import Config, build
from fastitpn.config.fields import fields_of
from fastitpn.config.parse import parse
from fastitpn.errors import InputError

WRONG = ["no such", -7, float("inf"), [], {"a": 1}, [[1], ["x"]], "", "9" * 5000, "\0", True, 2**70, {"a": {"b": [1]}}]


def configurations() -> Iterator[type[Config]]:
    for module in pkgutil.walk_packages(fastitpn.__path__, "fastitpn."):
        if module.name.endswith(("config", "_keys", ".keys")):
            importlib.import_module(module.name)
    pending, seen = [Config], set()
    while pending:
        config_class = pending.pop()
        if config_class in seen:
            continue
        seen.add(config_class)
        pending += config_class.__subclasses__()
        if config_class.__module__.startswith("fastitpn.") and getattr(config_class, "_command", ""):
            yield config_class


@pytest.mark.parametrize("how", ["word", "recipe", "python"])
def test_wrong_values_are_named(tmp_path, how):
    values, tried, refused = itertools.cycle(WRONG), 0, 0
    for config_class in configurations():
        for key in fields_of(config_class):
            value = next(values)
            if how == "recipe" and tried % 3:  # reading YAML takes most of the time
                tried += 1
                continue
            content: Any = value
            for part in reversed(key.split(".")):
                content = {part: content}
            tried += 1
            try:
                if how == "word":
                    parse(config_class, [f"{key}={value}"])
                elif how == "python":
                    build(config_class, content)
                else:
                    (tmp_path / "r.yaml").write_text(f"# a recipe\n{yaml.safe_dump(content)}", encoding="utf-8")
                    parse(config_class, [f"recipe={tmp_path / 'r.yaml'}"])
            except InputError as error:
                lines = [line for line in str(error).splitlines() if "required, but not given" not in line]
                refused += any(key.split(".")[0] in line for line in lines[1:])
                if how == "recipe":
                    of_file = [line for line in lines if "r.yaml" in line]
                    assert all("line " in line and key.split(".")[0] in line for line in of_file), (key, value, of_file)
    assert tried > 300
    assert refused > 100
