"""The words that may follow on a command line, for completion in a shell. Nothing heavy is imported for them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fastitpn.commands.verb import Verb
from fastitpn.config import fields_of
from fastitpn.config.fields import nested_configs
from fastitpn.config.shipped import names as recipes
from fastitpn.config.values import choices
from fastitpn.listing import subfolders
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.weights.published import PREFIX, PUBLISHED

RUN_FOLDERS = "runs"
"""Where trainings lie unless `out` says otherwise."""
RUNS_BY_KEY = ("checkpoint", "file", "runs", "weights")
"""Keys that take a run."""


def candidates(line: str, verbs: Sequence[Verb]) -> list[str]:
    """The words that the last one on a line may become.

    Args:
        line: What was typed up to the cursor, with `fastitpn` before it.
        verbs: All verbs.

    Returns:
        Whole words, sorted by kind; keys end with `=`, since a value follows. Empty where only file names fit, which
        a shell knows itself.
    """
    *before, word = line.split(" ")
    typed = [text for text in before[1:] if text]
    verb = next((verb for verb in verbs if tuple(typed[: len(verb.words)]) == verb.words), None)
    options = _next_words(typed, verbs)
    if verb is not None:
        options += _words_of(verb, typed[len(verb.words) :], word)
    return [option for option in dict.fromkeys(options) if option.startswith(word)]


def _next_words(typed: list[str], verbs: Sequence[Verb]) -> list[str]:
    """The words of verbs that go on as the line does."""
    words = ["help", "--help", "--version"] if not typed else []
    typed = typed[1:] if typed[:1] == ["help"] else typed
    return [
        verb.words[len(typed)]
        for verb in verbs
        if len(verb.words) > len(typed) and [*verb.words[: len(typed)]] == typed
    ] + words


def _words_of(verb: Verb, arguments: list[str], word: str) -> list[str]:
    fields = fields_of(verb.config)
    key, equals, _ = word.partition("=")
    if equals:
        return [f"{key}={value}" for value in _values(verb, key, word.partition("=")[2])]
    positional = [text for text in arguments if "=" not in text]
    place = [*verb.config._positional, *[verb.config._rest or ""] * len(positional)]
    here = place[len(positional)] if len(positional) < len(place) else verb.config._rest
    given = {text.partition("=")[0] for text in arguments}
    shorthands = [name for name, nested in nested_configs(verb.config).items() if nested._shorthand]
    keys = [f"{name}=" for name in ("recipe", *shorthands, *fields) if name not in given]
    return [*_values(verb, here or "", word), *keys, "--help"]


def _values(verb: Verb, key: str, beginning: str) -> Iterable[str]:
    """Values of a key: its choices, true and false, recipes, models, published weights, and runs."""
    if key == "recipe" or (verb.words, key) == (("recipes",), "name"):
        return recipes()
    if key == "name":
        return [file.name for file in PUBLISHED]
    if key == "model":
        return list(ARCHITECTURES)
    published = [f"{PREFIX}{file.name}" for file in PUBLISHED] if key in ("weights", "file") else []
    runs = _runs(beginning) if key in RUNS_BY_KEY else []
    nested = nested_configs(verb.config).get(key)
    field = fields_of(verb.config).get(f"{key}.{nested._shorthand}" if nested else key)
    if field is None:
        return []
    logical = ["true", "false"] if field.annotation in (bool, bool | None) else []
    return [*runs, *published, *choices(field.annotation), *logical]


def _runs(beginning: str) -> list[str]:
    """Runs in the folder that was typed, else in `runs`."""
    folder = Path(beginning.rpartition("/")[0] or RUN_FOLDERS)
    inside = subfolders(folder) if folder.is_dir() else []
    return sorted(str(path) for path in inside if (path / "run.json").is_file())
