"""Memory that runs out: in a training its advice is what to type, elsewhere half of the batch is taken."""

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, Ended, emptied, in_copy
from benchmarks.trust.inputs import main, make_inputs, shared_inputs, words_of

VERBS = ("finetune classify", "finetune segment", "pretrain", "evaluate", "predict classes", "predict boxes")
VERBS += ("predict masks", "evaluate masks")
ROUNDS = 3
_TRAINING = 3
"""How many of them train."""
_CLOSE = 1e-4
"""Figures of other sizes of batches, on a CPU."""


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A verb whose network has room for one or two images, in a training from the first or second step on."""
    verb, kind = VERBS[number % len(VERBS)], number // len(VERBS) % 3
    rng, out = rng_of(seed, number), emptied(folder / "out") / "out"
    words, room = words_of(verb, shared_inputs(folder), out), rng.choice((1, 2))
    if number % len(VERBS) < _TRAINING:
        return _of_training(words, kind, rng.randrange(2), out)
    expected = folder / verb.replace(" ", "-")
    if not expected.exists():
        if (whole := _limited(words, kind, 99)).code != 0:
            return f"{verb}, with room: {whole.code}: {whole.said[-300:]}"
        shutil.move(out, expected)
    ended = _limited(words, kind, room)
    if ended.code != 0 or "going on with" not in ended.said:
        return f"{verb}, room for {room}: {ended.code}: {ended.said[-300:]}"
    return _other_figures(out, expected)


def _limited(words: list[str], kind: int, room: int, whole_calls: int = 0) -> Ended:
    def run() -> None:
        import torch

        from fastitpn.models.encoder import Encoder

        errors = (MemoryError, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"))
        error = (*errors, RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"))[kind]
        encode, calls = Encoder._encode, 0

        def limited(self: Any, images: Any, *given: Any, **keys: Any) -> Any:
            nonlocal calls
            calls += 1
            if len(images) > room and calls > whole_calls:
                raise error
            return encode(self, images, *given, **keys)

        Encoder._encode = limited  # type: ignore[assignment]
        main(words)

    return in_copy(run)


def _of_training(words: list[str], kind: int, after: int, out: Path) -> str | None:
    ended = _limited(words, kind, 2, whole_calls=after)
    if ended.code != 2 or "batch=2 accumulate=2" not in ended.said or "Traceback" in ended.said:
        return f"{' '.join(words[:2])}: {ended.code}: {ended.said[-300:]}"
    advised = [*(word for word in words if not word.startswith("batch=")), "batch=2", "accumulate=2"]
    again = _limited(advised, kind, 2)
    if again.code != 0:
        return f"{' '.join(words[:2])}, with what it advised: {again.code}: {again.said[-300:]}"
    return None if (out / "result.json").is_file() else "it is not complete"


def _other_figures(out: Path, expected: Path) -> str | None:
    """The first figure of a file of results that differs by more than `_CLOSE`."""
    for file in sorted(expected.glob("*.json")):
        ours, theirs = (list(_numbers(json.loads((place / file.name).read_text()))) for place in (out, expected))
        close = (abs(one - other) <= _CLOSE * max(1, abs(other)) for one, other in zip(ours, theirs, strict=False))
        if len(ours) != len(theirs) or not all(close):
            return f"{file.name} has other figures"
    for file in sorted(expected.glob("*.csv")):
        if len((out / file.name).read_text().splitlines()) != len(file.read_text().splitlines()):
            return f"{file.name} has other rows"
    return None


def _numbers(tree: Any, name: str = "") -> Any:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _numbers(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from _numbers(value, name)
    elif isinstance(tree, int | float) and not any(word in name for word in ("_s", "ms", "mib", "seconds", "per_s")):
        yield tree


def prepare(folder: Path) -> None:
    """The inputs of the verbs."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="memory that runs out", count=len(VERBS) * ROUNDS, attack=attack, prepare=prepare),)
