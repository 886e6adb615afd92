"""From an image and the controls of the page to everything that it shows."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastitpn.application.models import LiveModel, Shown
from fastitpn.application.timing import Timing, timed
from fastitpn.data.images.decode import read_image
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.reporting.panels import Panel
from fastitpn.reporting.pictures import to_pictures
from fastitpn.reporting.token_pictures import token_panels

AS_TRAINED = "as trained"
"""The choice for a checkpoint whose acceleration is no preset."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the page shows of an image.

    Attributes:
        shown: The prediction for the image, with a picture of it.
        timing: Milliseconds of the prediction, with and without the acceleration.
        acceleration: What it was made with.
        tokens: Pictures of the tokens that left, and of the windows; none where nothing happens to tokens.
    """

    shown: Shown
    timing: Timing
    acceleration: Acceleration
    tokens: Sequence[Panel]

    def to_json(self) -> dict[str, Any]:
        """Plain types: what was found, the time, and the acceleration."""
        fields = {key: value for key, value in self.shown.found.items() if key not in ("index", "path", "mask")}
        times = {"ms": self.timing.ms, "plain_ms": self.timing.plain_ms, "ratio": self.timing.ratio}
        return {**fields, "acceleration": self.acceleration.to_dict(), "time": times}


@dataclass(frozen=True, kw_only=True)
class Answers:
    """One model, which answers one question at a time.

    Attributes:
        model: The model; its acceleration is that of the last question.
        trained: The acceleration that the page begins with.
    """

    model: LiveModel
    trained: Acceleration
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, model: LiveModel) -> "Answers":
        """The answers of a model; its present acceleration is the first choice."""
        return cls(model=model, trained=model.acceleration)

    @property
    def choices(self) -> list[str]:
        """The accelerations to choose from; of an exported graph its own alone."""
        if self.model.backbone is None:
            return [self.first_choice]
        return [*PRESETS, *([] if self.trained in PRESETS.values() else [AS_TRAINED])]

    @property
    def first_choice(self) -> str:
        """The one of the checkpoint."""
        return self.trained.name if self.trained in PRESETS.values() else AS_TRAINED

    def keep_ratio(self, choice: str) -> float | None:
        """The share of the tokens that stays with a choice; None where no token leaves, or it cannot be changed."""
        migration = self._preset(choice).migration
        if migration is None or self.model.backbone is None:
            return None
        ratio = migration.keep_ratio
        return ratio if isinstance(ratio, float | int) else ratio[-1]

    def acceleration(self, choice: str, keep_ratio: float | None = None) -> Acceleration:
        """An acceleration by name, with another share of tokens that stay.

        Raises:
            InputError: There is none of that name, or the share is out of range.
        """
        preset = self._preset(choice)
        known = self.keep_ratio(choice)
        if preset.migration is None or keep_ratio is None or known is None or keep_ratio == known:
            return preset
        return replace(preset, migration=replace(preset.migration, keep_ratio=keep_ratio))

    def answer(self, path: str | Path, choice: str, keep_ratio: float | None, min_score: float) -> Answer:
        """Predict one image.

        Args:
            path: File of the image.
            choice: Name of an acceleration, one of `choices`.
            keep_ratio: Share of the tokens that stays; None for that of the choice.
            min_score: Least score of things to find, in [0, 1].

        Raises:
            InputError: It cannot be read, or the acceleration does not fit the model.
        """
        acceleration = self.acceleration(choice, keep_ratio)
        image = read_image(path)
        run = self.model.prepare(image, min_score)
        with self._lock:  # the acceleration is a state of the model, and times count only where nothing else runs
            prediction, timing = timed(run, self.model.backbone, acceleration)
            tokens = [] if acceleration.off else self._tokens(image)
        shown = self.model.show(prediction, image)
        return Answer(shown=shown, timing=timing, acceleration=acceleration, tokens=tokens)

    def _preset(self, choice: str) -> Acceleration:
        if choice not in self.choices:
            raise InputError(f"there is no acceleration {choice!r}", expected=", ".join(self.choices))
        return self.trained if choice == AS_TRAINED else PRESETS[choice]

    def _tokens(self, image: Image.Image) -> list[Panel]:
        if self.model.backbone is None:
            return []
        pixels = self.model.look(image)
        trace = self.model.backbone.trace_tokens(pixels.to(self.model.device))
        trace = replace(trace, **{name: v.cpu() for name, v in vars(trace).items() if isinstance(v, Tensor)})
        [seen] = to_pictures(pixels, self.model.mean, self.model.std)
        panels = token_panels(seen, trace)
        return panels if len(panels) > 1 else []
