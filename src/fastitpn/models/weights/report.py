"""The verdict on weights that were loaded into a model."""

from collections.abc import Iterable
from dataclasses import dataclass


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
        """Nothing is amiss: every parameter is loaded or starts fresh on purpose, every tensor used or set aside."""
        return not (self.mismatched or self.unexpected or set(self.missing) - set(self.fresh))

    @property
    def verdict(self) -> str:
        """One sentence."""
        parts = [f"{self.num_loaded} of {self.num_tensors} tensors loaded ({100 * self.share:.1f}% of parameters)"]
        reasons: dict[str, int] = {}
        for reason in self.set_aside.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        parts += [f"{count} set aside: {reason}" for reason, count in reasons.items()]
        if self.fresh:
            parts.append(f"{_layers(self.fresh)} {'starts' if len(_layer_names(self.fresh)) == 1 else 'start'} fresh")
        parts += [f"{name} resized {how}" for name, how in self.resized.items()]
        wrong = [name for name in self.missing if name not in self.fresh]
        for title, names in (("MISSING", wrong), ("UNEXPECTED", self.unexpected), ("WRONG SHAPE", self.mismatched)):
            if names:
                parts.append(f"{len(names)} {title}: {_some(names)}")
        return "; ".join([*parts, *self.notes])

    def __str__(self) -> str:
        return self.verdict


def _layer_names(names: list[str]) -> list[str]:
    return list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))


def _layers(names: list[str]) -> str:
    return " and ".join(_layer_names(names))


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
