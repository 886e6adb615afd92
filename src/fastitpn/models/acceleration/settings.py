"""The acceleration of stage 3: token migration and token gathering, by name or in detail.

Neither needs parameters, so any weights run with any acceleration: a model can be trained with one and used with
another. The exceptions are asked for: `Migration(metric="learned")` needs scorers that were trained with the model, and
`Gathering(tokens="learned")` adds to its tokens what the model learnt of them, which at first is nothing.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Literal

from fastitpn.errors import InputError
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.gathering import Gathering, Windows
from fastitpn.models.acceleration.migration import Migration


@dataclasses.dataclass(frozen=True, kw_only=True)
class Acceleration:
    """What makes stage 3 faster."""

    name: str = "custom"
    """A preset's, or one of your own."""
    migration: Migration | None = None
    """Tokens that leave early; None: all stay."""
    gathering: Gathering | None = None
    """Attention in windows; None: all of it is global."""

    def __post_init__(self) -> None:
        for key, kind in (("name", str), ("migration", Migration), ("gathering", Gathering)):
            value = getattr(self, key)
            if not (isinstance(value, kind) or (value is None and key != "name")):
                raise InputError(
                    f"{key}={value!r}", where=f"acceleration.{key}", expected=f"a {kind.__name__}, or its fields"
                )

    @property
    def off(self) -> bool:
        """Whether this is the plain model."""
        return self.migration is None and self.gathering is None

    @property
    def num_scorers(self) -> int:
        """Scorers that the model must have: one for each step whose criterion needs them, else 0."""
        migration = self.migration
        return 0 if migration is None or not CRITERIA[migration.metric].needs_scorer else len(migration.after_blocks)

    @property
    def num_learned_tokens(self) -> int:
        """Gathering tokens of a window that the model must have learnt, else 0."""
        gathering = self.gathering
        return 0 if gathering is None or gathering.tokens != "learned" else gathering.tokens_per_window

    def learns_tokens(self, grid: tuple[int, int]) -> bool:
        """Whether gathering tokens can be learnt on maps of this size: one that is a single window has none."""
        gathering = self.gathering
        if gathering is None or not self.num_learned_tokens:
            return False
        return Windows.cut(*grid, gathering.window).num_windows > 1

    def with_parts(self, criterion: str | None = None, gathering_tokens: str | None = None) -> "Acceleration":
        """The same with another criterion or form of gathering tokens; None leaves them as they are.

        With a criterion that has scorers, tokens come back as they were before the last block, as its paper has it.

        Raises:
            InputError: There is no such part.
        """
        changed: dict[str, Any] = {}
        for key, word, part in (
            ("criterion", criterion, "migration"),
            ("gathering_tokens", gathering_tokens, "gathering"),
        ):
            if word is not None and getattr(self, part) is None:
                raise InputError(
                    f"{key}={word}: the acceleration {self.name} has no {part}",
                    where=key,
                    expected="an acceleration that has one",
                    fix=f"acceleration=balanced {key}={word}",
                )
        if self.migration is not None and criterion is not None:
            scored = criterion in CRITERIA and CRITERIA[criterion].needs_scorer
            as_published: dict[str, Any] = {"last_blocks": 1, "replenish": "hold"} if scored else {}
            changed["migration"] = dataclasses.replace(self.migration, metric=criterion, **as_published)
        if self.gathering is not None and gathering_tokens is not None:
            changed["gathering"] = dataclasses.replace(self.gathering, tokens=gathering_tokens)
        new = dataclasses.replace(self, **changed)
        words = (word for word in (criterion, gathering_tokens) if word is not None)
        return self if new == self else dataclasses.replace(new, name=" ".join((self.name, *words)))

    def within(self, depth: int, grid: tuple[int, int]) -> "Acceleration":
        """One that does the same on maps of this size, and that `check` takes without knowing its name.

        Args:
            depth: Blocks of stage 3.
            grid: Patches per column and per row.
        """
        gathering = self.gathering
        if gathering is None or self.name in PRESETS:
            return self
        blocks, window = min(gathering.global_blocks, depth), min(gathering.window, max(grid))
        return dataclasses.replace(self, gathering=dataclasses.replace(gathering, global_blocks=blocks, window=window))

    def check(self, depth: int, grid: tuple[int, int], *, class_token: bool, relative_position: bool) -> None:
        """Raise unless this fits a model.

        Args:
            depth: Blocks of stage 3.
            grid: The model's native map, patches per column and per row. Presets, and what was tuned at another size,
                may have a larger window (the map is one window then) and more global blocks than there are.
            class_token: Whether the model has a class token. It never leaves, and it cannot be in a window.
            relative_position: Whether it has relative position biases that are tied to the complete map. Those of
                iTPN and HiViT, a number a head and offset, are not.

        Raises:
            InputError: Names the key and its range.
        """
        if self.off:
            return
        if relative_position:
            raise InputError(
                "a model with relative positions cannot be accelerated: these are tied to the complete map",
                where="acceleration",
                expected="off",
            )
        if self.gathering is not None:
            if class_token:
                raise InputError(
                    "gathering in a model with a class token: windows have no place for it",
                    where="acceleration.gathering",
                    expected="a model without class token, or only migration",
                    fix="migration=Migration(...), without gathering",
                )
            if self.name.partition(" ")[0] not in (*PRESETS, TUNED):
                self.gathering.check(depth, grid)
        if self.migration is not None:
            self.migration.steps(depth)
            CRITERIA[self.migration.metric]  # imported here, where nothing is traced

    def to_dict(self) -> dict[str, Any]:
        """Plain types alone, for checkpoints; `from_dict` reads them."""
        fields = dataclasses.asdict(self)
        for part in ("migration", "gathering"):
            if fields[part] is not None:
                kept = {k: v for k, v in fields[part].items() if (k, v) not in _LEFT_OUT}
                fields[part] = {k: list(v) if isinstance(v, tuple) else v for k, v in kept.items()}
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Acceleration":
        """The inverse of `to_dict`; what is left out has its default.

        Raises:
            InputError: Unknown keys, or values out of range.
        """
        parts: dict[str, Any] = dict(fields)
        _check_keys(cls, parts, "acceleration")
        for key, kind in (("migration", Migration), ("gathering", Gathering)):
            value = parts.get(key)
            if isinstance(value, Mapping):
                _check_keys(kind, value, f"acceleration.{key}")
                parts[key] = kind(**value)
        return cls(**parts)

    def describe(self) -> str:
        """One short line for people."""
        if self.off:
            return "off"
        parts = []
        if self.migration is not None:
            m = self.migration
            ratios = m.keep_ratio if isinstance(m.keep_ratio, tuple) else (m.keep_ratio,)
            share = ", ".join(f"{ratio:.0%}" for ratio in ratios)
            steps = [
                f"{step:.3g} of stage 3" if isinstance(step, float) else f"block {step}" for step in m.after_blocks
            ]
            parts.append(f"{share} of the tokens stay after {', '.join(steps)} ({m.metric}, {m.replenish})")
            if m.last_blocks:
                parts[-1] += f", and all come back before the last {m.last_blocks}"
        if self.gathering is not None:
            g = self.gathering
            parts.append(
                f"windows of {g.window} with {g.tokens_per_window} {'learned ' if g.tokens == 'learned' else ''}"
                f"gathering tokens, {g.global_blocks} global blocks"
            )
        return f"{self.name}: {'; '.join(parts)}"


_LEFT_OUT = (("last_blocks", 0), ("tokens", "mean"))
"""What `to_dict` does not say, so that earlier versions read what is as they know it."""
TUNED = "tuned"
"""Name of what `fastitpn accelerate` chose for a model, which the checkpoint holds."""
AccelerationName = Literal["off", "balanced", "fast", "tuned"]
"""The names of `PRESETS`, and `TUNED`, for the choices of a command."""
PRESETS: dict[str, Acceleration] = {
    preset.name: preset
    for preset in (
        Acceleration(name="off"),
        Acceleration(
            name="balanced", migration=Migration(keep_ratio=0.4, replenish="residual"), gathering=Gathering(window=16)
        ),
        Acceleration(
            name="fast", migration=Migration(keep_ratio=0.3, replenish="residual"), gathering=Gathering(window=16)
        ),
    )
}
"""Accelerations by name. Windows of 16 leave maps up to 256 px attended globally, as the models are pre-trained."""


def resolve_acceleration(value: str | Mapping[str, Any] | Acceleration | None) -> Acceleration:
    """An acceleration from a preset's name, from `Acceleration.to_dict`'s output, or as it is; None is "off".

    Raises:
        InputError: Unknown name, or anything else.
    """
    if value is None:
        return PRESETS["off"]
    if isinstance(value, Acceleration):
        return value
    if isinstance(value, Mapping):
        return Acceleration.from_dict(value)
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    nearest = difflib.get_close_matches(str(value), PRESETS, n=1)
    raise InputError(
        f"no acceleration is named {value!r}",
        where="acceleration",
        expected=f"one of {', '.join(PRESETS)}, or an Acceleration",
        fix=f"acceleration={nearest[0]}" if nearest else None,
    )


def _check_keys(kind: type, fields: Mapping[str, Any], where: str) -> None:
    names = [field.name for field in dataclasses.fields(kind)]
    for key in fields:
        if key not in names:
            nearest = difflib.get_close_matches(str(key), names, n=1)
            raise InputError(
                f"unknown key {key!r}",
                where=where,
                expected=", ".join(names),
                fix=f"{nearest[0]}: ..." if nearest else None,
            )
