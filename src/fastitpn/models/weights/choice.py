"""Which of the tensors in a file are the weights that are asked for: wherever they lie, whatever prefix they have."""

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fastitpn.errors import InputError

_ANCHOR = "patch_embed.proj.weight"
"""Every network of this family has one such tensor; what stands before it stands before all names of that network."""
_MERGE = re.compile(r"(blocks\.\d+|stages\.\d\.merge)\.reduction\.weight")
_OF_MODULES = ("_parameters", "_buffers", "_modules")
"""Where an object of PyTorch, which was saved whole, keeps its tensors."""
_AVERAGE = re.compile(r"(^|[._])(ema|swa|avg|averaged?)([._]|$)")
LEAD = "give a published file of Fast-iTPN, iTPN or HiViT, or one that fastitpn wrote"
"""What to do where a file has no such network."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network of this family in a file.

    Attributes:
        key: Under which key of the file it is, such as "model" or "ema.module"; "" at the top.
        prefix: What its tensors' names begin with, such as "encoder.body.".
        tensors: Its tensors, without the prefix.
        others: Tensors under the same key that are not of this network.
    """

    key: str
    prefix: str
    tensors: Mapping[str, Tensor]
    others: Mapping[str, Tensor]

    @property
    def is_average(self) -> bool:
        """Whether its weights are a moving average, as far as the key tells."""
        return bool(_AVERAGE.search(f"{self.key}.{self.prefix}"))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The network that is taken from a file, and what the file has beside it.

    Attributes:
        taken: The network that was asked for, or the only one.
        place: What to type to get it, such as "key=model"; "" where nothing has to be.
        beside: Other networks of this family: what to type to get each, and whether it is a moving average.
    """

    taken: Candidate
    place: str
    beside: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class _Stored:
    """A tensor in a file: its name with all keys before it, the keys of the dictionary it is in, its value."""

    name: str
    key: str
    value: Tensor


def named_tensors(content: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    """Every tensor in a file, by the keys that its dictionary is under, such as "model." or "" at the top."""
    groups: dict[str, dict[str, Tensor]] = {}
    for stored in _stored(content):
        groups.setdefault(stored.key, {})[stored.name.removeprefix(stored.key)] = stored.value
    return groups


def choose(content: Mapping[str, Any], name: str, key: str | None = None, prefix: str | None = None) -> Choice:
    """Find the network in a file.

    Args:
        content: What the file holds: tensors and plain values.
        name: The file, for messages.
        key: Key that the tensors are under, "a.b" for one in another; None finds it.
        prefix: What the names of the tensors begin with; None finds it.

    Raises:
        InputError: There is none, there are several and nothing says which, or none is where it was asked for.
    """
    stored = list(_stored(content))
    if not stored:
        present = f"found {', '.join(repr(entry) for entry in list(content)[:5])}" if content else "it is empty"
        raise InputError("no tensors found", where=name, expected=f"a state dict, at any depth; {present}", fix=LEAD)
    candidates = list(_candidates(stored))
    if not candidates:
        raise InputError(
            "these are not Fast-iTPN weights",
            where=name,
            expected=f"tensors such as {_ANCHOR} and blocks.NUMBER.reduction.weight; "
            f"found {', '.join(tensor.name for tensor in stored[:3])}, ...",
            fix=LEAD,
        )
    asked = [c for c in candidates if _matches(c.key, key) and _matches(c.prefix, prefix)]
    if not asked:
        words = " ".join(f"{k}={v}" for k, v in (("key", key), ("prefix", prefix)) if v is not None)
        places = " or ".join(
            _answer(c, key, prefix) or _place(c, candidates) or "neither key nor prefix" for c in candidates
        )
        raise InputError(
            f"the file has no network at {words}", where=name, expected=places, fix=places.split(" or ")[0]
        )
    best = [c for c in asked if not c.is_average] or asked
    best = [c for c in best if not c.prefix and len({other.key for other in best}) == 1] or best
    if len(best) > 1:
        raise InputError(
            f"the file has {len(best)} networks: {', '.join(_place(c, candidates) for c in best)}",
            where=name,
            expected="one of them to be asked for",
            fix=" or ".join(_place(c, candidates) for c in best),
        )
    beside = tuple((_place(c, candidates), c.is_average) for c in candidates if c is not best[0])
    return Choice(taken=best[0], place=_place(best[0], candidates), beside=beside)


def _place(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    """What tells a network from the others in the file: its key, its prefix, or both."""
    keys, prefix = {other.key for other in candidates}, candidate.prefix.removesuffix(".")
    words = [f"key={candidate.key}"] if candidate.key and (len(keys) > 1 or not prefix) else []
    if prefix and (len(keys) < len(candidates) or not words):
        words.append(f"prefix={prefix}")
    return " ".join(words)


def _answer(candidate: Candidate, key: str | None, prefix: str | None) -> str:
    """The right words for the wrong ones that were typed; a key or prefix that was typed and is none is left out."""
    words = [f"key={candidate.key}"] if key is not None and candidate.key else []
    if prefix is not None and candidate.prefix:
        words.append(f"prefix={candidate.prefix.removesuffix('.')}")
    return " ".join(words)


def _matches(place: str, asked: str | None) -> bool:
    return asked is None or place.removesuffix(".") == asked.removesuffix(".")


def _stored(content: Mapping[str, Any]) -> Iterator[_Stored]:
    """Every tensor; each container is looked into once, without recursion, because files can nest them deeply."""
    waiting: deque[tuple[str, Any]] = deque([("", content)])
    seen = {id(content)}
    while waiting:
        path, container = waiting.popleft()
        for entry, value in container.items() if isinstance(container, Mapping) else enumerate(container):
            if isinstance(value, Tensor):
                yield _Stored(f"{path}{entry}", path, value)
            elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
                seen.add(id(value))
                name = path if entry in _OF_MODULES else f"{path}{entry}."
                waiting.append((name, value))


def _candidates(stored: list[_Stored]) -> Iterator[Candidate]:
    for anchor in [tensor for tensor in stored if f".{tensor.name}".endswith(f".{_ANCHOR}")]:
        start = anchor.name.removesuffix(_ANCHOR)
        if anchor.key.startswith(start) and anchor.key != start:  # a dictionary for each layer
            key = f"{start.split('.')[0]}." if start else ""
            beside = [tensor for tensor in stored if tensor.name.startswith(key)]
        else:
            key = anchor.key
            beside = [tensor for tensor in stored if tensor.key == key]
        prefix = start.removeprefix(key)
        inside = {tensor.name.removeprefix(start): tensor.value for tensor in beside if tensor.name.startswith(start)}
        if any(_MERGE.match(name) for name in inside):
            others = {t.name.removeprefix(key): t.value for t in beside if not t.name.startswith(start)}
            yield Candidate(key=key.removesuffix("."), prefix=prefix, tensors=inside, others=others)
