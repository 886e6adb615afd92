"""All classes of attacks, by name: those first that take least time."""

from benchmarks.trust import (
    app,
    bombs,
    collisions,
    damaged,
    disk,
    flat,
    kill,
    markup,
    mutated,
    nonfinite,
    pickles,
    signals,
    sockets,
)

_MODULES = (markup, bombs, damaged, nonfinite, kill, signals, flat, pickles, mutated, collisions, sockets, app, disk)

CATALOGUE = {attacks.name: attacks for module in _MODULES for attacks in module.ATTACKS}
