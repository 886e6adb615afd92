"""Draws what goes into scene i of a data set, from what its split may use."""

from collections.abc import Iterator, Sequence

import numpy as np

from fastitpn.data.scenes.compose import Item, Scene, compose
from fastitpn.data.scenes.sources import Glyph, Pool

_MIN_VISIBLE_RATIO = 0.5


class Studio:
    """Makes the scenes of one form and split; scene i is the same however many are made.

    Args:
        pool: The glyphs and photographs to use.
        px: Shortest and longest side of a scene.
        key: Numbers that differ between data sets, forms and splits.
    """

    def __init__(self, pool: Pool, *, px: tuple[int, int], key: Sequence[int]):
        self.pool, self.px, self.key = pool, px, tuple(key)
        self.glyphs_used: set[str] = set()
        """Names of the glyphs that got into scenes."""
        self.photographs_used: set[str] = set()

    def single(self, labels: Sequence[str], count: int) -> Iterator[tuple[str, Scene]]:
        """Yields `count` scenes of one object, the labels in turn; in a quarter, smaller objects are behind."""
        for index in range(count):
            generator = self._generator(index)
            label = labels[index % len(labels)]
            behind = generator.choice(3, p=(0.75, 0.2, 0.05))
            items = [Item(self._glyph(["other"], generator), generator.uniform(0.15, 0.3)) for _ in range(behind)]
            items.append(Item(self._glyph([label], generator), generator.uniform(0.6, 0.95), spread=0.7))
            yield label, self._compose(items, generator)

    def several(
        self,
        labels: Sequence[str],
        count: int,
        objects: tuple[int, int],
        size_ratios: tuple[float, float] = (0.22, 0.62),
    ) -> Iterator[Scene]:
        """Yields `count` scenes of several objects, of each at least half to be seen.

        Args:
            labels: Classes of the objects, each of which comes equally often.
            count: Number of scenes.
            objects: Fewest and most tried in a scene; those that would hide others are left out.
            size_ratios: Smallest and largest thing, as a share of the scene's shorter side.
        """
        for index in range(count):
            generator = self._generator(index)
            number = generator.integers(*objects, endpoint=True)
            items = [Item(self._glyph(labels, generator), generator.uniform(*size_ratios)) for _ in range(number)]
            yield self._compose(items, generator, _MIN_VISIBLE_RATIO)

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([*self.key, index])

    def _glyph(self, labels: Sequence[str], generator: np.random.Generator) -> Glyph:
        members = self.pool.glyphs[labels[int(generator.integers(len(labels)))]]
        return members[int(generator.integers(len(members)))]

    def _compose(self, items: list[Item], generator: np.random.Generator, min_visible_ratio: float = 0.0) -> Scene:
        photographs = list(self.pool.photographs)
        photograph = photographs[generator.integers(len(photographs))]
        width, height = (int(side) for side in generator.integers(*self.px, size=2, endpoint=True))
        scene = compose(
            self.pool.photographs[photograph],
            items,
            size=(width, height),
            generator=generator,
            min_visible_ratio=min_visible_ratio,
        )
        self.photographs_used.add(photograph)
        self.glyphs_used.update(glyph.name for glyph in scene.glyphs)
        return scene
