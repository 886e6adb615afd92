"""The verdict on weights that were loaded into a model."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from fastitpn.models.weights.file import PRETRAINING_ONLY
from fastitpn.models.weights.official_names import BACKBONE

_TRUNK, _PYRAMID, _HEAD, _PRETRAINING = "trunk", "pyramid", "head", "pre-training parts"
_STARTS = {_PYRAMID: ("pyramid.",), _HEAD: ("head.", "fc_norm.")}
_PARTS = (_TRUNK, *_STARTS, _PRETRAINING)


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What became of every tensor of a weights file and of every parameter of the model.

    Attributes:
        loaded: Parameters of the model that were filled from the file.
        missing: Parameters that kept their start value.
        unexpected: Tensors of the file (name in the file) that have no place in the model.
        set_aside: Tensor of the file to the known reason why the model does not need it.
        resized: Parameter to what was adapted, such as "14x14 -> 24x24 (bicubic)".
        mismatched: Tensor of the file to "shape in the file, shape in the model".
        fresh: The part of `missing` that belongs to a new task (head) and starts fresh on purpose.
        num_tensors: Tensors in the file.
        num_loaded: How many of these tensors were used.
        share: Share of the file's parameters (elements) that was loaded, in [0, 1].
        notes: What else there is to say about the file, each a sentence.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    set_aside: dict[str, str]
    resized: dict[str, str]
    mismatched: dict[str, str]
    fresh: list[str]
    num_tensors: int
    num_loaded: int
    share: float
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every parameter is loaded or randomly initialised on purpose, and every tensor used or not needed."""
        return not (self.mismatched or self.unexpected or set(self.missing) - set(self.fresh))

    @property
    def verdict(self) -> str:
        """One sentence: what is wrong, what was loaded and what is new, and then the counts."""
        wrong = [name for name in self.missing if name not in self.fresh]
        named = (("MISSING", wrong), ("UNEXPECTED", self.unexpected), ("WRONG SHAPE", self.mismatched))
        parts = [f"{len(names)} {title}: {_some(names)}" for title, names in named if names]
        if self.mismatched:
            parts += [f"{name} has {how}" for name, how in [*self.mismatched.items()][:1]]
        parts += self._loaded()
        parts += self._new()
        count = "all" if self.num_loaded == self.num_tensors else f"{self.num_loaded}"
        parts.append(f"{count} of the file's {self.num_tensors} tensors ({100 * self.share:.1f}% of its parameters)")
        parts += [f"{count} not needed here: {reason}" for reason, count in Counter(self.set_aside.values()).items()]
        parts += self._resized()
        return "; ".join([*parts, *self.notes])

    def _loaded(self) -> Iterator[str]:
        """How much of each part of the model was loaded, those that were loaded whole together."""
        loaded, missing, fresh = (Counter(map(self._part, names)) for names in (self.loaded, self.missing, self.fresh))
        wrong = missing - fresh
        has_head = any(self._is_head(name) for name in (*self.loaded, *self.missing))
        titles = {part: "last norm" if part == _HEAD and not has_head else part for part in _PARTS}
        whole = [part for part in _PARTS if loaded[part] and not (missing if part == _HEAD else wrong)[part]]
        if whole:
            count = f"{'' if any(missing[part] for part in whole) else 'all '}{sum(loaded[part] for part in whole)}"
            *first, last = (f"the {titles[part]}" for part in whole)
            yield f"{count} tensors of {' and '.join([', '.join(first), last] if first else [last])} loaded"
        for part in _PARTS:
            if loaded[part] and (wrong[part] or (part == _HEAD and self._has_backbone and missing[part])):
                yield f"{loaded[part]} of {loaded[part] + missing[part]} tensors of the {titles[part]} loaded"

    def _new(self) -> Iterator[str]:
        """What starts fresh: the head in words, other parameters by name."""
        head = [name for name in self.fresh if self._part(name) == _HEAD]
        if self._has_backbone and any(self._part(name) == _HEAD for name in self.loaded):
            head = []  # only some of it starts fresh
        if head:
            yield "the head is new" if any(map(self._is_head, head)) else "the head's norm is new"
        if any(self._part(name) == _PYRAMID for name in self.fresh):
            yield "the pyramid is new"
        rest = [name for name in self.fresh if name not in head and self._part(name) != _PYRAMID]
        others = [name.removeprefix(BACKBONE) for name in rest]
        if others:
            yield f"{_some(others)} randomly initialised"

    def _resized(self) -> Iterator[str]:
        """What was adapted, all that was adapted in the same way together."""
        for how, count in Counter(self.resized.values()).items():
            first = next(name for name in self.resized if self.resized[name] == how)
            yield f"{first}{f' and {count - 1} more' if count > 1 else ''} resized {how}"

    def _part(self, name: str) -> str:
        """The part of the model that a parameter is in; in a detector all beside the backbone is its head."""
        bare = name.removeprefix(BACKBONE)
        if bare.startswith(PRETRAINING_ONLY):
            return _PRETRAINING
        if bare == name and self._has_backbone:
            return _HEAD
        return next((part for part, start in _STARTS.items() if bare.startswith(start)), _TRUNK)

    @cached_property
    def _has_backbone(self) -> bool:
        """Whether it is a network with a backbone and a head, and not one for pre-training."""
        names = [*self.loaded, *self.missing]
        learns = any(name.startswith(PRETRAINING_ONLY) for name in names)
        return not learns and any(name.startswith(BACKBONE) for name in names)

    def _is_head(self, name: str) -> bool:
        return self._part(name) == _HEAD and not name.removeprefix(BACKBONE).startswith("fc_norm.")

    def __str__(self) -> str:
        return self.verdict


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
