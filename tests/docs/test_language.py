"""README, pages, help, errors and reports are in the field's words, and their sentences begin with the subject."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documented import ROOT

from fastitpn.commands.registry import all_verbs
from fastitpn.config.explain import groups_of

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PRIVATE = {
    r"\bmend(?:s|ed|ing)?\b|\bset right\b": "fix",
    r"\bsets? aside\b": "not needed here, skipped",
    r"\bto the bit\b|\bbit (?:by|for) bit\b": "bit-exact",
    r"\blikewise\b": "also",
    r"\bhead start\b": "helps early; the gap closes with longer training",
    r"\bstarts? fresh\b|\bfresh (?:pyramid|neck|head)\b": "randomly initialised",
    r"\bsides? of the (?:input|image|crop)|\bpx of the input\b": "image size",
    r"\b[Ww]hat (?:was|is|were) (?:found|there)\b|\beverything found\b": "objects, predictions, annotations",
    r"\bthere is none\b|\bof no use\b": "a sentence with its subject",
    r"\bone and the same\b": "equal",
    r"\blooked at in\b": "resized to",
    r"(?:^|[.;:] )Of (?:a|an|the|two|several|such|those) ": "if ...; for ...",
    r"^\s*\w+: (?:Which|The same|Of the run)\.$": "what the argument is",
}
"""Words and patterns that readers do not know, with those that they do."""
ON_PAGES = {
    r"\bas (?:it is|they are)\b": "without changes, directly",
    r"(?<![(/])\bfigures?\b(?!\.md|>| markdown| -->)": "metrics, results",
    r"^What (?!you |we )": "the subject",
}
PROPER = ("pip ", "timm ", "torch", "fastitpn ")
"""Names that a sentence may begin with in lower case."""


def wrong_lines(text: str, patterns: dict[str, str]) -> list[tuple[str, str]]:
    """Lines with private words and the better ones; words in backticks are names and may be anything."""
    lines = [re.sub(r"`[^`]*`", "`", line) for line in text.splitlines()]
    return [
        (line.strip(), better) for line in lines for pattern, better in patterns.items() if re.search(pattern, line)
    ]


def prose(path: Path) -> str:
    """A page without its code."""
    return re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages(page):
    assert wrong_lines(prose(page), PRIVATE | ON_PAGES) == []
    things = [line for line in re.sub(r"`[^`]*`", "", prose(page)).split("\n\n") if re.search(r"\bthings?\b", line)]
    assert [text for text in things if "stuff" not in text.lower()] == [], "objects; things only beside stuff"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_sentence_behind_code_has_a_subject(page):
    behind = re.findall(r"^ *```\n\n? *([a-z(][^\n]*)", page.read_text(encoding="utf-8"), re.M)
    assert [line for line in behind if not line.startswith(PROPER)] == []


def test_help():
    texts = [verb.sentence for verb in all_verbs()]
    texts += [f"{field.sentence}" for verb in all_verbs() for group in groups_of(verb.config) for field in group.fields]
    wrong = wrong_lines(
        "\n".join(texts), PRIVATE | {r"\bnone takes\b|\bauto takes\b|\bSide of\b": "none uses; image size"}
    )
    assert wrong == []


def visible(file: Path) -> Iterator[str]:
    """Strings of a module that are not docstrings: messages, titles, captions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node.value


def test_messages_and_reports():
    files = sorted((ROOT / "src").rglob("*.py"))
    wrong = {
        file.name: lines
        for file in files
        if (lines := [line for text in visible(file) for line in wrong_lines(text, PRIVATE)])
    }
    assert wrong == {}


def test_arguments_say_what_they_are():
    pattern = {r"^\s*\w+: (?:Which|What|The same|Of the run|As there)\.$": "what the argument is"}
    files = sorted((ROOT / "src").rglob("*.py"))
    assert {
        file.name: lines for file in files if (lines := wrong_lines(file.read_text(encoding="utf-8"), pattern))
    } == {}
