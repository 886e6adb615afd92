"""How much faster a setting is than the plain model: rounds in which all take turns, see `benchmarking.timing`."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from fastitpn.benchmarking.conditions import Conditions, Forward
from fastitpn.benchmarking.result import SPREAD
from fastitpn.benchmarking.timing import Contestant, num_rounds, stopwatch_for, take_turns
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.exported import FirstOutput, open_exported
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.parity import ParityError
from fastitpn.exporting.subject import trained_subject
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.models.backbone import FastITPN
from fastitpn.runs.exported_folder import read_exported_folder
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.spec import TaskSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a setting is beside the plain model."""

    ratio: float
    """Median over rounds of the plain model's time over the setting's: above 1 is faster."""
    low: float
    """The middle 80 % of the rounds."""
    high: float
    ms: float
    """Median time of a pass."""
    rounds: int

    @property
    def is_gain(self) -> bool:
        """Whether it is faster by more than the rounds differ."""
        return self.low > 1

    def describe(self) -> str:
        """For people."""
        return f"{self.ratio:.2f}x ({self.low:.2f} to {self.high:.2f})"


class Speedometer(Protocol):
    """Measures speed."""

    def prepare(self, setting: Acceleration) -> None:
        """Do what takes long before a setting can run."""

    def measure(self, settings: Sequence[Acceleration], seconds: float) -> list[Speed | None]:
        """The speed of each; None for one that cannot run there.

        Args:
            settings: They take turns with the plain model.
            seconds: For each, about.
        """


def race(plain: Forward, others: Sequence[Forward], seconds: float, device: str) -> list[Speed]:
    """Let passes take turns, in another order in each round.

    Args:
        plain: A pass of the plain model.
        others: Passes of settings.
        seconds: For each, about; there are five rounds at least.
        device: Where they run.
    """
    stopwatch = stopwatch_for(device)
    first, *rest = contestants = [Contestant(run=run) for run in (plain, *others)]
    for contestant in contestants:
        contestant.warm_up(stopwatch)
    rounds = num_rounds(contestants, seconds, None)
    take_turns(contestants, stopwatch, rounds, between=lambda: None, after_turn=lambda: None)
    speeds = []
    for contestant in rest:
        pairs = zip(first.turns, contestant.turns, strict=True)
        ratios = [float(np.median(before) / np.median(after)) for before, after in pairs]
        low, ratio, high = np.quantile(ratios, (SPREAD[0], 0.5, SPREAD[1])).tolist()
        ms = 1e3 * float(np.median(np.concatenate(contestant.turns)))
        speeds.append(Speed(ratio=ratio, low=low, high=high, ms=ms, rounds=rounds))
    return speeds


class EagerSpeed:
    """In PyTorch: one network, whose acceleration is switched before each pass, which takes no time.

    Args:
        network: From images to what a prediction is made of, on the device.
        backbone: The part of it that is accelerated.
        images: [1, 3, H, W] on the device.
        conditions: Device and precision.
    """

    def __init__(self, network: nn.Module, backbone: FastITPN, images: Tensor, conditions: Conditions):
        self._backbone, self._device = backbone, conditions.device
        self._pass = conditions.forward(network, images)

    def _run(self, setting: Acceleration) -> Forward:
        def run() -> object:
            self._backbone.set_acceleration(setting)
            return self._pass()

        return run

    def prepare(self, setting: Acceleration) -> None:
        """Nothing."""

    def measure(self, settings: Sequence[Acceleration], seconds: float) -> list[Speed | None]:
        """The speed of each."""
        return [*race(self._run(PRESETS["off"]), [self._run(setting) for setting in settings], seconds, self._device)]


class GraphSpeed:
    """In a runtime: each setting is exported at the size of the images, compared with the model, and run there.

    Args:
        form: Name of the format.
        spec: Task of the model.
        trained: The model, which is switched for each export.
        images: [1, 3, H, W].
        quiet: A context in which nothing is said.
    """

    def __init__(
        self,
        form: str,
        spec: TaskSpec[Any, Any, Any],
        trained: Trained[Any, Any],
        images: Tensor,
        quiet: Callable[[], contextlib.AbstractContextManager[Any]],
    ):
        self._form, self._spec, self._trained, self._images, self._quiet = form, spec, trained, images, quiet
        self._graphs: dict[Acceleration, Forward | None] = {}

    def prepare(self, setting: Acceleration) -> None:
        """Export it, and the plain model."""
        self._graph(PRESETS["off"])
        self._graph(setting)

    def measure(self, settings: Sequence[Acceleration], seconds: float) -> list[Speed | None]:
        """The speed of each; None where the exported file would do something else."""
        plain = self._graph(PRESETS["off"])
        if plain is None:
            return [None] * len(settings)
        able = {setting: run for setting in settings if (run := self._graph(setting)) is not None}
        speeds = dict(zip(able, race(plain, list(able.values()), seconds, "cpu"), strict=True)) if able else {}
        return [speeds.get(setting) for setting in settings]

    def _graph(self, setting: Acceleration) -> Forward | None:
        if setting not in self._graphs:
            try:
                self._graphs[setting] = self._exported(setting)
            except ParityError:
                self._graphs[setting] = None
        return self._graphs[setting]

    def _exported(self, setting: Acceleration) -> Forward:
        height, width = self._images.shape[-2:]
        trained, images = self._trained, self._images
        trained.backbone.set_acceleration(setting)
        with tempfile.TemporaryDirectory() as folder, self._quiet():
            out = Path(folder) / "graph"
            config = ExportConfig(
                checkpoint=trained.path, format=self._form, px=height, width=width, dynamic="off", limit=2, out=out
            )
            FORMATS[self._form].export(config, trained_subject(config, trained, self._spec.exportable(trained)))
            graph = FirstOutput(open_exported(out, read_exported_folder(out)))
            graph(images)  # all of the file is read before its folder goes
        return lambda: graph(images)
