"""The gate: figures, limits and the message."""

import math

import pytest
import torch
from PIL import Image
from torch import Tensor

from fastitpn.exporting.network import Network
from fastitpn.exporting.parity import TOLERANCES, ParityError, batches, compare
from fastitpn.exporting.pictures import Pictures
from fastitpn.exporting.shapes import Shapes


class Means(Network):
    """Three numbers for an image."""

    outputs = ("means",)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (images.mean((2, 3)),)


def pictures(count: int = 5) -> Pictures:
    images = [Image.new("RGB", (4, 4), (30 * i, 100, 255 - 20 * i)) for i in range(count)]
    return Pictures(
        images=images,
        source="squares",
        view=lambda image, size: torch.tensor(image.getpixel((0, 0)))[:, None, None].float().expand(3, *size) / 255,
    )


def measured(run, **keys):
    return compare(Means(), run, pictures(), Shapes(size=(32, 48), **keys))


def test_the_same_is_let_through():
    parity = measured(lambda images: [images.mean((2, 3))], dynamic="all")
    assert (parity.difference, parity.same) == (0, 1)
    assert (parity.sizes, parity.batches) == ([(32, 48), (48, 96)], (1, 3))
    parity.check(TOLERANCES["fp32"])


def test_a_difference_at_one_size_and_batch_is_found_and_named():
    def run(images):
        wrong = images.shape[0] == 3 and images.shape[2] == 48
        return [images.mean((2, 3)) * (1.001 if wrong else 1)]

    parity = measured(run, dynamic="all")
    assert parity.difference == pytest.approx(1e-3, rel=1e-2)
    assert parity.where == "48x96 px, batch 3"
    with pytest.raises(ParityError, match=r"1\.0e-03 relative at 48x96 px, batch 3; at most 1e-04(.*\n)*.*squares"):
        parity.check(TOLERANCES["fp32"])
    parity.check(TOLERANCES["fp16"])


def test_results_of_another_number_of_images_are_told():
    with pytest.raises(ParityError, match="gives results of 0 images for 1 at 32x48 px, batch 1, so nothing"):
        measured(lambda images: [images[:0].mean((2, 3))])


def test_another_decision_is_found():
    parity = measured(lambda images: [images.mean((2, 3)) + torch.tensor([5e-5, 0, 0])])
    assert parity.same == 1
    parity = measured(lambda images: [images.mean((2, 3)).flip(1)], dynamic="off")
    assert parity.same == 0
    with pytest.raises(ParityError, match=r" 0\.00% the same; at least 99\.9% must be"):
        parity.check(TOLERANCES["fp32"])


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_number_is_not_let_through(number):
    with pytest.raises(ParityError, match="does not do what the model does"):
        measured(lambda images: [images.mean((2, 3)) + number]).check(TOLERANCES["bf16"])


def test_another_shape_is_not_let_through():
    with pytest.raises(ParityError, match="inf relative"):
        measured(lambda images: [images.mean((1, 2, 3))[:, None]]).check(TOLERANCES["bf16"])


def test_a_file_that_fails_says_where():
    def run(images):
        raise RuntimeError("[Reshape] no")

    with pytest.raises(ParityError, match=r"cannot be run at 32x48 px, batch 1(.*\n)*.*\[Reshape\] no"):
        measured(run)


def test_batches_are_all_of_one_size_and_leave_none_out():
    assert batches(7, 3) == [slice(0, 3), slice(3, 6), slice(4, 7)]
    assert batches(4, 4) == [slice(0, 4)]
