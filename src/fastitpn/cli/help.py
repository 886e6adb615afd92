"""The pages that --help prints."""

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastitpn.commands.verb import Verb
from fastitpn.config import explain, usage

_WIDTH_OF_FILES = 120
_EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 the command or its data is wrong, 130 interrupted."


def print_overview(verbs: Sequence[Verb]) -> None:
    """`fastitpn --help`: each verb with a sentence and an example."""
    console = _console()
    console.print(Text("Fast-iTPN: pre-train, fine-tune and use strong small image backbones.\n"))
    console.print(Text("fastitpn VERB [TASK] [recipe=FILE.yaml] [key=value ...]\n", style="bold"))
    _print_verbs(console, verbs)
    console.print(Text("fastitpn help VERB lists the keys of a verb. fastitpn --version prints the version."))
    console.print(Text(_EXIT_CODES))


def print_tasks(name: str, verbs: Sequence[Verb]) -> None:
    """`fastitpn finetune --help`: the tasks of a verb."""
    console = _console()
    console.print(Text(f"fastitpn {name} TASK [recipe=FILE.yaml] [key=value ...]\n", style="bold"))
    _print_verbs(console, verbs)
    console.print(Text(f"fastitpn {name} TASK --help lists the keys of a task."))


def print_verb(verb: Verb) -> None:
    """`fastitpn VERB --help`: every key with type, default and one sentence."""
    console = _console()
    console.print(Text(f"{verb.sentence}\n"))
    console.print(Text(usage(verb.config), style="bold"))
    console.print(Text(f"For example: {verb.example}"))
    console.print(explain(verb.config))
    console.print(
        Text(
            "\nLists have commas (0.9,0.98). The later of two values for a key wins, and a typed value over a recipe's."
        )
    )


def _print_verbs(console: Console, verbs: Sequence[Verb]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True, style="cyan")
    table.add_column()
    for verb in verbs:
        table.add_row(Text(" ".join(verb.words)), Text(f"{verb.sentence}\n{verb.example}\n"))
    console.print(table)


def _console() -> Console:
    """Full width on a terminal; in a file or a pipe wide enough for the table."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_FILES
    return console
