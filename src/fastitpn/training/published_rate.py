"""`lr=auto`: the published learning rate of a task and a model, in proportion to the images of a step."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PublishedRate:
    """A learning rate, and the batch that it was published for.

    Attributes:
        lr: Peak learning rate.
        images: Images of one step over all devices.
    """

    lr: float
    images: int

    def at(self, images: int) -> float:
        """The rate for so many images in a step, to four digits."""
        return float(f"{self.lr * images / self.images:.4g}")


def rate_for(model: str, rates: Mapping[str, PublishedRate]) -> PublishedRate:
    """The rate of a model: that of its size if there is one, else of the other sizes.

    Args:
        model: Name of the model, which ends with its size.
        rates: By the size, such as "large"; "" for all others.
    """
    return rates.get(model.rpartition("_")[2], rates[""])
