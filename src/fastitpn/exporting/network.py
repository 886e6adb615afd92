"""What is exported: networks from images to a tuple of tensors."""

import copy

import torch
from timm.layers import to_2tuple
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from fastitpn.models.backbone import FastITPN
from fastitpn.models.pyramid import STRIDES

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "int8": torch.float32}


class Network(nn.Module):
    """Images [B, 3, H, W], normalised, to a tuple of tensors.

    Attributes:
        outputs: Names of the outputs.
        decides: Whether the highest number along axis 1 of the first one is a decision.
        one_by_one: Whether sizes of outputs depend on what is in an image, so that a batch can have but one, and
            `torch.export` cannot follow.
    """

    outputs: tuple[str, ...]
    decides = True
    one_by_one = False

    def compare(self, given: list[Tensor], expected: list[Tensor]) -> tuple[float, int, int]:
        """Compare the outputs of a file with those of the network.

        Args:
            given: Outputs of the file.
            expected: Outputs of the network, of the same shapes.

        Returns:
            The largest difference relative to the largest number of its output and picture, how many decisions are
            the same, and of how many.
        """
        difference = max(relative_difference(a, b) for a, b in zip(given, expected, strict=True))
        if not self.decides or given[0].shape != expected[0].shape:
            return difference, 0, 0
        agree = given[0].argmax(1) == expected[0].argmax(1)
        return difference, int(agree.sum()), agree.numel()

    def agreement(self, given: list[Tensor], expected: list[Tensor]) -> tuple[float, float]:
        """How far a file that computes in fewer bits decides as the network does.

        Returns:
            How many decisions are the same, and of how many; of outputs that decide nothing the sum of their cosine
            similarities, and how many outputs these are.
        """
        if self.decides:
            _, same, number = self.compare(given, expected)
            return same, number
        pairs = zip(given, expected, strict=True)
        return sum(float(cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a, b in pairs), len(given)


def relative_difference(given: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number, of the picture that differs most; nan if it has a nan."""
    if given.shape != expected.shape:
        return float("inf")
    apart = (given - expected).abs().flatten(1).amax(1)
    largest = expected.abs().flatten(1).amax(1).clamp(min=1e-12)
    return float((apart / largest).max())


class PyramidLevels(Network):
    """The levels of the pyramid, [B, C, H / s, W / s], all five but for a model that was made with fewer.

    The strides 32 and 64 are rounded up.
    """

    decides = False

    def __init__(self, model: FastITPN):
        super().__init__()
        self.model = model
        assert model.pyramid is not None
        self.outputs = tuple(f"p{stride}" for stride in STRIDES[model.pyramid.levels[0] :])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        return tuple(self.model.pyramid_features(images))


class TrunkMap(Network):
    """The trunk's map [B, D, H / 16, W / 16]; of a model with a class token, tokens [B, 1 + N, D]."""

    outputs = ("features",)
    decides = False

    def __init__(self, model: FastITPN):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        features = self.model.forward_features(images)
        return (features if self.model.has_class_token else features.permute(0, 3, 1, 2),)


class Graph(nn.Module):
    """A copy of a network to be traced: in another number format inside, float32 outside.

    Args:
        network: The network, which stays as it is: a copy is changed.
        precision: A key of `DTYPES`.
        half_weights: Whether fp16 is for the weights alone, when they are written: the graph then stays in fp32.
    """

    def __init__(self, network: Network, precision: str, *, half_weights: bool = False):
        super().__init__()
        self.half_weights = half_weights and precision == "fp16"
        self.dtype = DTYPES["fp32" if self.half_weights else precision]
        self.network = copy.deepcopy(network).to(self.dtype).requires_grad_(False).eval()
        for module in self.network.modules():
            if type(module) is nn.AdaptiveAvgPool2d:
                module.__class__ = _AveragePool  # in its place: UPerNet also holds its pools in lists of its own

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The network's outputs, in single precision."""
        outputs = self.network(images.to(self.dtype))
        return tuple(output.float() if output.is_floating_point() else output for output in outputs)


class _AveragePool(nn.AdaptiveAvgPool2d):
    """Adaptive pooling as two matrix products, which runtimes have for sizes that are not known beforehand."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to [B, C, height, width]."""
        height, width = to_2tuple(self.output_size)
        rows, columns = _bins(x.shape[-2], height, x), _bins(x.shape[-1], width, x)
        return rows @ x @ columns.transpose(0, 1)


def _bins(length: int, count: int, like: Tensor) -> Tensor:
    """Weights [count, length] of the mean over each of `count` parts of a side, which may overlap by one."""
    part = torch.arange(count, device=like.device)[:, None]
    place = torch.arange(length, device=like.device)
    first, last = part * length // count, ((part + 1) * length + count - 1) // count
    inside = ((place >= first) & (place < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)
