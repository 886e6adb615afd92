"""Token migration: redundant tokens leave the trunk early and are put back at its end.

The paper names token migration as one half of the acceleration; the published code has none of it, so what is here is
our own definition. After chosen blocks of stage 3 the most redundant tokens leave. A token that left keeps its value
and its place; no later block sees it. Before the pyramid, and before pooling, all tokens are put back, in the reverse
order of the steps, so that everything behind the trunk gets the complete map. Shapes depend on the map's size alone.

By what they leave (`metric`) are the files of `criteria`: `bipartite`, `mean`, `attention`, `learned`, and `random`,
the control. A destination of `bipartite` stands for the tokens that it was matched with (`weighted`).

What comes back, by `replenish`: see `steps.put_back`. Here are the settings alone, without anything heavy to import.
"""

import dataclasses
import itertools
import math

from fastitpn.errors import InputError
from fastitpn.models.acceleration.criteria.registry import CRITERIA

REPLENISH_FORMS = ("hold", "residual", "mean")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Migration:
    """Which tokens leave stage 3, after which blocks, and what is put back in their places."""

    keep_ratio: float | tuple[float, ...] = 0.5
    """Share of the tokens present that stays at a step, above 0 and up to 1: one number for all steps, or one each."""
    after_blocks: tuple[float | int, ...] = (0.25,)
    """The steps, in order: a fraction of stage 3's blocks (0.25: after a quarter of them), or a number of blocks."""
    replenish: str = "hold"
    """`hold`: the token's own value. `residual`: that plus what its match has gained since. `mean`, a control that puts
    nothing of its own back: the mean of the tokens that stayed."""
    metric: str = "bipartite"
    """`bipartite`, `mean` (cheaper), `attention` (what got little leaves), `learned` (what the task needs least leaves,
    by scores that were trained), `random` (the control), or one of yours."""
    weighted: bool = True
    """A token that stays draws as much attention as all tokens together that it stands for (`bipartite` alone)."""
    last_blocks: int = 0
    """So many blocks at the end see all tokens again: those that left come back before them. 1 is Token Cropr's."""

    def __post_init__(self) -> None:
        for name in ("keep_ratio", "after_blocks"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if _is_number(self.after_blocks):
            object.__setattr__(self, "after_blocks", (self.after_blocks,))
        self._check_steps()
        self._check_ratios()
        for name, words in (("replenish", REPLENISH_FORMS), ("metric", tuple(CRITERIA))):
            value = getattr(self, name)
            if value not in words:
                raise InputError(f"{name}={value!r}", where=f"migration.{name}", expected=f"one of {', '.join(words)}")
        if not isinstance(self.weighted, bool):
            raise _error("weighted", self.weighted, "true or false")
        if not isinstance(self.last_blocks, int) or isinstance(self.last_blocks, bool) or self.last_blocks < 0:
            raise _error("last_blocks", self.last_blocks, "a whole number, 0 or more")

    def _check_steps(self) -> None:
        steps = self.after_blocks
        if not isinstance(steps, tuple) or not steps:
            raise _error("after_blocks", steps, "at least one step, as fractions or numbers of blocks")
        expected = "fractions above 0 and below 1, or whole numbers of blocks from 1 on"
        for step in steps:
            in_range = _is_number(step) and (step >= 1 if isinstance(step, int) else 0 < step < 1)
            if not in_range:
                raise _error("after_blocks", step, expected)

    def _check_ratios(self) -> None:
        ratios = self.keep_ratio if isinstance(self.keep_ratio, tuple) else (self.keep_ratio,)
        if any(not _is_number(ratio) or not 0 < ratio <= 1 for ratio in ratios):
            raise _error("keep_ratio", self.keep_ratio, "numbers above 0 and up to 1")
        if isinstance(self.keep_ratio, tuple) and len(ratios) != len(self.after_blocks):
            raise _error("keep_ratio", self.keep_ratio, f"one number, or {len(self.after_blocks)}: one for each step")

    def steps(self, depth: int) -> dict[int, float]:
        """The steps in a model: after how many blocks, and which share of the tokens stays.

        Args:
            depth: Blocks of stage 3.

        Raises:
            InputError: A step past the last block, or steps that do not follow one another.
        """
        blocks = [
            step if isinstance(step, int) else max(1, math.floor(step * depth + 0.5)) for step in self.after_blocks
        ]
        expected = f"1 to {depth - 1}, or fractions (stage 3 has {depth} blocks; a step comes before the last)"
        if depth < 2 or max(blocks) >= depth:
            raise _error("after_blocks", self.after_blocks, expected)
        if any(second <= first for first, second in itertools.pairwise(blocks)):
            raise _error("after_blocks", self.after_blocks, f"steps that rise; here they are after blocks {blocks}")
        if max(blocks) + self.last_blocks >= depth:
            most = depth - 1 - max(blocks)
            raise _error(
                "last_blocks", self.last_blocks, f"0 to {most} (tokens leave after block {max(blocks)} of {depth})"
            )
        ratios = self.keep_ratio if isinstance(self.keep_ratio, tuple) else (self.keep_ratio,) * len(blocks)
        return dict(zip(blocks, ratios, strict=True))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _error(name: str, value: object, expected: str) -> InputError:
    return InputError(f"{name}={value!r} is out of range", where=f"migration.{name}", expected=expected)
