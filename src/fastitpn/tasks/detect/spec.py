"""Detection: boxes, and masks, of the objects in an image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from fastitpn.console import say
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.datasets import DetectDataset, collate_detect
from fastitpn.data.detection.images import detection_images, detection_split, left_out_of
from fastitpn.data.detection.problems import describe_left_out
from fastitpn.data.detection.transforms import DetectTrain
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet
from fastitpn.exporting.exported import ExportedGraph
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.detect.config import (
    MIN_SCORE,
    DetectConfig,
    DetectEvaluateConfig,
    DetectionsConfig,
    DetectPredictConfig,
)
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.diagnosis import diagnose
from fastitpn.tasks.detect.evaluation import DetectEvaluation, detection_loader, evaluate_detector, view_of
from fastitpn.tasks.detect.export import DetectExport
from fastitpn.tasks.detect.exported import ExportedDetector
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.detect.metrics import MAIN, metrics_of
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.detect.prediction import DetectPrediction
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.task import DetectTask
from fastitpn.tasks.detect.views import MOST_EVALUATED, DetectViews
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.tasks.queries import MISSED, say_if_many
from fastitpn.tasks.spec import Split, TaskSpec, TrainingSamples
from fastitpn.tasks.start import find_start, start_network
from fastitpn.training.loaders import cache_mib
from fastitpn.training.metric import Metric
from fastitpn.training.published_rate import PublishedRate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TrainedDetector = Trained[Detector, DetectorDescription]

_LONGEST = 5 / 3
"""Longest side of an image over `px`, as in COCO's usual 800 x 1333."""
_QUERIES = "detector.queries"
_SMALL = 2
"""Images more than so many times as large as they are looked at are worth a word."""


class Detect(TaskSpec[DetectConfig, DetectionImages, DetectorDescription]):
    """Detection and instance segmentation."""

    name = "detect"
    noun = "detector"
    title = "Detection"
    parts = "the model and the detector that are stored beside them"
    takes = frozenset({"min_score"})
    pictured = True
    particularity = 1
    all_metrics = metrics_of(masks=True)
    description = DetectorDescription

    def open_data(self, config: DetectConfig) -> Split[DetectionImages]:
        """Images with COCO annotations, all of which have masks where the detector learns from them."""
        train, val = detection_split(
            config.data,
            config.val,
            images=folder_of_images(config.images, config.data),
            val_ratio=config.held_out,
            seed=config.seed,
            on_error=config.on_error,
            with_masks=DETECTORS[config.detector.name].needs_masks,
        )
        problems, left_out = left_out_of(train, val)
        notes = [f"on_error=skip: {describe_left_out(problems, left_out)}"] if problems else []
        return Split(train=train, val=val, num_classes=len(train.classes), notes=notes)

    def image_files(self, images: DetectionImages) -> Sequence[Path]:
        """All of them."""
        return images.paths

    def label_files(self, images: DetectionImages) -> Sequence[Path]:
        """The file of their annotations, if they are in one."""
        return [images.path] if images.path.is_file() else []

    def build(self, config: DetectConfig, split: Split[DetectionImages]) -> DetectTask:
        """The detector with its start weights."""
        start, classes = find_start(config, without=("pyramid", "fc_norm"), heads=True), split.train.classes
        head, name = DETECTORS[config.detector.name], config.detector.name
        about = DetectorDescription(
            model=start.model_for(len(classes), map_px=start.px),
            detector={"name": name, "arguments": head.arguments(config.detector, start.pyramid_dim, start.px)},
            classes=classes,
            mean=config.mean,
            std=config.std,
            px=start.px,
            max_px=start.px if config.jitter else config.max_px or round(_LONGEST * start.px),
        )
        detector = self.create(about, drop_path_rate=config.drop_path)
        detector.backbone.set_acceleration(start.acceleration)
        start_network(
            detector,
            start,
            task=self.name,
            head=("detector", about.detector),
            classes=classes.names,
            class_layers=detector.class_layers,
            input_layers=detector.input_layers,
            strict=config.weights_strict,
        )
        _say_if_small(split.train, start.px)
        say_if_many(split.train.num_objects, detector.queries, _QUERIES)
        return DetectTask(detector, about)

    def published_rates(self, config: DetectConfig) -> Mapping[str, PublishedRate]:
        """That of the detector, on COCO in 12 epochs."""
        rate = DETECTORS[config.detector.name].published
        return {} if rate is None else {"": rate}

    def training_samples(
        self, config: DetectConfig, split: Split[DetectionImages], about: DetectorDescription
    ) -> TrainingSamples:
        """Augmented images with their annotations."""
        transform = DetectTrain(
            px=config.multi_scale or (about.px,),
            max_px=about.max_px,
            crop=config.crop,
            crop_px=about.px,
            mean=config.mean,
            std=config.std,
            square_px=about.px if config.jitter else None,
            scale_range=config.jitter or (1.0, 1.0),
            hflip=config.hflip,
            photometric=config.photometric,
        )
        dataset = DetectDataset(split.train, transform, seed=config.seed, cache_mib=cache_mib(config.workers))
        # A batch is as wide as its widest image and as high as its highest; jitter makes squares of all.
        upright = None if config.jitter else [height > width for height, width in split.train.sizes]
        return TrainingSamples(dataset=dataset, to_batch=collate_detect, kinds=upright)

    def validation_batches(
        self, config: DetectConfig, split: Split[DetectionImages], about: DetectorDescription
    ) -> DataLoader[Any]:
        """Images with their annotations."""
        return detection_loader(split.val, about, workers=config.workers)

    def facts(self, config: DetectConfig) -> dict[str, str]:
        """The detector's name."""
        return {"detector": config.detector.name}

    def metrics(self, about: DetectorDescription) -> tuple[Metric, ...]:
        """COCO's average precision and recall."""
        return metrics_of(masks=about.head.needs_masks)

    def curves(self, about: DetectorDescription) -> tuple[Metric, ...]:
        """AP of boxes and of masks."""
        return MAIN

    def create(self, about: DetectorDescription, **extra: Any) -> Detector:
        """The detector that a checkpoint describes."""
        return create_detector(about.model, about.detector, len(about.classes), **extra)

    def phrase(self, content: Mapping[str, Any]) -> str:
        """The detector's name."""
        return f"detector {content['detector']['name']}"

    def resized(self, trained: TrainedDetector, config: EvaluateConfig | PredictConfig) -> TrainedDetector:
        """The detector with another shorter side, and a longest one in proportion where none is given."""
        assert isinstance(config, DetectionsConfig)
        trained = trained.at(config.px)
        if config.max_px is None:
            return trained
        return replace(trained, about=replace(trained.about, max_px=config.max_px))

    def evaluation_images(self, config: EvaluateConfig, trained: TrainedDetector) -> DetectionImages:
        """Images with annotations of the detector's classes."""
        assert isinstance(config, DetectEvaluateConfig)
        assert config.data is not None
        images = detection_images(
            config.data,
            part=config.split,
            images=folder_of_images(config.images, config.data),
            classes=trained.about.classes,
            on_error=config.on_error,
            with_masks=None if trained.model.has_masks else False,
        )
        say_if_many(images.num_objects, trained.model.queries, _QUERIES, MISSED)
        return images

    def evaluate(
        self,
        trained: TrainedDetector,
        images: DetectionImages,
        fabric: "Fabric",
        *,
        config: EvaluateConfig | None = None,
        batch: int = 64,
        workers: int = 0,
        progress: bool = False,
    ) -> DetectEvaluation:
        """Average precision; images of one size are looked at together."""
        asked = config if isinstance(config, DetectEvaluateConfig) else None
        min_score = asked.min_score if asked else MIN_SCORE
        return evaluate_detector(
            trained,
            images,
            fabric,
            min_score=min_score,
            views=DetectViews.of(view_of(trained.about), asked, most=MOST_EVALUATED) if asked else None,
            batch=batch,
            workers=workers,
            progress=progress,
        )

    def predictor(self, trained: TrainedDetector, *, device: str = "auto", precision: str = "auto") -> DetectPredictor:
        """What finds the objects in images."""
        about = trained.about
        return DetectPredictor(
            trained.model,
            classes=about.classes,
            px=about.px,
            max_px=about.max_px,
            mean=about.mean,
            std=about.std,
            device=device,
            precision=precision,
        )

    def prediction(self, trained: TrainedDetector, config: PredictConfig) -> DetectPrediction:
        """Objects of images, each at its own size."""
        assert isinstance(config, DetectPredictConfig)
        predictor = self.predictor(trained, device=config.device, precision=config.precision)
        predictor.look_through(DetectViews.of(view_of(trained.about), config))
        return DetectPrediction(predictor, batch=config.batch, min_score=config.min_score, track=config.track)

    def exportable(self, trained: TrainedDetector) -> DetectExport:
        """The whole detector."""
        return DetectExport(trained)

    def exported(self, graph: ExportedGraph, about: DetectorDescription) -> ExportedDetector:
        """The whole detector."""
        return ExportedDetector(graph)

    def diagnose(self, config: DoctorConfig) -> DataSet | None:
        """What `fastitpn doctor` finds in data of this task."""
        return diagnose(config)


def folder_of_images(images: Path | None, data: Path) -> Path | None:
    """The folder of images that a command asks for: inside of its data if it is there, else as it was typed."""
    if images is None:
        return None
    inside = (data if data.is_dir() else data.parent) / images
    return inside if inside.is_dir() else images


def _say_if_small(images: DetectionImages, px: int) -> None:
    """A hint to those who did not think of px: small objects vanish where large images are looked at in a small one."""
    shorter = sorted(min(size) for size in images.sizes)[len(images) // 2]
    if shorter > _SMALL * px:
        say(
            f"the images are {shorter} px high or wide, and are resized to {px} px: a larger px detects smaller objects"
        )


SPEC = Detect()
