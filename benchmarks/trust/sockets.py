"""Every verb with its connections recorded, in a process that has no network: there are none."""

import ctypes
import sys
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, emptied, in_copy
from benchmarks.trust.inputs import VERBS, make_inputs, shared_inputs, words_of

_NEW_NETWORK = 0x40000000
"""Of Linux's `unshare`; where it is not allowed the connections are recorded alone."""
_LOCAL = (1, 16)
"""Families of sockets within a machine: AF_UNIX and AF_NETLINK."""


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A verb."""
    verb = list(VERBS)[number]
    out = emptied(folder / "out")

    def run() -> list[str]:
        events: list[str] = []

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
                if arguments[0] != "localhost" and getattr(arguments[0], "family", None) not in _LOCAL:
                    events.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments[:2]}")

        sys.addaudithook(watch)
        ctypes.CDLL(None).unshare(_NEW_NETWORK)
        from fastitpn.cli.main import main

        code = main(words_of(verb, shared_inputs(folder), out))
        return events if code == 0 else [f"exit code {code}", *events]

    ended = in_copy(run)
    if ended.value is None:
        return f"{verb}: ended with {ended.code}: {ended.said[-300:]}"
    return f"{verb}: {ended.value[:3]}" if ended.value else None


def prepare(folder: Path) -> None:
    """The inputs of the verbs."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="verbs without a network", count=len(VERBS), attack=attack, prepare=prepare),)
