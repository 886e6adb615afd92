"""Which sizes of input a file takes, at which it is traced, and at which it is compared."""

from dataclasses import dataclass
from typing import Any, Literal

from torch.export import Dim

PATCH = 16
MOST_IMAGES, MOST_PATCHES = 1024, 512
_TRACED_BATCH = 2
_COMPARED_BATCHES = (1, 3)
_LEAST_TRACED = (96, 128)


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """Sizes of the input.

    With a size that may change, the graph is traced at none of the sizes that it is compared at, and none of them is
    square but the native one, so that a number that should have been a variable shows.

    Attributes:
        size: Native height and width in px.
        dynamic: What may change from call to call.
        batch: Images, where that is fixed.
        fewest_patches: Least number of patches of a side that may change.
    """

    size: tuple[int, int]
    dynamic: Literal["off", "batch", "all"] = "batch"
    batch: int = 1
    fewest_patches: int = 2

    @property
    def traced(self) -> tuple[int, int, int, int]:
        """Shape of the images that the graph is traced with."""
        height, width = self.size
        if self.dynamic == "all":
            height = max(height + 2 * PATCH, _LEAST_TRACED[0])  # smaller, a map of stride 64 would be one cell,
            width = max(width + 5 * PATCH, _LEAST_TRACED[1])  # and 1 is a number that a graph never varies
        return (self.batch if self.dynamic == "off" else _TRACED_BATCH, 3, height, width)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Heights and widths to compare at, the native one first."""
        height, width = self.size
        return [self.size] + ([(height + PATCH, width + 3 * PATCH)] if self.dynamic == "all" else [])

    @property
    def batches(self) -> tuple[int, ...]:
        """Numbers of images to compare with."""
        return (self.batch,) if self.dynamic == "off" else _COMPARED_BATCHES

    @property
    def dims(self) -> dict[str, dict[int, Any]] | None:
        """What `torch.export` is told."""
        if self.dynamic == "off":
            return None
        dims: dict[int, Any] = {0: Dim("batch", min=1, max=MOST_IMAGES)}
        if self.dynamic == "all":
            for axis, name in ((2, "rows"), (3, "columns")):
                dims[axis] = PATCH * Dim(name, min=self.fewest_patches, max=MOST_PATCHES)
        return {"images": dims}

    def describe(self) -> list[int | str]:
        """The shape for `model.json`: a word where a number may change."""
        height, width = self.size
        return [
            self.batch if self.dynamic == "off" else "batch",
            3,
            "height" if self.dynamic == "all" else height,
            "width" if self.dynamic == "all" else width,
        ]
