"""`fastitpn predict` with a segmentation network: masks and overlays of images, and videos in colour."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from fastitpn.inference.prediction import PREDICTIONS, Prediction
from fastitpn.inference.results import Results
from fastitpn.inference.sources import source_root
from fastitpn.inference.written_pictures import save_picture
from fastitpn.tasks.segment.panoptic_results import PanopticSegmentation, write_coco_panoptic
from fastitpn.tasks.segment.results import Segmentation

OVERLAYS, MASKS = "overlays", "masks"
PANOPTIC = "panoptic"
"""Folder of the PNGs of segments, and with `.json` the file that goes with them."""
_OVERLAY_PX = 2048


class SegmentPrediction(Prediction[Segmentation]):
    """Writes masks/*.png and overlays/*.png.

    The labels in the results are read from the masks when they are asked for, so that a folder may be as long as it
    likes.

    Attributes:
        folder: Folder to write the masks to.
        words: What is in that folder, and what the lines of JSON hold.
    """

    columns = ("px", "largest classes")
    pictures = (OVERLAYS, MASKS, PANOPTIC)
    folder: ClassVar[str] = MASKS
    words: ClassVar[tuple[str, str]] = ("masks", "shares")

    def row(self, result: Segmentation) -> tuple[object, ...]:
        """Size and largest classes."""
        return f"{result.size[0]}x{result.size[1]}", result.summary()

    def write(self, result: Segmentation, out: Path, name: Path) -> Segmentation:
        """Write mask and overlay; the result then has its labels on the disk."""
        mask = out / self.folder / name
        save_picture(result.index_image(), mask)
        save_picture(result.draw(_OVERLAY_PX), out / OVERLAYS / name)
        return replace(result, mask=mask)

    def closing(self, results: Results[Segmentation], source: Path, out: Path) -> Sequence[str]:
        """Where masks, overlays and shares are."""
        masks, lines = self.words
        return [f"{masks}: {out / self.folder}, overlays: {out / OVERLAYS}, {lines}: {out / PREDICTIONS}"]


class PanopticPrediction(SegmentPrediction):
    """Writes panoptic/*.png in place of the masks, and `panoptic.json`."""

    folder = PANOPTIC
    words = ("segments", "what they are")

    def finish(self, results: Results[Segmentation], source: Path, out: Path) -> None:
        """Write the annotations that go with the PNGs, in COCO's format."""
        pngs = out / PANOPTIC
        segments = cast(Sequence[PanopticSegmentation], results.results)
        write_coco_panoptic(segments, pngs.with_suffix(".json"), pngs=pngs, root=source_root(source))
