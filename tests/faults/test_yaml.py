"""YAML that blows up, loops, is too deep or has values that are none: one message at once, with its line."""

import os
import re
import time
import tracemalloc
from pathlib import Path

import pytest

from fastitpn.config.recipe import read_recipe
from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError
from fastitpn.yaml_files import MAX_BYTES

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
BOMBS = {
    "laughs": (LAUGHS, "with its references it has"),
    "merged": (
        "m0: &m0 {x: 1}\n" + "".join(f"m{n}: &m{n} [{', '.join([f'*m{n - 1}'] * 20)}]\n" for n in range(1, 7)),
        "with its references it has",
    ),
    "loop of a list": ("a: &a [*a]\n", "*a stands inside itself"),
    "loop of a mapping": ("a: &a\n  b: *a\n", "*a stands inside itself"),
    "deep list": ("a: " + "[" * 5000 + "]" * 5000, "more than 40 mappings and lists in each other"),
    "deep mapping": ("a: " + "{b: " * 5000 + "}" * 5000, "more than 40 mappings and lists in each other"),
}
WRONG = {
    "a date": ("lr: 2024-02-31", "line 2: not valid YAML: '2024-02-31' is no timestamp (in lr)"),
    "digits": (f"lr: {'1' * 5000}", "is no int (in lr)"),
    "a number by tag": ("lr: !!float abc", "'abc' is no float (in lr)"),
    "yes by tag": ("lr: !!bool perhaps", "'perhaps' is no bool (in lr)"),
    "a time by tag": ("lr: !!timestamp soon", "'soon' is no timestamp (in lr)"),
    "a set": ("lr: !!set [1]", "expected a mapping node"),
    "a list as a key": ("lr: [{[1]: 2}]", "unhashable key (in lr)"),
    "an anchor that is not there": ("lr: *nowhere", "found undefined alias"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb(name, tmp_path):
    text, expected = BOMBS[name]
    (file := tmp_path / "r.yaml").write_text(text)
    tracemalloc.start()
    begin = time.process_time()
    keys, errors = read_recipe(file)
    with pytest.raises(InputError) as caught:
        read_yaml_words(file, expected="names")
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not keys
    assert expected in errors[0]
    assert expected in caught.value.what
    assert "line" in errors[0]
    assert "line" in str(caught.value.where)
    assert peak < 64 << 20
    assert seconds < 10  # a bomb takes minutes


@pytest.mark.parametrize("name", WRONG)
def test_a_value_that_is_none(name, tmp_path):
    text, expected = WRONG[name]
    (file := tmp_path / "r.yaml").write_text(f"data: a\n{text}\n")
    _, errors = read_recipe(file)
    assert expected in errors[0]
    assert "line 2" in errors[0]


def test_a_large_file_is_not_read(tmp_path):
    with open(file := tmp_path / "r.yaml", "wb") as opened:
        opened.truncate(MAX_BYTES + 1)
    assert "it has 8 MB, and such files have less than 8" in read_recipe(file)[1][0]
    with pytest.raises(InputError, match="it has 8 MB"):
        read_yaml_words(file, expected="names")


def test_references_that_people_use(tmp_path):
    (file := tmp_path / "r.yaml").write_text("a: &a [1, 2]\nb: *a\nc: {d: *a}\n")
    keys, errors = read_recipe(file)
    assert not errors
    assert {given.key: given.value for given in keys} == {"a": [1, 2], "b": [1, 2], "c.d": [1, 2]}


def test_one_module_reads_yaml():
    source = Path(__file__).parents[2] / "src" / "fastitpn"
    reads = re.compile(r"\byaml\.(\w*load\w*|\w*Loader|compose\w*|parse|scan)\b")
    assert [file.name for file in source.rglob("*.py") if reads.search(file.read_text())] == ["yaml_files.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "r.yaml")
    assert "it is a pipe or a device" in read_recipe(tmp_path / "r.yaml")[1][0]
