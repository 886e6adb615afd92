"""How a dense network looks at an image when its tokens are drawn."""

from collections.abc import Callable, Sequence

from PIL import Image
from torch import Tensor

from fastitpn.data.detection.transforms import DetectEval
from fastitpn.models.layers.cells import PATCH


def whole_look(px: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image], Tensor]:
    """The whole image with a shorter side of about `px`, and at most twice that in the other.

    Args:
        px: Shorter side in pixels.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.

    Returns:
        From an RGB image to [1, 3, H, W], H and W multiples of 16.
    """

    def look(image: Image.Image) -> Tensor:
        scale = min(px / min(image.size), 2 * px / max(image.size))
        width, height = (PATCH * max(1, round(scale * side / PATCH)) for side in image.size)
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return DetectEval(mean=mean, std=std, px=min(width, height), max_px=max(width, height))(resized).unsqueeze(0)

    return look
