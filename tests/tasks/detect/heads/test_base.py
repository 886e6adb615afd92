"""Padding, and masks that are put in their place."""

import torch

from fastitpn.tasks.detect.heads.base import pad_images, paste_masks
from fastitpn.tasks.detect.heads.region_heads import cut_masks


def test_images_are_padded_below_and_to_the_right():
    images = [torch.ones(3, 20, 33), torch.full((3, 40, 16), 2.0)]
    canvas, sizes = pad_images(images)
    assert canvas.shape == (2, 3, 48, 48)
    assert sizes == [(20, 33), (40, 16)]
    assert torch.equal(canvas[0, :, :20, :33], images[0])
    assert torch.equal(canvas[1, :, :40, :16], images[1])
    assert canvas.sum() == 3 * 20 * 33 + 2 * 3 * 40 * 16


def test_masks_are_put_into_their_boxes():
    boxes = torch.tensor([[4.0, 10.0, 24.0, 30.0], [-3.0, 5.5, 7.4, 60.0], [40.0, 3.0, 40.0, 9.0]])
    masks = paste_masks(torch.ones(3, 28, 28), boxes, (40, 50))
    expected = torch.zeros(3, 40, 50, dtype=torch.bool)
    expected[0, 10:30, 4:24] = True
    expected[1, 5:, :7] = True  # of the pixels from 5 and from 7 on, the first has its centre on the edge
    assert masks.dtype == torch.bool
    assert torch.equal(masks, expected)
    assert paste_masks(torch.ones(0, 28, 28), boxes[:0], (40, 50)).shape == (0, 40, 50)
    assert not paste_masks(0.4 * torch.ones(3, 28, 28), boxes, (40, 50)).any()


def test_a_mask_that_was_cut_out_is_put_back_where_it_was():
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    disc = (x - 40) ** 2 + (y - 27) ** 2 <= 20**2
    for box in ([20.0, 7.0, 60.0, 47.0], [15.3, 2.1, 66.6, 50.9]):
        boxes = torch.tensor([box])
        cut = cut_masks(disc[None], boxes, torch.tensor([0]), 28)
        again = paste_masks(cut, boxes, (60, 80))[0]
        overlap = (disc & again).sum() / (disc | again).sum()
        assert overlap > 0.97
        centre = torch.stack([x[again].mean(), y[again].mean()])
        torch.testing.assert_close(centre, torch.tensor([40.0, 27.0]), atol=0.1, rtol=0)
