"""Reads the command line, finds the verb, runs it, and turns exceptions into messages and exit codes."""

import os
import sys
import traceback
from collections.abc import Sequence

from fastitpn import __version__
from fastitpn.cli.candidates import candidates
from fastitpn.cli.failures import explain_failure, message_of
from fastitpn.cli.help import print_overview, print_tasks, print_verb
from fastitpn.cli.signals import ending_by_signals
from fastitpn.commands.registry import all_verbs
from fastitpn.commands.verb import Verb
from fastitpn.config import Config, parse
from fastitpn.console import printing, say
from fastitpn.errors import FastITPNError, InputError
from fastitpn.nearest import nearest_name

INTERRUPTED = 130


def entry() -> None:
    """The console script."""
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after `fastitpn`; those of the process if None.

    Returns:
        Exit code: 0 done, 1 failed, 2 the command or its data is wrong, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    config: Config | None = None
    verbs = all_verbs()
    try:
        if words[:1] == ["help"]:
            words = [*words[1:], "--help"]
        if words[:2] == ["completion", "--"]:
            print("\n".join(candidates(" ".join(words[2:]), verbs)))
            return 0
        if not words or words[0] in ("--help", "-h"):
            print_overview(verbs)
            return 0
        if words[0] in ("--version", "-V"):
            print(f"fastitpn {__version__}")
            return 0
        verb = _find(words, verbs)
        if verb is None:
            print_tasks(words[0], _tasks(words[0], verbs))
            return 0
        arguments = words[len(verb.words) :]
        if "--help" in arguments or "-h" in arguments:
            print_verb(verb)
            return 0
        config = parse(verb.config, arguments)
        with ending_by_signals(), printing():
            if opening := verb.opening(config):
                say(opening, error=True)
            verb(config)
        return 0
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except FastITPNError as error:
        return _fail(message_of(error), error.exit_code)
    except Exception as error:
        known = explain_failure(error, config)
        if known is not None:
            return _fail(str(known), known.exit_code)
        name = type(error).__name__
        hint = "This is not expected. FASTITPN_DEBUG=1 before the same command prints the traceback."
        return _fail(f"{name}: {error}\n{hint}", 1)


def _fail(message: str, exit_code: int) -> int:
    """Prints the message of the exception being handled; with FASTITPN_DEBUG=1 after its traceback."""
    if os.environ.get("FASTITPN_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    print(message, file=sys.stderr)
    return exit_code


def _find(words: Sequence[str], verbs: Sequence[Verb]) -> Verb | None:
    """The verb that the words begin with; None if help is asked on a verb whose task is not named."""
    for verb in verbs:
        if tuple(words[: len(verb.words)]) == verb.words:
            return verb
    tasks = _tasks(words[0], verbs)
    if not tasks:
        names = list(dict.fromkeys(verb.words[0] for verb in verbs))
        raise _unknown("verb", words[0], names, "fastitpn")
    if any(word in ("--help", "-h") for word in words[1:]):
        return None
    given = words[1] if len(words) > 1 and "=" not in words[1] else None
    raise _unknown("task", given, [verb.words[1] for verb in tasks], f"fastitpn {words[0]}")


def _tasks(name: str, verbs: Sequence[Verb]) -> list[Verb]:
    return [verb for verb in verbs if verb.words[0] == name and len(verb.words) > 1]


def _unknown(kind: str, given: str | None, names: list[str], command: str) -> InputError:
    near = nearest_name(given, names) if given else None
    if near is None and len(names) == 1:
        near = names[0]
    return InputError(
        f"no {kind} {given!r}" if given else f"{command} needs a {kind}",
        expected=" or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names),
        fix=f"{command} {near}" if near else f"{command} --help",
    )


if __name__ == "__main__":
    entry()
