"""Classification: a class for each image."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from fastitpn.console import say
from fastitpn.data.classification.datasets import ClassifiedImages, ClassifyDataset
from fastitpn.data.classification.labelled import LabelledImages, labelled_part, labelled_split
from fastitpn.data.classification.multilabel import MultilabelImages, multilabel_part, multilabel_split
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.transforms import classify_eval, classify_train
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet
from fastitpn.exporting.exported import ExportedGraph, FirstOutput
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.chosen_defaults import SuitedDefaults
from fastitpn.tasks.class_weights import class_weights, describe_imbalance
from fastitpn.tasks.classify.config import ClassifyConfig, ClassifyPredictConfig
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.diagnosis import diagnose
from fastitpn.tasks.classify.evaluation import ClassifyEvaluation, evaluate_classifier
from fastitpn.tasks.classify.export import ClassifyExport
from fastitpn.tasks.classify.metrics import METRICS, MULTILABEL
from fastitpn.tasks.classify.multilabel_evaluation import NOT_MEASURED, MultilabelEvaluation, evaluate_multilabel
from fastitpn.tasks.classify.multilabel_export import MultilabelExport
from fastitpn.tasks.classify.multilabel_predictor import MultilabelPrediction, MultilabelPredictor
from fastitpn.tasks.classify.multilabel_scores import MIDDLE
from fastitpn.tasks.classify.multilabel_task import MultilabelTask
from fastitpn.tasks.classify.prediction import ClassifyPrediction
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.classify.task import ClassifyTask, MixSettings
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.tasks.spec import Split, TaskSpec, TrainingSamples
from fastitpn.tasks.start import PYRAMID_ARGUMENTS, find_start
from fastitpn.training.loaders import cache_mib, evaluation_loader
from fastitpn.training.metric import Metric
from fastitpn.training.published_rate import PublishedRate
from fastitpn.training.setup import start_from

if TYPE_CHECKING:
    from lightning_fabric import Fabric

TrainedClassifier = Trained[FastITPN, ClassifierDescription]


class Classify(TaskSpec[ClassifyConfig, ClassifiedImages, ClassifierDescription]):
    """Image classification."""

    name = "classify"
    noun = "classifier"
    title = "Classification"
    parts = "create_model with the name and the arguments that are stored beside them"
    takes = frozenset({"top_k"})
    particularity = 0
    all_metrics = (*METRICS, *MULTILABEL)
    description = ClassifierDescription
    suited = SuitedDefaults(
        few_images={
            "mixup": 0.0,
            "cutmix": 0.0,
            "rand_augment": None,
            "random_erasing": 0.0,
            "crop_scale": (0.35, 1.0),
        },
        very_few_images={"batch": 16},
        cpu_px=128,
        short_on_cpu=True,
    )

    def open_data(self, config: ClassifyConfig) -> Split[ClassifiedImages]:
        """Images in folders of classes, or in a table."""
        how: dict[str, Any] = {"val_ratio": config.held_out, "seed": config.seed}
        train, val = (multilabel_split if config.multilabel else labelled_split)(config.data, config.val, **how)
        check_readable([*train.paths, *val.paths])
        notes = [
            f"to {part}: {line}"
            for part, images, effect in (("train", train, "that cannot be learnt"), ("validate", val, NOT_MEASURED))
            if isinstance(images, MultilabelImages)
            for line in images.describe(effect)
        ]
        if isinstance(train, LabelledImages):
            notes += describe_imbalance(config.class_weights, train.counts(), train.classes)
        for line in notes:
            say(line)
        return Split(train=train, val=val, num_classes=len(train.classes), notes=notes)

    def image_files(self, images: ClassifiedImages) -> Sequence[Path]:
        """All of them."""
        return images.paths

    def build(self, config: ClassifyConfig, split: Split[ClassifiedImages]) -> ClassifyTask | MultilabelTask:
        """The model with its start weights; a head for other classes starts fresh."""
        start, classes = find_start(config, without=PYRAMID_ARGUMENTS), split.train.classes
        built = start.model_for(len(classes))
        about = ClassifierDescription(
            model={**built, "arguments": {**built["arguments"], "num_classes": len(classes)}},
            classes=tuple(classes),
            thresholds=(MIDDLE,) * len(classes) if config.multilabel else None,
            mean=config.mean,
            std=config.std,
            px=start.px,
        )
        model = self.create(about, drop_path_rate=config.drop_path)
        model.set_acceleration(start.acceleration)
        if start.file is not None:
            fix = "weights_strict=false to load the part that fits"
            start_from(model, start.file, name=start.name, fix=fix, strict=config.weights_strict)
            before = start.file.checkpoint.get("classes")
            if before is not None and before != classes and len(before) == len(classes):  # as many, but other ones
                model.reset_classifier(len(classes))
                say("the head of those weights is for other classes: it is randomly initialised")
        mix = MixSettings(
            mixup=config.mixup or 0.0,
            cutmix=config.cutmix or 0.0,
            switch=config.mixup_switch,
            label_smoothing=config.label_smoothing or 0.0,
        )
        if isinstance(split.train, MultilabelImages):
            return MultilabelTask(model, about, mix)
        return ClassifyTask(model, about, mix, class_weights(config.class_weights, split.train.counts(), classes))

    def published_rates(self, config: ClassifyConfig) -> Mapping[str, PublishedRate]:
        """Of the fine-tuning on ImageNet."""
        return {"": PublishedRate(lr=1e-4, images=1024), "large": PublishedRate(lr=5e-5, images=512)}

    def training_samples(
        self, config: ClassifyConfig, split: Split[ClassifiedImages], about: ClassifierDescription
    ) -> TrainingSamples:
        """Augmented images."""
        transform = classify_train(
            about.px,
            mean=config.mean,
            std=config.std,
            crop_scale=config.crop_scale,
            hflip=config.hflip,
            rand_augment=config.rand_augment,
            random_erasing=config.random_erasing,
        )
        cache = cache_mib(config.workers)
        return TrainingSamples(dataset=ClassifyDataset(split.train, transform, seed=config.seed, cache_mib=cache))

    def validation_batches(
        self, config: ClassifyConfig, split: Split[ClassifiedImages], about: ClassifierDescription
    ) -> DataLoader[Any]:
        """Images and labels."""
        return evaluation_loader(split.val, about.px, about.mean, about.std, batch=config.batch, workers=config.workers)

    def metrics(self, about: ClassifierDescription) -> tuple[Metric, ...]:
        """Of sets of labels, or of classes."""
        return METRICS if about.thresholds is None else MULTILABEL

    def phrase(self, content: Mapping[str, Any]) -> str:
        """Whether it gives images several labels."""
        return "multi-label classifier" if "thresholds" in content else ""

    def create(self, about: ClassifierDescription, **extra: Any) -> FastITPN:
        """The model; its head must have a logit for each class."""
        model: FastITPN = create_model(about.model["name"], **{**about.model["arguments"], **extra})
        if model.num_classes != len(about.classes):
            raise TypeError(f"the checkpoint has {len(about.classes)} names for {model.num_classes} classes")
        return model

    def evaluation_images(self, config: EvaluateConfig, trained: TrainedClassifier) -> ClassifiedImages:
        """Images of the model's classes."""
        assert config.data is not None
        read = labelled_part if trained.about.thresholds is None else multilabel_part
        images: ClassifiedImages = read(config.data, config.split, trained.about.classes)
        check_readable(images.paths)
        return images

    def evaluate(
        self,
        trained: TrainedClassifier,
        images: ClassifiedImages,
        fabric: "Fabric",
        *,
        config: EvaluateConfig | None = None,
        batch: int = 64,
        workers: int = 0,
        progress: bool = False,
    ) -> ClassifyEvaluation | MultilabelEvaluation:
        """Accuracy and confusion, or the precision of each label."""
        if isinstance(images, MultilabelImages):
            return evaluate_multilabel(trained, images, fabric, batch=batch, workers=workers)
        return evaluate_classifier(trained, images, fabric, batch=batch, workers=workers)

    def predictor(self, trained: TrainedClassifier, *, device: str = "auto", precision: str = "auto") -> Predictor:
        """What names the classes of images."""
        about = trained.about
        view = {"classes": about.classes, "px": about.px, "mean": about.mean, "std": about.std}
        arguments: dict[str, Any] = {**view, "device": device, "precision": precision}
        if about.thresholds is not None:
            return MultilabelPredictor(trained.model, thresholds=about.thresholds, **arguments)
        return Predictor(trained.model, **arguments)

    def look(self, about: ClassifierDescription) -> Callable[[Image.Image], Tensor]:
        """The centre of the image, as an evaluation sees it."""
        transform = classify_eval(about.px, mean=about.mean, std=about.std)
        return lambda image: transform(image).unsqueeze(0)

    def prediction(self, trained: TrainedClassifier, config: PredictConfig) -> ClassifyPrediction:
        """Classes in batches."""
        assert isinstance(config, ClassifyPredictConfig)
        predictor = self.predictor(trained, device=config.device, precision=config.precision)
        kind = ClassifyPrediction if trained.about.thresholds is None else MultilabelPrediction
        return kind(predictor, batch=config.batch, top_k=config.top_k)

    def exportable(self, trained: TrainedClassifier) -> ClassifyExport:
        """Logits."""
        about = trained.about
        if about.thresholds is not None:
            return MultilabelExport(trained.model, about)
        return ClassifyExport(trained.model, mean=about.mean, std=about.std, classes=about.classes)

    def exported(self, graph: ExportedGraph, about: ClassifierDescription) -> FirstOutput:
        """Logits."""
        return FirstOutput(graph)

    def diagnose(self, config: DoctorConfig) -> DataSet | None:
        """What `fastitpn doctor` finds in data of this task."""
        return diagnose(config)


SPEC = Classify()
