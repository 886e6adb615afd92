"""An exported file that is run again: what stands for the network in predictions and evaluations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from fastitpn.config.types import Fit
from fastitpn.errors import InputError, is_out_of_memory
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.runner import Runner


class ExportedGraph:
    """A graph in its runtime, on the CPU: it takes any number of images, and the sizes that it was exported for.

    Args:
        run: Runs the file.
        about: What `model.json` says.
        path: The folder, for messages.
        fit: What becomes of images of another size.

    Attributes:
        outputs: Names of the outputs.
        px: Shorter side of its native input in pixels.
        size: Height and width in pixels of the images that it takes; None for any multiple of 16.
    """

    def __init__(self, run: Runner, about: Mapping[str, Any], path: Path, fit: Fit = "exact"):
        batch, _, height, width = about["input"]["shape"]
        self.outputs: tuple[str, ...] = tuple(about["outputs"])
        self.px = min(about["px"])
        self.size: tuple[int, int] | None = None if isinstance(height, str) else (height, width)
        self._run, self._path, self._fit = run, path, fit
        self._batch: int | None = None if isinstance(batch, str) else batch

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """The outputs for images [B, 3, H, W] that have a size of its, on the device of the images.

        Raises:
            InputError: They have not, or the runtime does not take them.
        """
        given = images.detach().float().cpu().contiguous()
        if self.size is not None and tuple(given.shape[-2:]) != self.size:
            raise self._unfit(given)
        size = self._batch or len(given)
        parts = [self._outputs(part, size) for part in given.split(size)]
        return [torch.cat(output).to(images.device) for output in zip(*parts, strict=True)]

    def takes(self, images: Tensor, *, otherwise: str = "") -> Tensor:
        """Images as it takes them: as they are, or stretched where that was asked for.

        Args:
            images: [B, 3, h, w].
            otherwise: What a person may type in place of that, for messages.

        Raises:
            InputError: They have another size.
        """
        if self.size is None or tuple(images.shape[-2:]) == self.size:
            return images
        if self._fit == "exact":
            raise self._unfit(images, otherwise)
        return transforms.resize(images, list(self.size), antialias=True)

    def _outputs(self, images: Tensor, size: int) -> list[Tensor]:
        """Of at most as many images as the file takes at once; the last one comes again to fill a fixed batch."""
        number = len(images)
        filled = torch.cat((images, images[-1:].expand(size - number, -1, -1, -1))) if number < size else images
        try:
            return [output[:number] for output in self._run(filled)]
        except Exception as error:  # runtimes raise what they like
            if is_out_of_memory(error):
                raise
            height, width = images.shape[-2:]
            raise InputError(
                f"the exported file cannot be run on {number} images of {width}x{height} px: "
                f"{' '.join(str(error).split())[:300]}",
                where=self._path,
                expected=f"images of {self.px} px, or of multiples of 16 px",
                fix="predict with the run that was exported, or export it again",
            ) from error

    def _unfit(self, images: Tensor, otherwise: str = "") -> InputError:
        assert self.size is not None
        height, width = images.shape[-2:]
        taken = f"{self.size[1]}x{self.size[0]} px"
        return InputError(
            f"an image has {width}x{height} px here, and this exported graph accepts only {taken}",
            where=self._path,
            expected=f"images that fill {taken}, with the px of the export",
            fix=f"{otherwise}fit=stretch to resize to it, or export with dynamic=all, or with px= and width=",
        )


class FirstOutput(nn.Module):
    """A network whose one output is the first one of a graph: the logits of a classifier.

    Args:
        graph: The exported graph.
    """

    def __init__(self, graph: ExportedGraph):
        super().__init__()
        self.graph = graph

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to the first output."""
        return self.graph(self.graph.takes(images))[0]


def open_exported(folder: Path, about: Mapping[str, Any], fit: Fit = "exact") -> ExportedGraph:
    """The graph of a folder in its own runtime.

    Args:
        folder: An exported folder whose files were checked.
        about: What `model.json` says.
        fit: What becomes of images of another size than the graph takes.

    Raises:
        InputError: The runtime is not installed, or the file cannot be opened.
    """
    form = FORMATS[about["runtime"]]
    form.check_runtime()
    try:
        run = form.open(folder / Path(about["file"]).name)
    except InputError:
        raise
    except Exception as error:  # runtimes raise what they like
        raise InputError(
            f"the exported file cannot be opened: {' '.join(str(error).split())[:300]}",
            where=folder / about["file"],
            expected=f"a file that {about['runtime']} of this installation reads",
            fix="export it again",
        ) from error
    return ExportedGraph(run, about, folder, fit)
