"""What a task is: everything that the verbs ask of it. A new task is a folder with one of these, and a line in `TASKS`.

A task says what its data is, how its network is built and learns, what is measured and what a prediction is. The verbs
(`finetune`, `evaluate`, `predict`, `export`, `benchmark`, `doctor`, `app`, reports) are written once, for all of them.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from fastitpn.data.datasets import Sample, SeededDataset, collate
from fastitpn.diagnosis.findings import DataSet
from fastitpn.errors import InputError
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.exported import ExportedGraph
from fastitpn.inference.look import whole_look
from fastitpn.inference.prediction import Prediction
from fastitpn.inference.predictor import ImagePredictor
from fastitpn.models.backbone import FastITPN
from fastitpn.runs.description import ModelDescription
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.chosen_defaults import SuitedDefaults
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tasks.keys import EvaluateConfig, FinetuneConfig, PredictConfig
from fastitpn.training.metric import Metric
from fastitpn.training.published_rate import PublishedRate
from fastitpn.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ConfigT = TypeVar("ConfigT", bound=FinetuneConfig)
ImagesT = TypeVar("ImagesT", bound=Sized)
AboutT = TypeVar("AboutT", bound=ModelDescription)


@dataclass(frozen=True, kw_only=True)
class Split(Generic[ImagesT]):
    """Labelled data, read and checked.

    Attributes:
        train: Images to learn from.
        val: Images to validate on.
        num_classes: How many classes there are.
        notes: What a person should know of the data, a line each.
    """

    train: ImagesT
    val: ImagesT
    num_classes: int
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class TrainingSamples:
    """What a training loads.

    Attributes:
        dataset: Its samples depend on (seed, epoch, index) alone.
        to_batch: Makes a batch of samples.
        kinds: A number for each sample: those of a batch share theirs, see `StepSampler`; None for any order.
    """

    dataset: SeededDataset
    to_batch: Callable[[list[Sample]], dict[str, Any]] = collate
    kinds: Sequence[int] | None = None


class TaskSpec(Generic[ConfigT, ImagesT, AboutT]):
    """A task. All methods without a body must be defined.

    Attributes:
        name: What people type, and what a checkpoint says.
        noun: What a trained model is called, such as "classifier".
        title: Heading of the report of a run.
        parts: What the weights of a checkpoint are those of, for messages.
        takes: Options of its predictor that the app has controls for: "top_k", "min_score".
        all_metrics: What its evaluations measure, of all forms of its networks.
        particularity: Whose `diagnose` is asked first whether data is its own: the highest.
        pictured: Whether a prediction is drawn into the image, see `Result.picture`.
        description: The typed content of a checkpoint.
        suited: Defaults of its training for few images and for CPUs.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    title: ClassVar[str]
    parts: ClassVar[str] = "the model that is stored beside them"
    takes: ClassVar[frozenset[str]] = frozenset()
    pictured: ClassVar[bool] = False
    all_metrics: ClassVar[tuple[Metric, ...]]
    particularity: ClassVar[int] = 3
    description: type[AboutT]
    suited: ClassVar[SuitedDefaults] = SuitedDefaults()

    def select(self, images: ImagesT, places: Sequence[int]) -> ImagesT:
        """The images at these positions, with the same classes; a task whose images have no `select` says how."""
        able: Any = images
        chosen: ImagesT = able.select(places)
        return chosen

    # Training

    def open_data(self, config: ConfigT) -> Split[ImagesT]:
        """Read and check the data of a training.

        Raises:
            InputError: With everything that is wrong with it.
        """
        raise NotImplementedError

    def image_files(self, images: ImagesT) -> Sequence[Path]:
        """Files of the images, to find the range of their values and to know them again; none leaves both out."""
        return ()

    def label_files(self, images: ImagesT) -> Sequence[Path]:
        """Files of their labels, beside those that keys name: masks, annotations."""
        return ()

    def build(self, config: ConfigT, split: Split[ImagesT]) -> Task:
        """The network with its start weights, as what learns.

        Raises:
            InputError: The weights do not fit.
        """
        raise NotImplementedError

    def training_samples(self, config: ConfigT, split: Split[ImagesT], about: AboutT) -> TrainingSamples:
        """What the training loads."""
        raise NotImplementedError

    def validation_batches(self, config: ConfigT, split: Split[ImagesT], about: AboutT) -> DataLoader[Any]:
        """What `Task.evaluate` sees of the validation data, in its order."""
        raise NotImplementedError

    def adapt(self, task: Task, fabric: "Fabric") -> None:
        """Changes the network for the devices it will run on: batch norm sees the images of all GPUs."""
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(task)

    def published_rates(self, config: ConfigT) -> Mapping[str, PublishedRate]:
        """Published learning rates by the size of the model, see `rate_for`; none refuses `lr=auto`."""
        return {}

    def facts(self, config: ConfigT) -> Mapping[str, str]:
        """What a report says of the settings, such as the head's name."""
        return {}

    # A trained model

    def metrics(self, about: AboutT) -> tuple[Metric, ...]:
        """All that the evaluation of a network measures; the first one chooses the best checkpoint."""
        return self.all_metrics

    def curves(self, about: AboutT) -> tuple[Metric, ...]:
        """The metrics that a report draws over the steps, beside the loss."""
        return self.metrics(about)[:1]

    def create(self, about: AboutT, **extra: Any) -> nn.Module:
        """The network that a checkpoint describes.

        Args:
            about: What the checkpoint says of the network.
            **extra: Arguments of `create_model` that are not kept, such as `drop_path_rate`.
        """
        raise NotImplementedError

    def backbone(self, model: nn.Module) -> FastITPN:
        """The part of the network that is a `FastITPN`."""
        backbone: FastITPN = model if isinstance(model, FastITPN) else model.backbone  # type: ignore[assignment]
        return backbone

    def phrase(self, content: Mapping[str, Any]) -> str:
        """What a checkpoint holds, in a few words, for `inspect`; "" leaves that to its tensors."""
        return ""

    def resized(self, trained: Trained[Any, AboutT], config: EvaluateConfig | PredictConfig) -> Trained[Any, AboutT]:
        """The model looking at images in the size that a command asks for."""
        return trained.at(config.px)

    # Evaluation

    def evaluation_images(self, config: EvaluateConfig, trained: Trained[Any, AboutT]) -> ImagesT:
        """Read and check the data of an evaluation.

        Raises:
            InputError: With everything that is wrong with it.
        """
        raise NotImplementedError

    def evaluate(
        self,
        trained: Trained[Any, AboutT],
        images: ImagesT,
        fabric: "Fabric",
        *,
        config: EvaluateConfig | None = None,
        batch: int = 64,
        workers: int = 0,
        progress: bool = False,
    ) -> Evaluation:
        """Measure a trained model; it moves to the device.

        Args:
            trained: The trained model; it moves to the device.
            images: With labels of its classes.
            fabric: Device and precision to compute with.
            config: How to look at the images; None for as in the training.
            batch: Images in one batch at most.
            workers: Processes that load images.
            progress: Show a bar, if this is a terminal.
        """
        raise NotImplementedError

    # Prediction

    def predictor(
        self, trained: Trained[Any, AboutT], *, device: str = "auto", precision: str = "auto"
    ) -> ImagePredictor[Any]:
        """What `fastitpn.load` gives: called with images it returns `Results`."""
        raise NotImplementedError

    def prediction(self, trained: Trained[Any, AboutT], config: PredictConfig) -> Prediction[Any]:
        """What `fastitpn predict` does with many images.

        Raises:
            InputError: The keys do not fit the model.
        """
        raise NotImplementedError

    def look(self, about: AboutT) -> Callable[[Image.Image], Tensor]:
        """From an RGB image to pixels [1, 3, H, W] of which tokens are drawn, sides multiples of 16."""
        return whole_look(about.px, about.mean, about.std)

    # Elsewhere

    def measured_part(self, about: AboutT) -> dict[str, Any] | None:
        """What `benchmark` runs, in plain types that `create_measured` takes; None for the backbone with its own head.

        Its "pass" says what goes in and comes out.
        """
        return None

    def create_measured(self, model: Mapping[str, Any], part: Mapping[str, Any]) -> nn.Module:
        """The network that `benchmark` runs, with random weights.

        Args:
            model: "name" and "arguments" of `create_model`.
            part: What `measured_part` gave.
        """
        raise NotImplementedError

    def exportable(self, trained: Trained[Any, AboutT]) -> Exportable:
        """The network to export, with what compares and measures it."""
        raise NotImplementedError

    def exported(self, graph: ExportedGraph, about: AboutT) -> nn.Module:
        """What stands for the network where an exported folder predicts or is evaluated.

        Args:
            graph: Runs what `exportable` gave to export.
            about: What was written down of the model.

        Raises:
            InputError: This task does not say how.
        """
        raise InputError(
            f"exported folders of the task {self.name!r} cannot be run by fastitpn",
            expected="a task whose TaskSpec has `exported`",
            fix="predict with the run that was exported, or see run.py in the folder",
        )

    def diagnose(self, config: Any) -> DataSet | None:
        """What `fastitpn doctor` finds in data of this task; None if the data is of another kind."""
        return None
