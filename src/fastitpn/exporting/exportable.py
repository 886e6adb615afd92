"""What a task gives to `fastitpn export`: the network of a trained model, and what compares and measures it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.network import Network
from fastitpn.exporting.pictures import Outputs, Pictures, whole_view
from fastitpn.training.metric import Metric


class Exportable:
    """The network of a trained model to export. A task has a subclass.

    Args:
        network: From images to outputs, in evaluation mode.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        classes: Names, in the order of the outputs.
        head: Name of the head; None for a task with but one.
        half: Whether it computes in half precision without another result.
        open_size: Whether height and width can be left open.

    Attributes:
        noun: What a card of a model calls it.
        hub_task: What the Hugging Face hub calls the task.
        metrics: What `score` measures; the first one is the main one.
        example: A script that uses an exported file, without this package.
        any_size: Whether predictions look at images in sizes of their own, and not all in one.
    """

    noun: ClassVar[str]
    hub_task: ClassVar[str] = "image-feature-extraction"
    metrics: tuple[Metric, ...] = ()
    example: ClassVar[Path | None] = None
    any_size: ClassVar[bool] = False

    def __init__(
        self,
        network: Network,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        classes: Sequence[str] = (),
        head: str | None = None,
        half: bool = True,
        open_size: bool = True,
    ):
        self.network = network
        self.mean, self.std = tuple(mean), tuple(std)
        self.classes = tuple(classes)
        self.head, self.half, self.open_size = head, half, open_size

    def check(self, config: ExportConfig) -> None:
        """Make sure that the whole network can be exported so.

        Raises:
            InputError: It cannot.
        """
        if not self.half and config.precision not in ("fp32", "int8") and not FORMATS[config.format].half_weights:
            raise InputError(
                f"a {self.head} cannot be exported in {config.precision}: which places it looks at closely hangs on "
                "small differences",
                where="precision",
                expected="fp32 or int8, or fp16 with format=openvino, where only the weights are fp16",
                fix="precision=fp32",
            )

    def fixed_size(self, config: ExportConfig) -> tuple[str, str] | None:
        """Why height and width cannot be left open, and what to type instead; None if they can."""
        if self.open_size:
            return None
        return "its head by transformers treats the size as a constant", "dynamic=batch"

    def labelled(self, data: Path) -> Pictures | None:
        """The labelled pictures of a folder; None, or an `InputError`, where it has none of the model's classes."""
        return None

    def unlabelled(self, data: Path) -> Pictures | None:
        """The pictures of a folder without labels, quickly; None for all images of the folder."""
        return None

    def view(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """From an RGB picture to an input [3, height, width]: the whole picture, resized."""
        return whole_view(image, size, self.mean, self.std)

    def describe_view(self, size: tuple[int, int]) -> dict[str, Any]:
        """The view in plain types: `resize` of the shorter side, then a `crop` of the centre; or both sides."""
        return {"both_sides": list(size), "interpolation": "bilinear"}

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        """The metrics of outputs for labelled pictures.

        Args:
            outputs: A tuple of tensors for each picture.
            truth: What `labelled` gave for each picture.
        """
        return {}

    def describe(self) -> dict[str, Any]:
        """What `model.json` says beside what all models have; plain types."""
        return {}

    def describe_for_transformers(self) -> dict[str, Any]:
        """What `config.json` says to transformers beside what all models have; plain types."""
        return {}

    def notes(self, config: ExportConfig, size: tuple[int, int]) -> Sequence[str]:
        """Lines that are printed at the end.

        Args:
            config: Configuration of the export.
            size: Height and width of the input in pixels.
        """
        return ()
