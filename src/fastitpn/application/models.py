"""The model that the page shows: of any task, from its checkpoint alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from fastitpn.application.config import AppConfig
from fastitpn.data.detection.transforms import DetectEval
from fastitpn.data.images.transforms import classify_eval
from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.inference.drawing import Share, fitted
from fastitpn.inference.results import Classification
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.reporting.feature_pictures import colour_panel
from fastitpn.reporting.panels import Panel
from fastitpn.reporting.pca import FeatureColours
from fastitpn.runs.trained_model import TrainedCheckpoint, load_classifier, open_checkpoint
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import ImageDetections
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.results import Segmentation
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.processes.devices import build_fabric
from fastitpn.visualization.config import VisualizeFeaturesConfig
from fastitpn.visualization.levels import level_maps, level_titles
from fastitpn.visualization.subject import load_subject

_LEAST_PX, _MOST_PX = 640, 1024
"""Longest side of a picture on the page."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A prediction as the page shows it.

    Attributes:
        found: In plain types, as `predict` writes it.
        picture: The image with what was found; None where that is not to be seen in the image.
        shares: What was found, with a score or a share of the image each.
        panels: Pictures of features.
    """

    found: dict[str, Any]
    picture: Image.Image | None = None
    shares: Sequence[Share] = ()
    panels: Sequence[Panel] = ()


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """A model that is ready to use.

    Attributes:
        task: What it was trained for.
        facts: What there is to say about it, each in a few words.
        backbone: The part that is accelerated.
        look: From an RGB image to pixels [1, 3, H, W] of which tokens are drawn, sides multiples of 16.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: Where it computes.
        prepare: From an RGB image and the least score of things to what predicts it, as often as it is called.
        show: What is shown of a prediction, and of its image.
    """

    task: str
    facts: tuple[str, ...]
    backbone: FastITPN
    look: Callable[[Image.Image], torch.Tensor]
    mean: Sequence[float]
    std: Sequence[float]
    device: torch.device
    prepare: Callable[[Image.Image, float], Callable[[], Any]]
    show: Callable[[Any, Image.Image], Shown]


def open_model(config: AppConfig) -> LiveModel:
    """Builds the model of a checkpoint.

    Raises:
        InputError: The checkpoint cannot be read, or the configuration does not fit it.
    """
    checkpoint = open_checkpoint(config.checkpoint)
    if checkpoint.task == "segment":
        return _segmenter(config, checkpoint)
    if checkpoint.task == "detect":
        return _detector(config, checkpoint)
    if checkpoint.task == "pretrain":
        return _pretrained(config)
    return _classifier(config, checkpoint)


def _classifier(config: AppConfig, checkpoint: TrainedCheckpoint) -> LiveModel:
    trained = load_classifier(checkpoint, config.acceleration)
    trained = replace(trained, px=config.px or trained.px)
    predictor = Predictor.of(trained, device=config.device, precision=config.precision)
    transform = classify_eval(trained.px, mean=trained.mean, std=trained.std)

    def show(one: Classification, _: Image.Image) -> Shown:
        shares = [Share(label, score) for label, score in zip(one.labels, one.scores, strict=True)]
        return Shown(shares=shares, found=one.to_json())

    return LiveModel(
        task="classify",
        facts=_facts("classifier", checkpoint, f"{trained.px} px", f"{len(trained.classes)} classes", predictor.device),
        backbone=trained.model,
        look=lambda image: transform(image).unsqueeze(0),
        mean=trained.mean,
        std=trained.std,
        device=predictor.device,
        prepare=lambda image, _: predictor.prepare(image, config.top_k),
        show=show,
    )


def _segmenter(config: AppConfig, checkpoint: TrainedCheckpoint) -> LiveModel:
    trained = load_segmenter(checkpoint, config.acceleration)
    px = config.px or trained.px
    views = Views(px=px, resize=trained.resize)
    predictor = SegmentPredictor.of(trained, views, device=config.device, precision=config.precision)

    def show(one: Segmentation, _: Image.Image) -> Shown:
        shares = [Share(c.name, c.share, one.classes.colors[c.label]) for c in one.found]
        return Shown(picture=_sized(one.draw(_MOST_PX, legend=False)), shares=shares, found=one.to_json())

    return LiveModel(
        task="segment",
        facts=_facts("segmentation", checkpoint, f"{px} px", f"{len(predictor.classes)} classes", predictor.device),
        backbone=trained.model.backbone,
        look=_whole(px, trained.mean, trained.std),
        mean=trained.mean,
        std=trained.std,
        device=predictor.device,
        prepare=lambda image, _: predictor.prepare(image),
        show=show,
    )


def _detector(config: AppConfig, checkpoint: TrainedCheckpoint) -> LiveModel:
    trained = load_detector(checkpoint, config.acceleration).at(config.px, None)
    predictor = DetectPredictor.of(trained, device=config.device, precision=config.precision)
    colors = distinct_colors(predictor.classes)

    def show(one: ImageDetections, image: Image.Image) -> Shown:
        shares = [Share(thing.name, thing.score, colors[thing.label]) for thing in one.things]
        return Shown(picture=one.draw(_longest_px(image)), shares=shares, found=one.to_json())

    return LiveModel(
        task="detect",
        facts=_facts("detector", checkpoint, f"{trained.px} px", f"{len(predictor.classes)} classes", predictor.device),
        backbone=trained.model.backbone,
        look=_whole(trained.px, trained.mean, trained.std),
        mean=trained.mean,
        std=trained.std,
        device=predictor.device,
        prepare=predictor.prepare,
        show=show,
    )


def _pretrained(config: AppConfig) -> LiveModel:
    asked = VisualizeFeaturesConfig(
        checkpoint=config.checkpoint, images=Path(), acceleration=config.acceleration, px=config.px
    )
    subject = load_subject(asked, pyramid=True)
    device = build_fabric(config.device, precision="32-true").device
    model = subject.model.to(device)
    titles = level_titles(model)
    transform = classify_eval(subject.px, mean=subject.mean, std=subject.std)

    def prepare(image: Image.Image, _: float) -> Callable[[], Any]:
        pixels = transform(image).unsqueeze(0).to(device)
        return lambda: level_maps(model, pixels, list(titles))

    def show(maps: dict[str, torch.Tensor], _: Image.Image) -> Shown:
        panels = [
            colour_panel(titles[name], FeatureColours.fit(map_)(map_).numpy(), subject.grid)
            for name, map_ in maps.items()
        ]
        sizes = {name: list(map_.shape) for name, map_ in maps.items()}
        return Shown(panels=panels, found={"maps": sizes})

    return LiveModel(
        task="pretrain",
        facts=("pre-trained", subject.name, f"{subject.px} px", f"{len(titles)} feature maps", str(device)),
        backbone=model,
        look=lambda image: transform(image).unsqueeze(0),
        mean=subject.mean,
        std=subject.std,
        device=device,
        prepare=prepare,
        show=show,
    )


def _facts(kind: str, checkpoint: TrainedCheckpoint, px: str, classes: str, device: torch.device) -> tuple[str, ...]:
    return kind, str(checkpoint.content["model"]["name"]), px, classes, str(device)


def _whole(px: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image], torch.Tensor]:
    """The whole image with a shorter side of about `px`, and at most twice that in the other."""

    def look(image: Image.Image) -> torch.Tensor:
        scale = min(px / min(image.size), 2 * px / max(image.size))
        width, height = (PATCH * max(1, round(scale * side / PATCH)) for side in image.size)
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return DetectEval(mean=mean, std=std, px=min(width, height), max_px=max(width, height))(resized).unsqueeze(0)

    return look


def _longest_px(image: Image.Image) -> int:
    return min(_MOST_PX, max(_LEAST_PX, *image.size))


def _sized(image: Image.Image) -> Image.Image:
    px = _longest_px(image)
    return image if px == max(image.size) else fitted(image, px)
