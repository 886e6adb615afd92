"""Means of a step's figures over the steps between two lines of the log."""

from collections.abc import Mapping
from typing import Any


class Meter:
    """Sums up steps until they are logged."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps = 0
        self._images = 0
        self._seconds = 0.0
        self._waited = 0.0

    def add(self, figures: Mapping[str, float]) -> None:
        """Counts the losses of a step that took place."""
        self._steps += 1
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def add_time(self, *, images: int, seconds: float, waited: float) -> None:
        """Counts a step's time.

        Args:
            images: Images of all processes.
            seconds: That the whole step took.
            waited: Seconds of them spent waiting for data.
        """
        self._images += images
        self._seconds += seconds
        self._waited += waited

    def take(self) -> dict[str, float]:
        """Means since the last call, images per second, and the share of the time that was spent waiting for data."""
        figures = {name: value / self._steps for name, value in self._sums.items()}
        if self._seconds > 0:
            figures["images_per_s"] = self._images / self._seconds
            figures["data_wait_ratio"] = self._waited / self._seconds
        self._clear()
        return figures

    def state(self) -> dict[str, Any]:
        """What makes the next line the same in a run that was resumed; times are not part of it."""
        return {"sums": dict(self._sums), "steps": self._steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        self._sums, self._steps = dict(state["sums"]), state["steps"]
