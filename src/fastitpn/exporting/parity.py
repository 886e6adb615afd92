"""Whether a file does what its model does: both are run on the same pictures."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fastitpn.errors import FastITPNError
from fastitpn.exporting.network import Network
from fastitpn.exporting.pictures import Pictures
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes


class ParityError(FastITPNError):
    """A file that was exported does not do what its model does, or cannot be made."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """What is let through.

    Attributes:
        difference: Largest difference of an output, as a share of the largest number in it.
        same: Least share of decisions that are the same.
    """

    difference: float
    same: float


TOLERANCES = {
    "fp32": Tolerance(difference=1e-4, same=0.999),
    "fp16": Tolerance(difference=2e-2, same=0.0),  # `max_loss` says how many decisions must be the same
    "bf16": Tolerance(difference=1e-1, same=0.97),
}
"""By precision. int8 has none: its file is quantised from one that passed as fp32, and its loss is measured."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far a file is from its model.

    Attributes:
        difference: The largest over all outputs, pictures, sizes and batches: of any number in an output, as a share
            of the largest one in it. nan if the file gives numbers that are none.
            Of detections: of a coordinate, as a share of the image, or of a score.
        same: Share of the decisions that are the same, None for outputs that decide nothing. A detection is one.
        where: The size and batch of the largest difference.
        pictures: What it was measured on.
        sizes: Heights and widths in pixels that were compared.
        batches: Numbers of images in a batch that were compared.
    """

    difference: float
    same: float | None
    where: str
    pictures: str
    sizes: list[tuple[int, int]]
    batches: tuple[int, ...]

    def check(self, tolerance: Tolerance) -> None:
        """Raise if it is too far.

        Raises:
            ParityError: With both figures and both limits.
        """
        near = self.difference <= tolerance.difference  # not of nan
        if near and (self.same is None or self.same >= tolerance.same):
            return
        raise ParityError(
            f"the exported file does not do what the model does, so nothing was written\n"
            f"  difference: {self.difference:.1e} relative at {self.where}; at most {tolerance.difference:.0e} is let "
            f"through\n  decisions:  {self.same_in_words}; at least {tolerance.same:.1%} must be\n"
            f"  compared:   on {self.pictures}\n"
            f"  fix:        another format, precision=fp32, dynamic=batch or acceleration=off"
        )

    @property
    def same_in_words(self) -> str:
        """For people."""
        return "none to compare" if self.same is None else f"{self.same:.2%} the same"

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "largest_relative_difference": self.difference,
            "same_decisions": self.same,
            "compared_on": self.pictures,
            "sizes": [list(size) for size in self.sizes],
            "batches": list(self.batches),
            "with": "the PyTorch model in fp32",
        }


@torch.no_grad()
def compare(network: Network, run: Runner, pictures: Pictures, shapes: Shapes) -> Parity:
    """Run both on all pictures, at every size and with every number of images of `shapes`.

    Raises:
        ParityError: The file cannot be run.
    """
    worst, where, same, decisions = 0.0, "", 0, 0
    for size in shapes.sizes:
        for batch in shapes.batches:
            place = f"{size[0]}x{size[1]} px, batch {batch}"
            images_of_size = pictures.tensors(size)
            for places in batches(len(pictures), batch):
                images = images_of_size[places]
                expected, given = network(images), run_or_raise(run, images, place)
                _check_number(given, len(images), place)
                difference, alike, number = network.compare(given, list(expected))
                if not difference <= worst:
                    worst, where = difference, place
                same, decisions = same + alike, decisions + number
    return Parity(
        difference=worst,
        same=same / decisions if decisions else None,
        where=where,
        pictures=pictures.source,
        sizes=shapes.sizes,
        batches=shapes.batches,
    )


def _check_number(given: list[Tensor], batch: int, place: str) -> None:
    """Raise if there are not results of every image: some runtimes miscount what is left open."""
    if wrong := [len(part) for part in given if len(part) != batch]:
        raise ParityError(
            f"the exported file gives results of {wrong[0]} images for {batch} at {place}, so nothing was written\n"
            f"  fix:        dynamic=batch or off, or another format"
        )


def batches(number: int, size: int) -> list[slice]:
    """Places of images in batches of one size; some come again in the last one if they do not fill it."""
    return [slice(min(first, number - size), min(first, number - size) + size) for first in range(0, number, size)]


def run_or_raise(run: Runner, images: Tensor, place: str) -> list[Tensor]:
    """The outputs of a file.

    Raises:
        ParityError: It cannot be run.
    """
    try:
        return run(images)
    except Exception as error:  # runtimes raise what they like
        reason = " ".join(str(error).split())[:300]
        raise ParityError(
            f"the exported file cannot be run at {place}, so nothing was written\n  reason:     {reason}\n"
            f"  fix:        dynamic=batch or off, or another format"
        ) from error
