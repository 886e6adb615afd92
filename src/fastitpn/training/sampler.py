"""Which samples each step sees: a function of (seed, step), so that any step can be the first one."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from torch.utils.data import Sampler

from fastitpn.errors import InputError

GROUPS_AT_ONCE = 16
"""Shards that are read at the same time."""


class StepSampler(Sampler[list[tuple[int, ...]]]):
    """Batch sampler over an endless stream of shuffled epochs; yields lists of (epoch, index).

    Position `p` of the stream holds the sample `permutation(seed, p // n)[p % n]` of epoch `p // n`. Step `s` takes the
    positions from `s * global_batch` on, where `global_batch = batch * accumulate * world_size`. Each process takes
    its contiguous share of them, cut in `accumulate` micro-batches, so 1 process x 16 samples, 2 x 8 and 1 x 8 with 2
    micro-batches all learn from the same samples in a step.

    Args:
        num_samples: `n`, the size of the data set. It may be smaller than a batch, which then spans epochs.
        batch: Samples of one micro-batch of one process.
        steps: Optimiser steps of the whole run.
        seed: Seed of the order, not negative.
        start_step: First step to yield, for resuming.
        rank: Number of this process in the run, from 0.
        world_size: Number of processes.
        accumulate: Micro-batches a step.
        group_sizes: Numbers of samples that lie together, in their order, such as in a shard. An epoch then goes
            through the groups in random order, `GROUPS_AT_ONCE` at a time, and shuffles the samples of those.
        num_sizes: Sizes of the images in a mix: each step has one, and keys are (epoch, index, place of the size).
        kinds: Number of the kind of each sample, such as its orientation. Samples that follow each other then change
            places so that micro-batches are of one kind, but for a few at the ends of an epoch; what a step learns from
            depends on `batch`.

    Raises:
        InputError: There are no samples.
    """

    def __init__(
        self,
        num_samples: int,
        batch: int,
        steps: int,
        seed: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
        *,
        accumulate: int = 1,
        group_sizes: Sequence[int] | None = None,
        kinds: Sequence[int] | None = None,
        num_sizes: int = 1,
    ):
        if num_samples < 1:
            raise InputError("the data set has no samples to train on", expected="at least one", fix="data=FOLDER")
        self.num_samples = num_samples
        self.batch = batch
        self.steps = steps
        self.seed = seed
        self.start_step = start_step
        self.rank = rank
        self.accumulate = accumulate
        self.global_batch = batch * accumulate * world_size
        self._groups = None if group_sizes is None else np.split(np.arange(num_samples), np.cumsum(group_sizes)[:-1])
        self._num_sizes = num_sizes
        self._kinds = None if kinds is None else np.asarray(kinds)
        self._epoch = -1
        self._permutation = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Micro-batches that are left."""
        return max(0, self.steps - self.start_step) * self.accumulate

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        for step in range(self.start_step, self.steps):
            size = (self.size_at(step),) if self._num_sizes > 1 else ()
            first = step * self.global_batch + self.rank * self.batch * self.accumulate
            for start in range(first, first + self.batch * self.accumulate, self.batch):
                yield [(*self._key(position), *size) for position in range(start, start + self.batch)]

    def size_at(self, step: int) -> int:
        """Place of the size that a step has in a mix; all processes and micro-batches have the same."""
        return int(np.random.default_rng((self.seed, step, self._num_sizes)).integers(self._num_sizes))

    def epoch_at(self, step: int) -> float:
        """Passes over the data that are done when `step` steps are."""
        return step * self.global_batch / self.num_samples

    def _key(self, position: int) -> tuple[int, int]:
        epoch, place = divmod(position, self.num_samples)
        if epoch != self._epoch:  # positions only grow, so one permutation at a time is enough
            self._epoch = epoch
            self._permutation = self._by_kind(self._order(np.random.default_rng((self.seed, epoch))), epoch)
        return epoch, int(self._permutation[place])

    def _order(self, rng: np.random.Generator) -> np.ndarray:
        if self._groups is None or len(self._groups) <= GROUPS_AT_ONCE:
            return rng.permutation(self.num_samples)
        order = rng.permutation(len(self._groups))
        windows = (order[start : start + GROUPS_AT_ONCE] for start in range(0, len(order), GROUPS_AT_ONCE))
        return np.concatenate(
            [rng.permutation(np.concatenate([self._groups[i] for i in window])) for window in windows]
        )

    def _by_kind(self, order: np.ndarray, epoch: int) -> np.ndarray:
        """The samples in micro-batches of one kind: each appears where the last of its samples was."""
        if self._kinds is None:
            return order
        begun = -epoch * self.num_samples % self.batch  # places of a micro-batch that the epoch before has begun
        result: list[int] = list(order[:begun])
        waiting: dict[int, list[int]] = {kind: [] for kind in np.unique(self._kinds)}
        for index in order[begun:]:
            queue = waiting[self._kinds[index]]
            queue.append(index)
            if len(queue) == self.batch:
                result += queue
                queue.clear()
        return np.array([*result, *chain.from_iterable(waiting.values())])
