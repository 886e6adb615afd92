"""Several teachers at once: each supervises its levels of the pyramid, on one footing with the others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.pretraining.predictions import SUMMARY, of_teacher
from fastitpn.pretraining.teachers.balance import BALANCES, Balance
from fastitpn.pretraining.teachers.base import IMAGE, Teacher
from fastitpn.pretraining.teachers.registry import TEACHERS

FEATURES = "features"
FEATURES_OF_AN_IMAGE = 64
"""So many, about, of each image are looked at for the statistics, spread evenly."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One of several teachers.

    Attributes:
        teacher: It.
        levels: Names of the predictions that it supervises, see `predictions.CELLS`.
        summary: Whether it supervises a prediction of its pooled output too.
        balance: One of `BALANCES`, or "off" for targets that are layer-normalised, as with one teacher.
        weight: Of the mean over its levels.
        summary_weight: Weight of the loss of its summary.
        loss: See `feature_loss`.
    """

    teacher: Teacher
    levels: tuple[str, ...] = ("merged",)
    summary: bool = False
    balance: str = "scale"
    weight: float = 1.0
    summary_weight: float = 0.0
    loss: str = "cosine"

    @property
    def balanced(self) -> bool:
        """Whether its targets are balanced by statistics: those of a moving average change, and are not."""
        return self.balance in BALANCES and self.teacher.fixed


class SeveralTeachers(Teacher):
    """Gives the targets of each; predictions are named `teacher1_merged`, `teacher2_stride8`, `teacher2_summary`.

    Args:
        members: The teachers; those with the same size and normalisation share their view of an image.
    """

    def __init__(self, members: Sequence[Member]):
        super().__init__()
        self.members = tuple(members)
        self.teachers = nn.ModuleList(member.teacher for member in members)
        self.balances = nn.ModuleDict()
        for number, member in enumerate(members, 1):
            if member.balanced:
                balances = {FEATURES: Balance(member.teacher.dim, member.balance)}
                if member.summary:
                    balances[SUMMARY] = Balance(cast(int, member.teacher.summary_dim), member.balance)
                self.balances[str(number)] = nn.ModuleDict(balances)
        first = members[0].teacher
        self.dim, self.px, self.mean, self.std = first.dim, first.px, first.mean, first.std
        self.fixed = all(member.teacher.fixed for member in members)

    def described(self, name: str) -> str:
        """What each supervises."""
        parts = []
        for number, (typed, member) in enumerate(zip(TEACHERS.apart(name), self.members, strict=True), 1):
            levels = [*member.levels, *([SUMMARY] if member.summary else [])]
            parts.append(f"teacher{number} {typed} of width {member.teacher.dim} for {' and '.join(levels)}")
        return ", ".join(parts)

    def predictions(self) -> list[dict[str, Any]]:
        """For the student: the widths of each teacher's targets by the name of their level."""
        return [
            {level: member.teacher.dim_of(level) for level in member.levels}
            | ({SUMMARY: member.teacher.summary_dim} if member.summary else {})
            for member in self.members
        ]

    def weights(self) -> dict[str, float]:
        """Weight of each loss by the name of its prediction."""
        result: dict[str, float] = {}
        for number, member in enumerate(self.members, 1):
            result |= {of_teacher(number, level): member.weight / len(member.levels) for level in member.levels}
            if member.summary:
                result[of_teacher(number, SUMMARY)] = member.summary_weight
        return result

    def losses(self) -> dict[str, str]:
        """How each prediction is compared, by its name."""
        return {
            of_teacher(number, level): member.loss
            for number, member in enumerate(self.members, 1)
            for level in (*member.levels, SUMMARY)
        }

    def views(self) -> list[tuple[str, Teacher]]:
        """The views of an image that are needed: the key in a batch, and a teacher that it is for."""
        result: list[tuple[str, Teacher]] = []
        for member in self.members:
            if all(not _sees_the_same(member.teacher, other) for _, other in result):
                result.append((IMAGE if not result else f"{IMAGE}_{len(result) + 1}", member.teacher))
        return result

    @torch.no_grad()
    def targets_of(self, batch: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """Targets of each prediction; each teacher runs once.

        Args:
            batch: Has the views, [B, 3, px, px], or features that were stored.
            names: Names of the predictions.

        Returns:
            [B, N, cells, dim] in float32 for each name, [B, 1, 1, dim] for a summary.
        """
        result = {}
        for number, member in enumerate(self.members, 1):
            images = batch[self._key(member.teacher)]
            for level, target in self._targets_of_member(number, member, images).items():
                result[of_teacher(number, level)] = target
            if member.teacher.rank is not None:
                self.rank = member.teacher.rank
        return {name: result[name] for name in names}

    def _targets_of_member(self, number: int, member: Member, images: Tensor) -> dict[str, Tensor]:
        teacher = member.teacher
        if not member.balanced:
            result = teacher.targets(images, member.levels)
            if member.summary:
                summary = teacher.features_and_summary(images)[1].float()
                result[SUMMARY] = F.layer_norm(summary, summary.shape[-1:])[:, None, None]
            return result
        balances = cast(nn.ModuleDict, self.balances[str(number)])
        if not member.summary:
            features = teacher.features(images)
        else:
            features, pooled = teacher.features_and_summary(images)
        result = teacher.resample(balances[FEATURES](teacher.prepare(features.float())), member.levels)
        return result | ({SUMMARY: balances[SUMMARY](pooled.float())[:, None, None]} if member.summary else {})

    @property
    def settled(self) -> bool:
        """Whether the statistics of all are known."""
        return all(bool(module.known) for module in self.balances.modules() if isinstance(module, Balance))

    @torch.no_grad()
    def settle(self, batches: Callable[[], Iterable[Mapping[str, Tensor]]]) -> None:
        """Find the statistics.

        Args:
            batches: Gives the batches of the sample, on the teachers' device; called once for each teacher.
        """
        for number, member in enumerate(self.members, 1):
            if not member.balanced:
                continue
            balances = cast(nn.ModuleDict, self.balances[str(number)])
            sums = {name: _Sums() for name in balances}
            for batch in batches():
                images = batch[self._key(member.teacher)]
                if SUMMARY in sums:
                    features, summary = member.teacher.features_and_summary(images)
                    sums[SUMMARY].add(summary)
                else:
                    features = member.teacher.features(images)
                step = -(-features.shape[1] // FEATURES_OF_AN_IMAGE) | 1  # odd: not always the same columns of a map
                sums[FEATURES].add(member.teacher.prepare(features.float())[:, ::step].flatten(0, 1))
            for name, balance in balances.items():
                cast(Balance, balance).settle(*sums[name].values())

    def begin(self, student: nn.Module) -> None:
        """Tells each."""
        for member in self.members:
            member.teacher.begin(student)

    def follow(self, student: nn.Module, progress: float) -> None:
        """Tells each."""
        for member in self.members:
            member.teacher.follow(student, progress)

    def kept_state(self) -> dict[str, Any]:
        """The statistics, and the state of each that changes."""
        state = {f"balances.{name}": value for name, value in self.balances.state_dict().items()}
        for place, member in enumerate(self.members):
            state |= {f"teachers.{place}.{name}": value for name, value in member.teacher.kept_state().items()}
        return state

    def load_kept_state(self, state: Mapping[str, Any]) -> None:
        """Take them again.

        Raises:
            InputError: They are of other teachers.
        """
        current = self.state_dict()
        wanted = set(self.kept_state())
        if wanted != set(state) or any(current[name].shape != state[name].shape for name in wanted):
            raise InputError(
                "the checkpoint has statistics of other teachers",
                where="teacher",
                expected="those of the teachers that this run was begun with",
                fix="the same teacher=, or out=ANOTHER_FOLDER",
            )
        self.load_state_dict({**current, **state})

    def _key(self, teacher: Teacher) -> str:
        return next(key for key, other in self.views() if _sees_the_same(teacher, other))


class _Sums:
    """Sums over vectors [n, D] that come in parts, in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self.total = self.products = torch.zeros(())

    def add(self, vectors: Tensor) -> None:
        double = vectors.double()
        self.count += len(double)
        self.total = self.total.to(double) + double.sum(0)
        self.products = self.products.to(double) + double.T @ double

    def values(self) -> tuple[int, Tensor, Tensor]:
        return self.count, self.total, self.products


def _sees_the_same(one: Teacher, other: Teacher) -> bool:
    return one is other or (one.folder is None and other.folder is None and _view_of(one) == _view_of(other))


def _view_of(teacher: Teacher) -> tuple[Any, ...]:
    return teacher.px, teacher.mean, teacher.std, teacher.sees_student
