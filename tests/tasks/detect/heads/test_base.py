"""Padding, and masks that are put in their place."""

import torch

from fastitpn.tasks.detect.heads import base
from fastitpn.tasks.detect.heads.base import Detector, pad_images, paste_masks
from fastitpn.tasks.detect.heads.region_heads import cut_masks


def test_images_are_padded_below_and_to_the_right():
    images = [torch.ones(3, 20, 33), torch.full((3, 40, 16), 2.0)]
    canvas, sizes = pad_images(images)
    assert canvas.shape == (2, 3, 48, 48)
    assert sizes == [(20, 33), (40, 16)]
    assert torch.equal(canvas[0, :, :20, :33], images[0])
    assert torch.equal(canvas[1, :, :40, :16], images[1])
    assert canvas.sum() == 3 * 20 * 33 + 2 * 3 * 40 * 16


class Told(Detector):
    """Finds a box of the width that an image's pixels say; it keeps what it was shown, and takes two at a time."""

    def __init__(self):
        super().__init__(torch.nn.Identity())
        self.seen = []

    def canvas_detections(self, canvas, sizes):
        self.seen.append(tuple(canvas.shape))
        if len(canvas) > 2:
            raise MemoryError
        boxes = [torch.tensor([[0.0, 0.0, float(image[0, 0, 0]), 8.0]]) for image in canvas]
        return [{"boxes": box, "scores": torch.ones(1), "labels": torch.zeros(1)} for box in boxes]


def test_images_of_one_size_are_looked_at_together_in_any_order_and_in_memory(monkeypatch, capsys):
    sides = [(30, 40), (64, 20), (32, 48), (17, 33), (64, 32)]  # of 32 x 48 and 64 x 32
    images = [torch.full((3, *size), float(place + 1)) for place, size in enumerate(sides)]
    monkeypatch.setattr(base, "_AT_ONCE_ON_CPU", 8)
    model = Told()
    detections = model.detect(images, [(2 * height, 2 * width) for height, width in sides])
    assert [box["boxes"][0, 2].item() for box in detections] == [2, 4, 6, 8, 10]
    assert model.seen == [(3, 3, 32, 48), (2, 3, 32, 48), (1, 3, 32, 48), (2, 3, 64, 32)]
    assert capsys.readouterr().out == "out of memory with 5 images in a batch: going on with 2\n"
    monkeypatch.setattr(base, "_PIXELS_AT_ONCE", 64 * 32)
    model.seen.clear()
    assert len(model.detect(images)) == 5
    assert [batch for batch, *_ in model.seen] == [1] * 5


def test_on_a_cpu_two_images_are_looked_at_together():
    model = Told()
    assert len(model.detect([torch.ones(3, 32, 32)] * 5)) == 5
    assert [batch for batch, *_ in model.seen] == [2, 2, 1]


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
