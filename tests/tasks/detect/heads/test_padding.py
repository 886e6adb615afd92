"""What a graph, to which no sizes are given, knows of padding."""

import torch

from fastitpn.tasks.detr.levels import blank_of, padding_of


def test_zeros_behind_the_last_pixel_are_padding():
    canvas = torch.randn(2, 3, 32, 48)
    canvas[0, :, 20:] = 0
    canvas[1, :, :, 30:] = 0
    canvas[1, :, 5] = 0  # a row inside of an image is none
    assert torch.equal(blank_of(canvas), padding_of([(20, 48), (32, 30)], (32, 48), canvas.device))


def test_an_image_of_zeros_has_none():
    assert not blank_of(torch.zeros(1, 3, 32, 32)).any()
