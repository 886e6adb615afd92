import pytest

from fastitpn.cli.main import main
from fastitpn.commands.registry import all_verbs
from fastitpn.config import fields_of


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_has_every_verb_with_sentence_and_example(capsys, words):
    assert main(words) == 0
    text = capsys.readouterr().out
    for verb in all_verbs():
        assert " ".join(verb.words) in text
        assert verb.sentence in text
        assert verb.example in text


@pytest.mark.parametrize("verb", all_verbs(), ids=lambda verb: " ".join(verb.words))
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_the_help_of_a_verb_lists_every_key(capsys, verb, flag):
    assert main([*verb.words, "nonsense", flag]) == 0  # help wins over errors
    streams = capsys.readouterr()
    first_words = {line.split()[0] for line in streams.out.splitlines() if line.strip()}
    assert set(fields_of(verb.config)) <= first_words
    assert verb.sentence in streams.out
    assert verb.example in streams.out
    assert streams.err == ""


def test_the_help_of_a_verb_with_tasks_lists_them(capsys):
    assert main(["finetune", "--help"]) == 0
    text = capsys.readouterr().out
    assert "fastitpn finetune TASK" in text
    assert "finetune classify" in text
    assert "fastitpn predict" not in text


@pytest.mark.parametrize("words", [["finetune"], ["finetune", "classify"], ["weights"], ["recipes"]])
def test_help_before_a_verb_is_help_behind_it(capsys, words):
    assert main(["help", *words]) == 0
    text = capsys.readouterr().out
    assert main([*words, "--help"]) == 0
    assert capsys.readouterr().out == text
    assert f"fastitpn {' '.join(words)}" in text


def test_help_for_an_unknown_verb(capsys):
    assert main(["help", "pretrian"]) == 2
    assert "fix:      fastitpn pretrain" in capsys.readouterr().err


def test_each_sentence_is_one_sentence():
    for verb in all_verbs():
        assert verb.sentence.endswith(".")
        assert ". " not in verb.sentence
