"""Pre-training on pixels: its student, and pictures of what it reconstructs."""

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fastitpn.models.layers.cells import PATCH
from fastitpn.models.weights.file import read_weights
from fastitpn.pretraining.pixel_model import create_pixel_model, reconstruct
from fastitpn.pretraining.teachers.pixel import PixelKeys
from fastitpn.pretraining.teachers.pixel_teacher import PixelTeacher
from fastitpn.reporting.pictures import hide, level_pictures, picture_rows, to_pictures
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.training.setup import start_from


def build_pixel_task(config: PretrainConfig, keys: PixelKeys) -> PretrainTask:
    """Trunk, pyramid and decoder, with their start values."""
    arguments: dict[str, Any] = {
        "img_size": config.model_px,
        "drop_path_rate": config.drop_path,
        "relative_position": "off",
        "decoder_dim": keys.decoder_dim,
        "decoder_depth": keys.decoder_depth,
        "decoder_heads": keys.decoder_heads,
    }
    file = read_weights(config.weights, **config.choice) if config.weights is not None else None
    if file is not None and config.blocks is not None:
        arguments["depths"] = file.depths
    student = create_pixel_model(config.model, **arguments)
    if file is not None:
        fix = "weights=FILE of a pre-training with teacher=pixel and the same decoder, or leave weights out"
        start_from(student, file, name=config.model, fix=fix)
    about = PretrainDescription(
        model={"name": config.model, "arguments": arguments},
        mean=config.mean,
        std=config.std,
        px=config.model_px,
        teacher={"name": keys.name, "px": config.model_px},
    )
    return PretrainTask(student, PixelTeacher(config.model_px), about, loss="mse")


def reconstructions(
    config: PretrainConfig, images: Tensor, masked: Tensor, predictions: Tensor, level: Tensor
) -> Image.Image:
    """Rows of image, masked image, reconstruction and the finest level of the pyramid.

    Args:
        config: Has the normalisation.
        images: [B, 3, px, px], normalised.
        masked: [B, N] bool.
        predictions: [B, N, 768].
        level: [B, C, h, w].
    """
    photographs = to_pictures(images, config.mean, config.std)
    side = images.shape[-1] // PATCH
    seen = [
        hide(picture, grid) for picture, grid in zip(photographs, masked.reshape(-1, side, side).numpy(), strict=True)
    ]
    with torch.no_grad():
        built = to_pictures(reconstruct(images, predictions, masked), config.mean, config.std)
    titles = (
        "image",
        "what the model sees",
        "reconstruction",
        f"pyramid, stride {images.shape[-1] / level.shape[-1]:g}",
    )
    return picture_rows(titles, (photographs, seen, built, level_pictures(level)), smooth=3)
