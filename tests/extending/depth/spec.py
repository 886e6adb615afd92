"""The task `depth`: data, network, metric, prediction, export and diagnosis."""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fastitpn.data.datasets import DecodedImages, Sample, SeededDataset, collate
from fastitpn.data.images.transforms import classify_eval
from fastitpn.diagnosis.findings import DataSet, Entry
from fastitpn.errors import InputError
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.network import Network
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.inference.prediction import Prediction
from fastitpn.inference.predictor import ImagePredictor, Read
from fastitpn.inference.results import Result, Results
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.reporting.sections import Table
from fastitpn.runs.description import ModelDescription
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.evaluation import Evaluation, Headline
from fastitpn.tasks.spec import Split, TaskSpec, TrainingSamples
from fastitpn.tasks.start import PYRAMID_ARGUMENTS, find_start
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.loaders import cache_mib, on_device
from fastitpn.training.metric import Metric
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.setup import start_from

from .config import DepthConfig, DepthPredictConfig

TABLE = "depths.csv"
ERROR = Metric(name="error_m", title="Mean error", unit="m", higher_is_better=False)


@dataclass(frozen=True, kw_only=True)
class DepthImages:
    """Images with the depth of what they show."""

    paths: list[Path]
    metres: list[float]

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, places: Sequence[int]) -> "DepthImages":
        return DepthImages(paths=[self.paths[i] for i in places], metres=[self.metres[i] for i in places])


def read_depths(folder: Path) -> DepthImages:
    """The images of a folder."""
    if not (folder / TABLE).is_file():
        raise InputError(
            f"no {TABLE}", where=folder, expected="a table with the columns image and metres", fix="add it"
        )
    with open(folder / TABLE, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return DepthImages(paths=[folder / row["image"] for row in rows], metres=[float(row["metres"]) for row in rows])


@dataclass(frozen=True, kw_only=True)
class DepthDescription(ModelDescription):
    """A depth network."""

    needed: ClassVar[tuple[str, ...]] = (*ModelDescription.needed, "farthest_m")
    farthest_m: float

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "farthest_m": self.farthest_m}

    @classmethod
    def from_dict(cls, content):
        return cls(**cls.shared(content), farthest_m=content["farthest_m"])


class DepthTask(BackboneTask[DepthDescription]):
    """Learns depths with the absolute error."""

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"loss": (metres(self.trained_model, batch["image"], self.about) - batch["metres"]).abs().mean()}

    @torch.no_grad()
    def evaluate(self, batches: Iterable[dict[str, Tensor]], model: nn.Module) -> dict[str, float]:
        errors = [(metres(model, batch["image"], self.about) - batch["metres"]).abs() for batch in batches]
        return {ERROR.name: float(torch.cat(errors).mean())}


def metres(model: nn.Module, images: Tensor, about: DepthDescription) -> Tensor:
    """[B, 3, px, px] to depths [B] in metres."""
    return about.farthest_m * model(images)[:, 0].sigmoid()


class DepthSamples(SeededDataset):
    """Samples {image, metres, index}."""

    def __init__(self, images: DepthImages, about: DepthDescription, *, seed: int, cache_mib: int):
        super().__init__(DecodedImages(images.paths, cache_mib=cache_mib), seed=seed)
        self.metres = images.metres
        self.transform = classify_eval(about.px, mean=about.mean, std=about.std)

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        return {"image": self.transform(image), "metres": torch.tensor(self.metres[index])}


class InOrder(Dataset[Sample]):
    """The samples of the first epoch, by plain index."""

    def __init__(self, samples: DepthSamples):
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[0, index]


@dataclass(frozen=True, kw_only=True)
class DepthEvaluation(Evaluation):
    """The mean error."""

    def tables(self) -> list[Table]:
        return [Table("Depth", ("metric", "value"), [(ERROR.title, ERROR.show(self.metrics[ERROR.name]))])]

    def headlines(self, note: str = "") -> list[Headline]:
        return [(ERROR.title, round(self.metrics[ERROR.name], 3), ERROR.unit)]

    def summary(self) -> list[Headline]:
        return self.headlines()


@dataclass(frozen=True, kw_only=True)
class Depth(Result):
    """The depth of one image."""

    metres: float

    def summary(self) -> str:
        return f"{self.metres:.2f} m"

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "metres": self.metres}


@dataclass(frozen=True, repr=False)
class Depths(Results[Depth]):
    """The depths of all images."""


class DepthPredictor(ImagePredictor[Depth]):
    """Gives images their depth."""

    results = Depths

    def __init__(self, trained: Trained[FastITPN, DepthDescription], device: str, precision: str):
        self.about = trained.about
        self.device = build_fabric(device, precision=precision).device
        self.model = trained.model.to(self.device)
        self.transform = classify_eval(trained.px, mean=trained.mean, std=trained.std)

    def __call__(self, images: Any, **options: Any) -> Depths:
        depths: Depths = self.collect(images, **options)
        return depths

    @torch.inference_mode()
    def predict_batch(self, images: Sequence[Read], *, decimals: int = 2) -> list[Depth]:
        pixels = torch.stack([pixels for _, _, pixels in images]).to(self.device)
        found = metres(self.model, pixels, self.about).tolist()
        return [
            Depth(index=index, path=source.path, source=source, metres=round(value, decimals))
            for (index, source, _), value in zip(images, found, strict=True)
        ]


class DepthNetwork(Network):
    """Depths [B, 1] in metres."""

    outputs = ("metres",)
    decides = False

    def __init__(self, trained: Trained[FastITPN, DepthDescription]):
        super().__init__()
        self.model, self.about = trained.model, trained.about

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (metres(self.model, images, self.about)[:, None],)


class DepthExport(Exportable):
    """A depth network to export."""

    noun = "depth network"
    metrics = (ERROR,)

    def labelled(self, data: Path) -> Pictures:
        images = read_depths(data)
        return Pictures(images=images.paths, truth=images.metres)

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        errors = [abs(float(output[0]) - known) for output, known in zip(outputs, truth, strict=True)]
        return {ERROR.name: sum(errors) / len(errors)}


class DepthSpec(TaskSpec[DepthConfig, DepthImages, DepthDescription]):
    """Everything that the verbs ask of the task."""

    name = "depth"
    noun = "depth network"
    title = "Depth"
    all_metrics = (ERROR,)
    description = DepthDescription

    def open_data(self, config: DepthConfig) -> Split[DepthImages]:
        images = read_depths(config.data)
        held_out = set(range(0, len(images), max(2, round(1 / config.val_ratio))))
        train = images.select([i for i in range(len(images)) if i not in held_out])
        return Split(train=train, val=images.select(sorted(held_out)), num_classes=0)

    def build(self, config: DepthConfig, split: Split[DepthImages]) -> DepthTask:
        start = find_start(config, without=PYRAMID_ARGUMENTS)
        about = DepthDescription(
            model={"name": start.name, "arguments": {**start.arguments, "num_classes": 1}},
            mean=config.mean,
            std=config.std,
            px=start.px,
            farthest_m=config.farthest_m,
        )
        model = self.create(about, drop_path_rate=config.drop_path)
        model.set_acceleration(start.acceleration)
        if start.file is not None:
            start_from(model, start.file, name=start.name, fix="other weights", strict=config.weights_strict)
        return DepthTask(self.name, model, about, self.metrics(about))

    def training_samples(self, config: DepthConfig, split: Split[DepthImages], about: DepthDescription):
        cache = cache_mib(config.workers)
        return TrainingSamples(dataset=DepthSamples(split.train, about, seed=config.seed, cache_mib=cache))

    def validation_batches(self, config: DepthConfig, split: Split[DepthImages], about: DepthDescription):
        return _loader(split.val, about, config.batch)

    def create(self, about: DepthDescription, **extra: Any) -> FastITPN:
        return create_model(about.model["name"], **{**about.model["arguments"], **extra})

    def evaluation_images(self, config: Any, trained: Trained[Any, DepthDescription]) -> DepthImages:
        return read_depths(config.data)

    def evaluate(self, trained, images, fabric, *, config=None, batch=64, workers=0, progress=False):
        task = DepthTask(self.name, trained.model.to(fabric.device), trained.about, (ERROR,))
        batches = on_device(_loader(images, trained.about, batch), fabric)
        return DepthEvaluation(metrics=task.evaluate(batches, trained.model), num_images=len(images))

    def predictor(self, trained, *, device: str = "auto", precision: str = "auto") -> DepthPredictor:
        return DepthPredictor(trained, device, precision)

    def prediction(self, trained, config) -> Prediction[Depth]:
        assert isinstance(config, DepthPredictConfig)
        predictor = self.predictor(trained, device=config.device, precision=config.precision)
        return Prediction(predictor, batch=config.batch, decimals=config.decimals)

    def exportable(self, trained: Trained[FastITPN, DepthDescription]) -> DepthExport:
        return DepthExport(DepthNetwork(trained).eval(), mean=trained.mean, std=trained.std)

    def diagnose(self, config: Any) -> DataSet | None:
        if not (config.data / TABLE).is_file():
            return None
        images = read_depths(config.data)
        deep = {"": {"images": len(images), "metres": f"{min(images.metres):g} to {max(images.metres):g}"}}
        return DataSet(
            form="depths",
            entries=[Entry(path=path, part="") for path in images.paths],
            unit="images",
            counts={},
            findings=[],
            facts=deep,
        )


def _loader(images: DepthImages, about: DepthDescription, batch: int) -> DataLoader[Any]:
    samples = InOrder(DepthSamples(images, about, seed=0, cache_mib=0))
    return DataLoader(samples, batch_size=batch, collate_fn=collate, generator=torch.Generator())


SPEC = DepthSpec()
