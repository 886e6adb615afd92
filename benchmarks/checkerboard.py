"""Why a level of the pyramid can look like a checkerboard: where the variance of its cells lies.

    python -m benchmarks.checkerboard weights=RUN [key=value ...]

A 16x16 patch has 4 cells at stride 8 and 16 at stride 4. The variance of a level over cells and images has four parts:

    place   the mean of all cells at the same place of their patch differs from place to place: a fixed checkerboard
    patch   patches differ from one another
    kernel  how cells differ within their patch, as far as it is linear in the patch's features at stride 16, with a
            matrix for each place: all that transposed kernels without overlap can draw by themselves
    detail  the rest, which the image has at this stride (through the laterals)

The matrices are fitted on half of the images (ridge regression) and judged on the others. The parts are measured on
composed scenes, before any training (`start`) and after the pre-training in `weights`, such as the one that
`benchmarks.segmentation` leaves in runs/bench/0/pretrain.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import normalize, pil_to_tensor, resize

import fastitpn
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results
from fastitpn.config.types import Count, ImagePx
from fastitpn.data.scenes import build_scenes
from fastitpn.imagenet import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.models.weights.file import read_weights
from fastitpn.pretraining.predictions import LEVELS

RIDGE = 1e-3
"""Share of the mean variance that is added to every direction."""


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Checkerboard."""

    _unwritten = ("out", "work")

    weights: Path
    """Folder of a pre-training with a pyramid, or a file of weights."""
    images: Count = 64
    """Scenes to look at."""
    px: ImagePx = 128
    """Side of the input in pixels."""
    work: Path = Path("runs/checkerboard")
    """Folder for the scenes."""


def variance_shares(level: Tensor, coarse: Tensor) -> dict[str, float]:
    """Shares of the variance of a level, in per cent: "place", "patch", "kernel" and "detail".

    Args:
        level: [B, N, K, D], K cells in each of N patches.
        coarse: [B, N, C], the patches at stride 16.
    """
    level = level.double()
    centred = level - level.mean((0, 1, 2))
    place = centred.mean((0, 1))  # [K, D]
    patch = centred.mean(2)  # [B, N, D]
    within = centred - place - patch.unsqueeze(2)
    total = centred.square().mean()
    shares = {"place": place.square().mean() / total, "patch": patch.square().mean() / total}
    within_share = 1 - shares["place"] - shares["patch"]
    shares["kernel"] = within_share * _foretold(coarse.double(), within.flatten(2))
    shares["detail"] = within_share - shares["kernel"]
    return {name: round(100 * float(share), 1) for name, share in shares.items()}


def _foretold(x: Tensor, y: Tensor) -> Tensor:
    """Share of the squares of y [B, N, Y] that is linear in x [B, N, X], on images that it was not fitted on."""
    (x, x_new), (y, y_new) = ([part.flatten(0, 1) for part in z.chunk(2)] for z in (x, y))
    mean = x.mean(0)
    x, x_new = x - mean, x_new - mean
    products = x.T @ x
    ridge = RIDGE * products.diagonal().mean() * torch.eye(len(products), dtype=x.dtype)
    matrix = torch.linalg.solve(products + ridge, x.T @ y)
    return (1 - (y_new - x_new @ matrix).square().sum() / y_new.square().sum().clamp(min=1e-30)).clamp(min=0)


def read_images(options: Options) -> Tensor:
    """Scenes, [images, 3, px, px], normalised."""
    scenes = build_scenes(options.work, forms=("unlabelled",), unlabelled=options.images, px=(options.px, options.px))
    files = sorted(path for path in scenes.unlabelled.rglob("*") if path.suffix == ".jpg")
    pixels = [pil_to_tensor(Image.open(path).convert("RGB")).float() / 255 for path in files]
    return torch.stack([normalize(resize(x, [options.px] * 2), IMAGENET_MEAN, IMAGENET_STD) for x in pixels])


@torch.no_grad()
def run(options: Options) -> None:
    """Measures both networks, prints and stores the shares."""
    file, images = read_weights(options.weights), read_images(options)
    arguments = {**file.arguments(), "num_classes": 0, "img_size": options.px}
    torch.manual_seed(0)
    model = fastitpn.create_model(file.model, **arguments, weight_init="pretrain").eval()
    results = Results(options, lambda rows: {"scale": f"{file.model} at {options.px} px, {options.images} scenes"})
    for name in ("start", "pre-trained"):
        if name == "pre-trained":
            fastitpn.load_weights(model, options.weights, strict=False)
        *fine, coarse = model.pyramid_cells(model.encode(images))
        for stride, level in zip(LEVELS, fine, strict=False):
            results.add({"network": name, "level": stride, **variance_shares(level, coarse.squeeze(2))})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
