"""A classifier to export."""

import statistics
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastitpn.data.classification.labelled import labelled_part
from fastitpn.data.images.transforms import classify_eval
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.network import Network
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.imagenet import crop_share
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.classify.metrics import TOP1, TOP5


class ClassifyNetwork(Network):
    """Logits [B, classes]."""

    outputs = ("logits",)

    def __init__(self, model: FastITPN):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return (self.model(images),)


class ClassifyExport(Exportable):
    """A classifier; of a square picture it takes what its evaluation takes."""

    noun = "image classifier"
    hub_task = "image-classification"
    example = Path(str(resources.files("fastitpn.exporting") / "examples" / "classify.py"))

    def __init__(self, model: FastITPN, *, mean: Sequence[float], std: Sequence[float], classes: Sequence[str] = ()):
        super().__init__(ClassifyNetwork(model).eval(), mean=mean, std=std, classes=classes)
        self.metrics = (TOP1, TOP5) if len(self.classes) > 5 else (TOP1,)

    def labelled(self, data: Path) -> Pictures | None:
        """Images in folders of classes."""
        if not self.classes:
            return None
        images = labelled_part(data, None, self.classes)
        return Pictures(images=images.paths, truth=images.labels)

    def unlabelled(self, data: Path) -> Pictures | None:
        """The images of `labelled`: labels of folders are there at once."""
        return self.labelled(data)

    def view(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """The centre of a picture where the input is square, else the whole of it."""
        if size[0] != size[1]:
            return super().view(image, size)
        cropped: Tensor = classify_eval(size[0], mean=self.mean, std=self.std)(image)
        return cropped

    def describe_view(self, size: tuple[int, int]) -> dict[str, Any]:
        """The view in plain types."""
        height, width = size
        if height != width:
            return super().describe_view(size)
        return {"shorter_side": int(width / crop_share(width)), "crop": "centre", "interpolation": "bicubic"}

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        """Accuracy in percent."""
        hits: dict[str, list[bool]] = {metric.name: [] for metric in self.metrics}
        for (logits, *_), label in zip(outputs, truth, strict=True):
            hits[TOP1.name].append(int(logits.argmax()) == label)
            if TOP5.name in hits:
                hits[TOP5.name].append(label in logits.topk(5).indices.tolist())
        return {name: 100 * statistics.mean(values) for name, values in hits.items()}
