"""Features from within stage 3: `encode(images, taps=Taps(...))` returns them beside the stages.

Losses on deep tokens, teachers, pictures and studies all come this way, so that the blocks run in one place.
"""

import dataclasses
from collections.abc import Collection
from typing import NamedTuple

from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.steps import Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taps:
    """Which features are wanted. Blocks are those of stage 3, 1 being the first."""

    blocks: Collection[int] = ()
    """The tokens after each of these blocks; 0: those that go into the first one."""
    attention: Collection[int] = ()
    """What goes into each of these blocks, and who may attend to whom there."""

    def check(self, last: int, first: int = 1) -> None:
        """Raise unless all blocks are among those of stage 3 that are run, `first` to `last`.

        Raises:
            InputError: Names the block and the range.
        """
        for name, numbers, least in (("blocks", self.blocks, first - 1), ("attention", self.attention, first)):
            absent = [number for number in numbers if not least <= number <= last]
            if absent:
                run = "stage 3 has" if first == 1 else f"the run of blocks {first} to {last} has"
                raise InputError(f"{run} no block {absent[0]}", where=f"taps.{name}", expected=f"{least} to {last}")


class AttentionInput(NamedTuple):
    """What a block of stage 3 was given."""

    tokens: Tensor
    """[B, P + N, D] without acceleration, registers in front; else [B, groups, front + n, D], class token or gathering
    tokens in front."""
    mask: Tensor | None
    """Broadcasts to [groups, heads, n, n]: numbers added to the logits, or bools that say who may be attended."""
    num_gathering: int
    """How many of the tokens in front of each group are its gathering tokens."""
    grid: tuple[int, int] | None = None
    """The map that the tokens are, patches per column and per row, whose relative positions the block adds itself; None
    where the mask has them."""


@dataclasses.dataclass
class Features:
    """What was asked for. B images of N patches; P is 1 with a class token, else 0."""

    taps: Taps
    """Which features were asked for."""
    stages: list[Tensor] = dataclasses.field(default_factory=list)
    """Stage 1, 2 and 3, which `encode` returns without taps."""
    blocks: dict[int, Tensor] = dataclasses.field(default_factory=dict)
    """Block to its tokens [B, P + N, D] in raster order; those that have left are put back, as they are at the end."""
    attention: dict[int, AttentionInput] = dataclasses.field(default_factory=dict)
    """Block to its input."""
    windows: Windows | None = None
    """How gathering cut the map: one window without it."""
    steps: dict[int, Step] = dataclasses.field(default_factory=dict)
    """Which tokens migration took out, by the number of blocks that came before."""
    back_before: int | None = None
    """The block before which all tokens are back; None: they were never away."""

    def see_input(
        self,
        block: int,
        tokens: Tensor,
        mask: Tensor | None,
        num_gathering: int = 0,
        grid: tuple[int, int] | None = None,
    ) -> None:
        """Keep the input of a block if it was asked for."""
        if block in self.taps.attention:
            self.attention[block] = AttentionInput(tokens, mask, num_gathering, grid)

    def drop_front(self, count: int) -> None:
        """Leave out so many registers, which stand in front of the tokens after a block; 0 has none yet."""
        self.blocks = {block: tokens[:, count * (block > 0) :] for block, tokens in self.blocks.items()}

    def see_tokens(self, block: int, tokens: Tensor) -> None:
        """Keep the tokens [B, P + N, D] after a block if they were asked for."""
        if block in self.taps.blocks:
            self.blocks[block] = tokens
