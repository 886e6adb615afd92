"""The settings that are tried: how many tokens stay, after which blocks, chosen by which metric, in which windows."""

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

from fastitpn.errors import InputError
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, TUNED, Acceleration

KEEP_RATIOS = (0.8, 0.65, 0.5, 0.4, 0.3, 0.2)
FIRST_STEPS = (0.1, 0.25, 0.4, 0.55, 0.7)
"""Shares of the blocks of stage 3 after which tokens leave; a second step is half-way from there to the end."""
WINDOWS = (8, 12, 16)
"""Longest sides in patches; only those smaller than the map matter."""
GLOBAL_BLOCKS = (2, 4, 6)
NOT_TRIED = ("random",)
"""Metrics that are no candidates: a control."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """A point of the space; neighbours differ in one of its numbers by one place in its list."""

    keep: float | None
    """Share of the tokens that stay at each step; None: all stay."""
    first: float
    two_steps: bool
    metric: str
    replenish: str
    window: int | None
    global_blocks: int

    @property
    def is_usual(self) -> bool:
        """Whether it has what matters least as the presets have it; the neighbours of good ones vary that later."""
        return (self.replenish, self.global_blocks) == ("residual", 4)

    def acceleration(self) -> Acceleration:
        """As a model takes it."""
        migration = gathering = None
        if self.keep is not None:
            steps = (self.first, round(self.first + (1 - self.first) / 2, 3)) if self.two_steps else (self.first,)
            last = int(CRITERIA[self.metric].needs_scorer)  # as such scores are trained
            migration = Migration(
                keep_ratio=self.keep,
                after_blocks=steps,
                metric=self.metric,
                replenish=self.replenish,
                last_blocks=last,
            )
        if self.window is not None:
            gathering = Gathering(window=self.window, global_blocks=self.global_blocks)
        return Acceleration(name=TUNED, migration=migration, gathering=gathering)


class Space:
    """The settings that a model takes at a size.

    Args:
        grid: Patches per column and per row of the map that images have.
        depth: Blocks of stage 3: settings that are the same there are one.
        metrics: By which tokens can be chosen.
        fits: Raises `InputError` where a model does not take an acceleration.
        seed: Decides the order.
        more: What must be tried too, such as the acceleration of the training.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        depth: int,
        metrics: Iterable[str],
        fits: Callable[[Acceleration], object],
        *,
        seed: int,
        more: Sequence[Acceleration] = (),
    ):
        self.axes: dict[str, tuple[object, ...]] = {
            "keep": (None, *KEEP_RATIOS),
            "first": FIRST_STEPS,
            "two_steps": (False, True),
            "metric": tuple(name for name in metrics if name not in NOT_TRIED),
            "replenish": ("residual", "hold"),
            "window": (None, *(window for window in WINDOWS if window < max(grid))),
            "global_blocks": GLOBAL_BLOCKS,
        }
        self._fits, self._random, self._depth = fits, random.Random(seed), depth
        self._by_acceleration: dict[Acceleration, Setting] = {}
        self._same: dict[object, Acceleration] = {}
        for values in itertools.product(*self.axes.values()):
            setting = Setting(**dict(zip(self.axes, values, strict=True)))  # type: ignore[arg-type]
            acceleration = setting.acceleration()
            if not acceleration.off and self._takes(acceleration):
                first = self._same.setdefault(_in_blocks(acceleration, depth), acceleration)
                self._by_acceleration.setdefault(first, setting)
        settings = list(self._by_acceleration)
        self._random.shuffle(settings)
        settings.sort(key=lambda acceleration: not self._by_acceleration[acceleration].is_usual)
        named = [dataclasses.replace(given, name=TUNED) for given in (*more, *PRESETS.values()) if not given.off]
        named = [self._same.get(_in_blocks(given, depth), given) for given in filter(self._takes, named)]
        self.settings = list(dict.fromkeys([*named, *settings]))
        """All: those with a name, then the usual ones, then the rest, each in an order that the seed decides."""

    def _takes(self, acceleration: Acceleration) -> bool:
        try:
            _in_blocks(acceleration, self._depth)
            self._fits(acceleration)
        except InputError:
            return False
        return True

    def neighbours(self, acceleration: Acceleration) -> list[Acceleration]:
        """Those that differ from one of them in one number; of a setting with a name none are known."""
        setting = self._by_acceleration.get(acceleration)
        if setting is None:
            return []
        near: dict[Acceleration, None] = {}
        for axis, values in self.axes.items():
            place = values.index(getattr(setting, axis))
            for other in values[max(0, place - 1) : place + 2]:
                changed = dataclasses.replace(setting, **{axis: other}).acceleration()  # type: ignore[arg-type]
                takes = not changed.off and self._takes(changed)
                same = self._same.get(_in_blocks(changed, self._depth)) if takes else None
                if same is not None and same != acceleration:
                    near[same] = None
        return list(near)


def _in_blocks(setting: Acceleration, depth: int) -> object:
    """What tells settings apart in a model: after which of its blocks tokens leave, and which blocks are global."""
    migration, gathering = setting.migration, setting.gathering
    return (
        None
        if migration is None
        else (
            *migration.steps(depth).items(),
            migration.metric,
            migration.replenish,
            migration.weighted,
            migration.last_blocks,
        ),
        None
        if gathering is None
        else (*gathering.runs(depth), gathering.window, gathering.tokens_per_window, gathering.tokens),
    )
