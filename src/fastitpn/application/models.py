"""The model that the page shows: of any task, from its checkpoint alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from fastitpn.application.config import AppConfig
from fastitpn.data.images.reading import settle_range
from fastitpn.data.images.transforms import classify_eval
from fastitpn.inference.drawing import Share
from fastitpn.inference.results import Result
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.backbone import FastITPN
from fastitpn.reporting.feature_pictures import colour_panel
from fastitpn.reporting.panels import Panel
from fastitpn.reporting.pca import FeatureColours
from fastitpn.runs.trained_model import open_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec
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
        picture: The image with the predictions; None where that is not to be seen in the image.
        shares: Findings, with a score or a share of the image each.
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
        facts: What there is to say about it, each in a few words.
        acceleration: What it begins with.
        backbone: The part that is accelerated; None for an exported graph, which keeps what it has.
        look: From an RGB image to pixels [1, 3, H, W] of which tokens are drawn, sides multiples of 16.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: Where it computes.
        prepare: From an RGB image and the least score of things to what predicts it, as often as it is called.
        show: What is shown of a prediction, and of its image.
        scored: Whether predictions have scores, of which the least to show can be chosen.
        pictured: Whether predictions are drawn into the image.
    """

    facts: tuple[str, ...]
    acceleration: Acceleration
    backbone: FastITPN | None
    look: Callable[[Image.Image], torch.Tensor]
    mean: Sequence[float]
    std: Sequence[float]
    device: torch.device
    prepare: Callable[[Image.Image, float], Callable[[], Any]]
    show: Callable[[Any, Image.Image], Shown]
    scored: bool = False
    pictured: bool = False


def open_model(config: AppConfig) -> LiveModel:
    """Builds the model of a checkpoint.

    Raises:
        InputError: The checkpoint cannot be read, or the configuration does not fit it.
    """
    checkpoint = open_checkpoint(config.checkpoint)
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
    if TASKS.keys_of(spec.name).predict is None:
        return _features(config)
    trained = load_trained(checkpoint, config.acceleration, fit=config.fit).at(config.px)
    settle_range(config.image, (), trained.about.pixel_range)
    predictor = spec.predictor(trained, device=config.device, precision=config.precision)

    def prepare(image: Image.Image, min_score: float) -> Callable[[], Any]:
        controls = {"top_k": config.top_k, "min_score": min_score}
        run: Callable[[], Any] = predictor.prepare_image(
            image, **{k: v for k, v in controls.items() if k in spec.takes}
        )
        return run

    def show(result: Result, image: Image.Image) -> Shown:
        picture = result.picture(_longest_px(image))
        return Shown(picture=picture, shares=result.shares(), found=result.to_json())

    about = trained.about
    classes = f"{len(about.class_names)} classes"
    place = str(predictor.device) if checkpoint.exported is None else f"by {checkpoint.exported['runtime']}"
    return LiveModel(
        facts=(spec.noun, str(about.model["name"]), f"{about.px} px", classes, place),
        acceleration=trained.acceleration,
        backbone=trained.fast_itpn,
        look=spec.look(about),
        mean=about.mean,
        std=about.std,
        device=predictor.device,
        prepare=prepare,
        show=show,
        scored="min_score" in spec.takes,
        pictured=spec.pictured,
    )


def _features(config: AppConfig) -> LiveModel:
    """A model that predicts nothing: its feature maps are shown."""
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
        facts=("pre-trained", subject.name, f"{subject.px} px", f"{len(titles)} feature maps", str(device)),
        acceleration=model.acceleration,
        backbone=model,
        look=lambda image: transform(image).unsqueeze(0),
        mean=subject.mean,
        std=subject.std,
        device=device,
        prepare=prepare,
        show=show,
    )


def _longest_px(image: Image.Image) -> int:
    return min(_MOST_PX, max(_LEAST_PX, *image.size))
