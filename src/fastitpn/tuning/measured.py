"""What was measured of each setting so far: kept in a file, so that the same command goes on where it stopped."""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.json_text import from_json
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.tuning.loss import Loss
from fastitpn.tuning.speed import Speed

STATE = "accelerate.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A setting with what is known of it."""

    setting: Acceleration
    speed: Speed | None = None
    """None before it was measured, and for one that cannot run in the runtime."""
    loss: Loss | None = None
    """On the most images so far."""
    final: bool = False
    """Whether its speed was measured at the end, beside the other best ones, for long and in the runtime."""
    trained: bool = False
    """Whether its loss is that of weights that were trained with it."""

    def measured_on(self, images: int) -> bool:
        """Whether its loss is known from so many images."""
        return self.loss is not None and self.loss.images >= images

    @property
    def ratio(self) -> float:
        """Speed over the plain model's; 0 where it is not known."""
        return 0.0 if self.speed is None else self.speed.ratio

    @property
    def points(self) -> float:
        """What it loses; infinite where that is not known."""
        return math.inf if self.loss is None else self.loss.points

    @property
    def known(self) -> tuple[Speed, Loss]:
        """Speed and loss of a setting of which both were measured."""
        assert self.speed is not None
        assert self.loss is not None
        return self.speed, self.loss

    def dominates(self, other: "Row") -> bool:
        """Whether it is at least as fast and loses no more, and is not equal."""
        mine, its = (self.ratio, -self.points), (other.ratio, -other.points)
        return mine != its and mine[0] >= its[0] and mine[1] >= its[1]


def pareto(rows: Iterable[Row]) -> list[Row]:
    """Those that no other one dominates, the slowest first."""
    rows = list(rows)
    front = [row for row in rows if not any(other.dominates(row) for other in rows)]
    return sorted(front, key=lambda row: row.ratio)


class Measured:
    """Rows by setting, in a file.

    Args:
        path: The file; None keeps them in memory.
        of: What they are measurements of: other values, other measurements. Plain types.

    Attributes:
        seconds: How long it took so far.

    Raises:
        InputError: The file has measurements of something else.
    """

    def __init__(self, path: Path | None, of: Mapping[str, Any]):
        self._path, self._of = path, json.loads(json.dumps(of))
        self._rows: dict[Acceleration, Row] = {}
        self.seconds = 0.0
        if path is not None and path.is_file():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            content = from_json(path.read_text(encoding="utf-8"))
            rows = [_row(fields) for fields in content["rows"]]
            before, self.seconds = content["of"], float(content["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"the measurements of an earlier command cannot be read: {type(error).__name__}: {error}",
                where=path,
                expected="what fastitpn accelerate writes",
                fix="delete the file, or out=ANOTHER",
            ) from error
        if changed := [name for name in {*before, *self._of} if before.get(name) != self._of.get(name)]:
            raise InputError(
                f"this folder has measurements of something else: {', '.join(sorted(changed))} changed",
                where=path,
                expected="the same model, images and machine, to go on with them",
                fix="out=ANOTHER",
            )
        self._rows = {row.setting: row for row in rows}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def __getitem__(self, setting: Acceleration) -> Row:
        """What is known of a setting."""
        return self._rows.get(setting, Row(setting=setting))

    def keep(self, setting: Acceleration, **changes: Any) -> Row:
        """Note what was measured, and write it down."""
        row = self._rows[setting] = dataclasses.replace(self[setting], **changes)
        self.write()
        return row

    def write(self, **more: Any) -> None:
        """Write all of it.

        Args:
            **more: What else to say, such as which setting was chosen; plain types.
        """
        if self._path is not None:
            rows = [{**dataclasses.asdict(row), "setting": row.setting.to_dict()} for row in self]
            content = {"of": self._of, "seconds": round(self.seconds, 1), **more, "rows": rows}
            write_text(self._path, json.dumps(content, indent=1) + "\n")


def _row(fields: Mapping[str, Any]) -> Row:
    speed, loss = fields["speed"], fields["loss"]
    return Row(
        setting=Acceleration.from_dict(fields["setting"]),
        speed=None if speed is None else Speed(**speed),
        loss=None if loss is None else Loss(**loss),
        final=bool(fields["final"]),
        trained=bool(fields["trained"]),
    )
