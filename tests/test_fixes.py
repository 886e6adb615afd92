"""What errors tell a user to type can be typed: verbs, keys and values of every `fix=` in the source exist."""

import ast
import inspect
import re
from dataclasses import fields
from functools import cache

import pytest
from documented import ROOT

import fastitpn
from fastitpn.commands.registry import all_verbs
from fastitpn.commands.verb import Verb
from fastitpn.config import Field, fields_of
from fastitpn.config.fields import nested_configs
from fastitpn.config.values import read_value
from fastitpn.config.variants import variant_classes
from fastitpn.models.architecture import ModelArguments

PYTHON = {
    name
    for function in (fastitpn.create_model, fastitpn.load_weights)
    for name in inspect.signature(function).parameters
}
PYTHON |= {field.name for field in fields(ModelArguments)}
PYTHON |= {"img_size", "num_classes", "global_pool", "features_only", "pretrained", "pretrained_cfg_overlay"}  # timm's
PYTHON |= {"neck", "positions"}  # of detectors in Python and of embed_tokens
KEY = r"(?<![\w.(-])([a-z_]+(?:\.[a-z_]+)*)=(?!=)"
FOREIGN = re.compile(r"#SBATCH \S+|srun \S+|(?:version|package) of fastitpn \w+")


def fixes() -> list[tuple[str, str]]:
    """Place and text of each; what is filled in later stands in braces."""
    result = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "fix":
                for text in texts(node.value):
                    result.append((f"{file.name}:{node.value.lineno}", FOREIGN.sub("", text)))
    return result


def texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return texts(node.body) + texts(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


@cache
def keys_of(verb: Verb) -> dict[str, list[Field]]:
    """Every key of a verb, also those of the variants of a head, a detector, a teacher, and their shorthands."""
    keys = {key: [field] for key, field in fields_of(verb.config).items()} | {"recipe": []}
    for name, nested in nested_configs(verb.config).items():
        keys.setdefault(name, [])
        if nested._variants is not None:
            base = next(base for base in nested.__mro__ if "_variants" in vars(base))
            for _, variant in variant_classes(base):
                if isinstance(variant, type):
                    for key, field in fields_of(variant).items():
                        keys.setdefault(f"{name}.{key}", []).append(field)
    return keys


FIXES = fixes()
ALL = {
    key: [field for verb in all_verbs() for field in keys_of(verb).get(key, [])]
    for v in all_verbs()
    for key in keys_of(v)
}


def test_there_are_many():
    assert len(FIXES) > 250


def test_commands_exist_with_their_keys():
    wrong = []
    for place, text in FIXES:
        for command in re.findall(r"fastitpn ((?:[a-z][^\s,;)]*)(?: [^\s,;)]+)*)", text):
            words = command.split()
            verbs = [verb for verb in all_verbs() if tuple(words[: len(verb.words)]) == verb.words]
            if words[0] == "finetune" and words[1:2] in (["TASK"], ["{}"]):
                verbs = [verb for verb in all_verbs() if verb.words[0] == "finetune"]
            keys = {key for verb in verbs[:1] or verbs for key in keys_of(verb)}
            unknown = [word for word in words if (match := re.match(r"([a-z_.]+)=", word)) and match[1] not in keys]
            if not verbs or unknown:
                wrong.append((place, command, unknown))
    assert wrong == []


def test_keys_exist():
    wrong = [(place, key) for place, text in FIXES for key in re.findall(KEY, text) if key not in {*ALL, *PYTHON}]
    assert wrong == []


def readable(key: str, value: str) -> bool:
    for field in ALL[key]:
        try:
            read_value(field.annotation, value)
        except ValueError:
            continue
        return True
    return not ALL[key]


def test_values_are_accepted():
    """Those that are written out; capitals and braces stand for the user's own."""
    wrong = [
        (place, key, value)
        for place, text in FIXES
        for key, value in re.findall(KEY[:-5] + r"=([\w.,:-]*[\w])(?=[\s,;]|$)", text)
        if key in ALL and not re.search(r"[A-Z]", value) and not readable(key, value)
    ]
    assert wrong == []


@pytest.mark.parametrize("text", ["fastitpn finetune clasify data=x", "fastitpn predict RUN sorce=x"])
def test_a_wrong_one_would_be_seen(text, monkeypatch):
    monkeypatch.setitem(globals(), "FIXES", [("x.py:1", text)])
    with pytest.raises(AssertionError):
        test_commands_exist_with_their_keys()
