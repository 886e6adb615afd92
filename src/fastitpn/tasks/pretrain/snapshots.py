"""Pictures of the pyramid's levels while it learns, taken at a few steps of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from fastitpn.inference.auto_batch import AutoBatch
from fastitpn.inference.written_pictures import save_picture
from fastitpn.models.layers.cells import cells_to_map
from fastitpn.pretraining.masked_model import MaskedModel
from fastitpn.pretraining.pixel_model import PixelModel
from fastitpn.reporting.pca import pca_rgb
from fastitpn.training.loop import Watch

SNAPSHOTS = "pictures"
SHARES = (1 / 16, 1 / 4, 1)
"""Shares of the run after which pictures are taken, beside its first step."""
TILE_PX = 112


def snapshot_steps(steps: int) -> list[int]:
    """After which steps of a run pictures are taken."""
    return sorted({1, *(max(1, round(share * steps)) for share in SHARES)})


def take_snapshots(folder: Path, batch: dict[str, Tensor], *, steps: int, to_device: Callable[[Any], Any]) -> Watch:
    """What `fit(watch=)` takes to draw the student's levels of a few images.

    Args:
        folder: Folder to write the pictures to.
        batch: A batch with the images to draw.
        steps: Steps of the whole run.
        to_device: Brings a batch to the student.
    """
    auto_batch = AutoBatch("images", "a smaller px or model")

    def look(step: int, model: nn.Module) -> None:
        assert isinstance(model, MaskedModel | PixelModel)
        training = model.training
        model.eval()
        images: Tensor = to_device(batch["image"])

        def in_parts(size: int) -> list[Tensor]:
            parts = [model.levels(part) for part in images.split(size)]
            return [torch.cat(level) for level in zip(*parts, strict=True)]

        with torch.no_grad():
            levels = auto_batch(in_parts, len(images))
        model.train(training)
        side = batch["image"].shape[-1] // 16
        sheet = _sheet([cells_to_map(level.float().cpu(), side, side, channels_last=True) for level in levels])
        save_picture(sheet, folder / f"step-{step:08}.png")

    return Watch(steps=snapshot_steps(steps), look=look)


def _sheet(levels: list[Tensor]) -> Image.Image:
    """One row per image, one column per level; colours are the main directions of each level over all images."""
    count = len(levels[0])
    sheet = Image.new("RGB", (len(levels) * TILE_PX, count * TILE_PX))
    for column, level in enumerate(levels):
        for row, colours in enumerate(pca_rgb(level)):
            picture = Image.fromarray(colours.numpy()).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST)
            sheet.paste(picture, (column * TILE_PX, row * TILE_PX))
    return sheet
