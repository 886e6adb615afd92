"""Typed options of a benchmark: `--help` explains them, and a misspelt one is refused with the nearest name."""

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field
from rich.console import Console

from fastitpn.config import Config, explain, fields_of, parse
from fastitpn.config.runs import Count, DeviceConfig, ImagePx, Positive  # noqa: F401  (types of options)
from fastitpn.config.values import show
from fastitpn.errors import FastITPNError, InputError
from fastitpn.nearest import nearest_name

OptionsType = TypeVar("OptionsType", bound="Options")
Seeds = tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True, kw_only=True)
class Options(Config):
    """Results."""

    _unwritten: ClassVar[tuple[str, ...]] = ("out",)
    """Keys that are no part of the command beside the results: places, and which of the rows to make."""

    out: Path | None = None
    """JSON file for the results; none only prints them."""


@dataclass(frozen=True, kw_only=True)
class SpeedOptions(Options):
    """Speed."""

    rounds: Count = 5
    """Rounds, in each of which all arms have a turn; one more comes first, to warm up."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to compute; on a CPU with one thread, whose processor time is measured."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(DeviceConfig, Options):
    """Trainings."""

    _unwritten = ("out", "work", "seeds", "arms")

    seeds: Seeds = (0, 1, 2)
    """Each changes the scenes, the start values and the order of the images."""
    work: Path = Path("runs/bench")
    """Folder for scenes and runs; what is done there is not done again."""
    workers: Annotated[int, Field(ge=0)] = 0


def start(
    options_class: type[OptionsType], run: Callable[[OptionsType], object], words: Sequence[str] | None = None
) -> None:
    """Reads the words of the command and runs the benchmark.

    Args:
        options_class: What the words may be.
        run: The benchmark.
        words: `key=value` each, or `--help`; those of the process if None.

    Raises:
        SystemExit: Something was wrong that the user can mend; the message is printed, the code is 2.
    """
    words = sys.argv[1:] if words is None else words
    help_words = f"python -m {script_of(options_class)} --help"
    try:
        if {"--help", "-h"} & set(words):
            print_help(options_class)
        else:
            try:
                options = parse(options_class, words)
            except InputError as error:
                raise InputError(error.what, fix=f"{help_words} lists every option") from error
            run(options)
    except FastITPNError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


def print_help(options_class: type[Options]) -> None:
    """What the script measures, and every option with its type, default and one sentence."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    console.print(sys.modules[options_class.__module__].__doc__, markup=False)
    console.print(explain(options_class))


def script_of(options_class: type[Options]) -> str:
    """The module to run, such as `benchmarks.detection`."""
    spec = sys.modules[options_class.__module__].__spec__  # of a module that runs, __name__ is "__main__"
    return spec.name if spec is not None else options_class.__module__


def command_of(options: Options) -> str:
    """What to type to measure the same, with neither defaults nor `_unwritten` keys."""
    words = []
    for key, field in fields_of(type(options)).items():
        value = getattr(options, key)
        if value != field.default and key not in options._unwritten:
            word = f"{key}={_shown(value)}"
            words.append(shlex.quote(word) if set(word) & set(" ;&|") else word)
    return " ".join(["python -m", script_of(type(options)), *words])


def split_arms(text: str | None, arms: Iterable[str]) -> list[str]:
    """Names separated by semicolons, since commas are part of them; all if none are given."""
    return list(arms) if text is None else [name.strip() for name in text.split(";")]


def unknown_arms(text: str | None, arms: Iterable[str]) -> list[str]:
    """A sentence for each name in `arms=` that is none of the arms."""
    arms = list(arms)
    sentences = []
    for name in split_arms(text, arms):
        if name not in arms:
            near = nearest_name(name, arms)
            sentences.append(f"arms: there is no arm {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    return sentences


def _shown(value: Any) -> str:
    """As typed, but of an absolute path only its end: the rest is the place of one machine."""
    if isinstance(value, Path) and value.is_absolute():
        return "/".join(value.parts[1:][-4:])
    return f"{value:g}" if isinstance(value, float) else show(value)
