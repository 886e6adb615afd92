"""Segmentation: a class for each pixel, or a segment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from fastitpn.console import say
from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses
from fastitpn.data.segmentation.datasets import SegmentDataset
from fastitpn.data.segmentation.images import MaskedImages, MaskFolders, segmentation_images, segmentation_split
from fastitpn.data.segmentation.panoptic_labels import PanopticLabels
from fastitpn.data.segmentation.transforms import SegmentationTrain
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet
from fastitpn.errors import InputError
from fastitpn.exporting.exported import ExportedGraph
from fastitpn.tasks.class_weights import class_weights, describe_imbalance
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.tasks.queries import MISSED, say_if_many
from fastitpn.tasks.segment.config import (
    SegmentConfig,
    SegmentEvaluateConfig,
    SegmentPredictConfig,
    TestTimeViewsConfig,
)
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.tasks.segment.diagnosis import diagnose
from fastitpn.tasks.segment.evaluating import TrainedSegmenter, evaluate_segmenter
from fastitpn.tasks.segment.evaluation import MaskEvaluation
from fastitpn.tasks.segment.export import SegmentExport
from fastitpn.tasks.segment.exported import ExportedSegmenter
from fastitpn.tasks.segment.heads.registry import HEADS
from fastitpn.tasks.segment.loaders import masked_loader
from fastitpn.tasks.segment.measures import measure_of
from fastitpn.tasks.segment.metrics import PANOPTIC, SEMANTIC
from fastitpn.tasks.segment.model import Segmenter, create_segmenter
from fastitpn.tasks.segment.prediction import PanopticPrediction, SegmentPrediction
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.task import SegmentTask
from fastitpn.tasks.segment.views import TestTimeViews
from fastitpn.tasks.spec import Split, TaskSpec, TrainingSamples
from fastitpn.tasks.start import find_start, start_network
from fastitpn.training.loaders import cache_mib
from fastitpn.training.metric import Metric
from fastitpn.training.published_rate import PublishedRate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_QUERIES = "head.queries"
_MOST_COUNTED = 100
"""Images whose classes are counted."""
_DECIDED_HERE = ("pyramid", "fc_norm")
"""Arguments of the weights' model that play no part: the network has a pyramid, and no classifier."""


class Segment(TaskSpec[SegmentConfig, MaskedImages, SegmenterDescription]):
    """Semantic and panoptic segmentation."""

    name = "segment"
    noun = "segmentation network"
    title = "Segmentation"
    parts = "the model and the head that are stored beside them"
    pictured = True
    particularity = 2
    all_metrics = (*SEMANTIC, *PANOPTIC)
    description = SegmenterDescription

    def open_data(self, config: SegmentConfig) -> Split[MaskedImages]:
        """Images with masks, or with annotations."""
        folders = replace(MaskFolders.of(config), panoptic=config.panoptic)
        train, val = segmentation_split(folders, config.val, val_ratio=config.held_out, seed=config.seed)
        names, notes = train.classes.names, []
        if config.head.weighs_classes:
            notes = describe_imbalance(config.class_weights, train.pixels(), names, unit="pixels")
        for line in notes:
            say(line)
        return Split(train=train, val=val, num_classes=len(names), notes=notes)

    def image_files(self, images: MaskedImages) -> Sequence[Path]:
        """All of them."""
        return images.images

    def label_files(self, images: MaskedImages) -> Sequence[Path]:
        """The masks, if they are files."""
        return images.masks if isinstance(images.masks, list) else []

    def build(self, config: SegmentConfig, split: Split[MaskedImages]) -> SegmentTask:
        """The network with its start weights; from a network with the same head the head too."""
        train = split.train
        weights = None
        if config.class_weights is not None:
            weights = class_weights(config.class_weights, train.pixels(), train.classes.names)
        task = build_task(config, train.classes, weights)
        queries = task.trained_model.queries
        say_if_many(_count_objects(train, queries), queries, _QUERIES)
        return task

    def published_rates(self, config: SegmentConfig) -> Mapping[str, PublishedRate]:
        """That of the head, on ADE20K."""
        rate = HEADS[config.head.name].published
        return {} if rate is None else {"": rate}

    def training_samples(
        self, config: SegmentConfig, split: Split[MaskedImages], about: SegmenterDescription
    ) -> TrainingSamples:
        """Augmented crops with their masks."""
        transform = SegmentationTrain(
            px=about.px,
            mean=config.mean,
            std=config.std,
            resize=config.resize,
            scale_range=config.scale_range,
            max_class_ratio=config.max_class_ratio,
            hflip=config.hflip,
            photometric=config.photometric,
        )
        cache = cache_mib(config.workers)
        return TrainingSamples(dataset=SegmentDataset(split.train, transform, seed=config.seed, cache_mib=cache))

    def validation_batches(
        self, config: SegmentConfig, split: Split[MaskedImages], about: SegmenterDescription
    ) -> DataLoader[Any]:
        """Images with masks, each in its own size."""
        return masked_loader(split.val, about, workers=config.workers)

    def facts(self, config: SegmentConfig) -> Mapping[str, str]:
        """The head's name, for reports."""
        return {"head": config.head.name}

    def metrics(self, about: SegmenterDescription) -> tuple[Metric, ...]:
        """Metrics of segments for a panoptic network, else of pixels."""
        return measure_of(about.classes).metrics

    def create(self, about: SegmenterDescription, **extra: Any) -> Segmenter:
        """Backbone, pyramid and head."""
        return create_segmenter(about.model, about.head, len(about.class_names), **extra)

    def evaluation_images(self, config: EvaluateConfig, trained: TrainedSegmenter) -> MaskedImages:
        """Images with masks of the network's classes."""
        assert isinstance(config, SegmentEvaluateConfig)
        _views(config, trained)  # says what is wrong with them before anything is written
        images = segmentation_images(MaskFolders.of(config), trained.about.classes)
        queries = trained.model.queries
        say_if_many(_count_objects(images, queries), queries, _QUERIES, MISSED)
        return images

    def evaluate(
        self,
        trained: TrainedSegmenter,
        images: MaskedImages,
        fabric: "Fabric",
        *,
        config: EvaluateConfig | None = None,
        batch: int = 64,
        workers: int = 0,
        progress: bool = False,
    ) -> MaskEvaluation:
        """At the original size of the images; those of one size are looked at together."""
        views = _views(config, trained) if isinstance(config, SegmentEvaluateConfig) else None
        return evaluate_segmenter(trained, images, fabric, views, batch=batch, workers=workers, progress=progress)

    def predictor(
        self,
        trained: TrainedSegmenter,
        *,
        device: str = "auto",
        precision: str = "auto",
        views: TestTimeViews | None = None,
    ) -> SegmentPredictor:
        """What gives each pixel a class or a segment.

        Args:
            trained: The network, with what its checkpoint says of it.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
            precision: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.
            views: How to look at images; None for as in the training.
        """
        about = trained.about
        return SegmentPredictor(
            trained.model,
            classes=about.classes,
            views=views or TestTimeViews.of(about),
            mean=about.mean,
            std=about.std,
            device=device,
            precision=precision,
        )

    def prediction(self, trained: TrainedSegmenter, config: PredictConfig) -> SegmentPrediction:
        """Masks of images, each at its own size."""
        assert isinstance(config, SegmentPredictConfig)
        views = _views(config, trained)
        predictor = self.predictor(trained, device=config.device, precision=config.precision, views=views)
        return (PanopticPrediction if trained.about.classes.panoptic else SegmentPrediction)(
            predictor, batch=config.batch
        )

    def phrase(self, content: Mapping[str, Any]) -> str:
        """The head's name."""
        return f"segmentation network with the head {content['head']['name']}"

    def exportable(self, trained: TrainedSegmenter) -> SegmentExport:
        """The whole network."""
        return SegmentExport(trained)

    def exported(self, graph: ExportedGraph, about: SegmenterDescription) -> ExportedSegmenter:
        """The whole network."""
        return ExportedSegmenter(graph)

    def measured_part(self, about: SegmenterDescription) -> dict[str, Any]:
        """The head, with the pass to measure."""
        passed = "images to a map of classes at a quarter of their size"
        return {"head": dict(about.head), "num_classes": len(about.class_names), "pass": passed}

    def create_measured(self, model: Mapping[str, Any], part: Mapping[str, Any]) -> Segmenter:
        """The whole network."""
        return create_segmenter(model, part["head"], part["num_classes"])

    def diagnose(self, config: DoctorConfig) -> DataSet | None:
        """What `fastitpn doctor` finds in data of this task."""
        return diagnose(config)


def build_task(config: SegmentConfig, classes: SegmentationClasses, class_weights: Tensor | None = None) -> SegmentTask:
    """The network of a configuration, with its start weights, as a task.

    Args:
        config: Keys of the training.
        classes: Names and colours of the classes in the data.
        class_weights: [classes], of each class in the loss; None for no weights.

    Raises:
        InputError: The weights do not fit.
    """
    start = find_start(config, without=_DECIDED_HERE, heads=True)
    head = HEADS[config.head.name]
    arguments = head.arguments(config.head, start.pyramid_dim, start.px)
    if config.panoptic:
        arguments = {**head.panoptic, **arguments}
    about = SegmenterDescription(
        model=start.model_for(len(classes.names), map_px=start.px),
        head={"name": config.head.name, "arguments": dict(arguments), "features": config.features},
        classes=classes,
        mean=config.mean,
        std=config.std,
        px=start.px,
        resize=config.resize,
    )
    network = SPEC.create(about, drop_path_rate=config.drop_path)
    network.backbone.set_acceleration(start.acceleration)
    start_network(
        network,
        start,
        task=SPEC.name,
        head=("head", about.head),
        classes=classes.names,
        class_layers=network.class_layers,
        input_layers=network.input_layers,
        strict=config.weights_strict,
    )
    return SegmentTask(network, about, class_weights)


def _count_objects(images: MaskedImages, queries: int | None) -> list[int]:
    """Segments of each image, or classes of some images; none where there cannot be too many."""
    if queries is None:
        return []
    if isinstance(images.masks, PanopticLabels) and images.classes.panoptic:
        return images.masks.num_segments
    if queries >= len(images.classes.names):
        return []
    places = range(0, len(images), -(-len(images) // _MOST_COUNTED))
    return [len(set(np.unique(images.labels(place)).tolist()) - {IGNORE}) for place in places]


def _views(config: TestTimeViewsConfig, trained: TrainedSegmenter) -> TestTimeViews:
    """How the keys of a command ask to look at images; what they leave open is as in the training.

    Raises:
        InputError: The stride is longer than a window, or a panoptic network is to look more than once.
    """
    about = trained.about
    if about.classes.panoptic and (config.inference == "slide" or config.flip or len(config.scales) > 1):
        raise InputError(
            "inference=slide, scales and flip: not used by a panoptic network, which sees the whole image once",
            where=trained.path,
            expected="px and resize alone",
            fix="leave them out",
        )
    return TestTimeViews(
        px=about.px,
        resize=about.resize if config.resize is None else config.resize,
        inference=config.inference,
        stride=config.stride,
        scales=config.scales,
        flip=config.flip,
        batch=config.window_batch,
    )


SPEC = Segment()
