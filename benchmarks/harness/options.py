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
from fastitpn.config.types import Count, Seed
from fastitpn.config.values import show
from fastitpn.console import printing
from fastitpn.errors import FastITPNError
from fastitpn.training.config import DeviceConfig

OptionsType = TypeVar("OptionsType", bound="Options")
Seeds = tuple[Seed, ...]


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
    """Reads the words of the command (those of the process if None), and runs the benchmark or prints its help.

    Raises:
        SystemExit: Something was wrong that the user can mend, with its message printed and its code.
    """
    words = sys.argv[1:] if words is None else words
    if {"--help", "-h"} & set(words):
        console = Console(highlight=False)
        console.width = console.width if console.is_terminal else 120
        console.print(sys.modules[options_class.__module__].__doc__, explain(options_class), markup=False)
        return
    try:
        options = parse(options_class, words)
        with printing():
            run(options)
    except FastITPNError as error:
        print(error, file=sys.stderr)
        if getattr(error, "fix", None) is None:
            print(f"  fix:      python -m {script_of(options_class)} --help lists every option", file=sys.stderr)
        raise SystemExit(error.exit_code) from error


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
    known = list(arms)
    return [
        f"arms: expected some of {'; '.join(known)}, got {name!r}"
        for name in split_arms(text, known)
        if name not in known
    ]


def _shown(value: Any) -> str:
    """As typed, but of an absolute path only its end: the rest is the place of one machine."""
    if isinstance(value, Path) and value.is_absolute():
        return "/".join(value.parts[1:][-4:])
    return f"{value:g}" if isinstance(value, float) else show(value)
