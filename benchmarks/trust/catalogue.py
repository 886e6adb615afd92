"""All classes of attacks, by name: those first that take least time."""

from benchmarks.trust import (
    app,
    bombs,
    browser,
    collisions,
    damaged,
    disk,
    flat,
    kill,
    markup,
    memory,
    mutated,
    nonfinite,
    pickles,
    signals,
    sockets,
    traversal,
    writes,
)

_MODULES = (markup, writes, bombs, damaged, nonfinite, kill, signals, flat, pickles, mutated)
_MODULES += (collisions, browser, app, memory, traversal, sockets, disk)

CATALOGUE = {attacks.name: attacks for module in _MODULES for attacks in module.ATTACKS}
