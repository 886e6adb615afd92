"""What a format of exported models is: a file with one of these, and a line in the registry, make a new one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from fastitpn.exporting.attempts import Attempt
    from fastitpn.exporting.config import ExportConfig
    from fastitpn.exporting.network import Graph
    from fastitpn.exporting.runner import Runner
    from fastitpn.exporting.shapes import Shapes
    from fastitpn.exporting.subject import Subject


class ExportFormat:
    """A form of file, and the runtime that runs it. The module of a subclass imports what takes long in its methods.

    Attributes:
        file: Name of the file.
        precisions: Number formats that it can hold: "fp32", "fp16", "bf16", "int8".
        half_weights: Whether fp16 is the form of weights alone, and what is computed stays in fp32.
        dynamic_int8: Whether its int8 can do without images to calibrate on: activations then get scales for each
            input.
        one_by_one: Whether it can hold networks whose outputs depend on what is in an image, one image at a time.
        fewest_patches: The least number of patches along a side, where height and width of a model with a pyramid are
            left open.
        example: File in `exporting/examples` that opens a model in the example script; None for no script.
        needed: Package that the script needs for that.
        takes: Keys of the export that are for this format, which `write` gets.
    """

    file: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    half_weights: ClassVar[bool] = False
    dynamic_int8: ClassVar[bool] = False
    one_by_one: ClassVar[bool] = False
    fewest_patches: ClassVar[int] = 2
    example: ClassVar[str | None] = None
    needed: ClassVar[str] = ""
    takes: ClassVar[tuple[str, ...]] = ()

    def check_installed(self, precision: str = "fp32") -> None:
        """Make sure that the packages are there that write a file in a number format and run it.

        Raises:
            InputError: With the command to install them.
        """

    def check_runtime(self) -> None:
        """Make sure that the packages are there that run a file, which may be fewer.

        Raises:
            InputError: With the command to install them.
        """

    def options(self, config: "ExportConfig") -> dict[str, Any]:
        """The values of the keys that it `takes`; `model.json` has them too."""
        return {name: getattr(config, name) for name in self.takes}

    def write(self, graph: "Graph", shapes: "Shapes", path: Path) -> None:
        """Write a graph for inputs of these shapes; a format with keys of its own also gets these by name."""
        raise NotImplementedError

    def open(self, path: Path) -> "Runner":
        """Make a file ready to run, on the CPU."""
        raise NotImplementedError

    def quantise(self, exact: Path, path: Path, attempt: "Attempt", images: "Sequence[Tensor]") -> None:
        """Write the int8 form of a file in fp32, calibrated on batches of images."""
        raise NotImplementedError

    def export(self, config: "ExportConfig", subject: "Subject") -> Path:
        """Export a model; what differs from it is not kept.

        Returns:
            The folder.

        Raises:
            InputError: A key or the folder is wrong.
            ParityError: The file cannot be made, or does not do what the model does.
        """
        from fastitpn.exporting.export import export_file

        return export_file(self, config, subject)
