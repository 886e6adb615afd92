"""Views: what a network says about an image, whole or by windows, is brought back to where it belongs."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.tasks.segment import views as module
from fastitpn.tasks.segment.views import TestTimeViews, label_map, log_probabilities


class Colour:
    """Says that a cell is of class 1 as far as it is red; it keeps what it was shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def log_probabilities(self, images: Tensor) -> Tensor:
        self.seen.append(tuple(images.shape))
        red = F.avg_pool2d(images[:, :1], 4)
        return torch.cat((torch.zeros_like(red), 8 * (red - 0.5)), 1).log_softmax(1)


def seen(model, image, views) -> Tensor:
    """What a model says about one image."""
    [(place, scores)] = log_probabilities(model, [image], views)
    assert place == 0
    return scores


@pytest.fixture
def image() -> Tensor:
    """A red disk on black, off the centre; 90 x 150 px."""
    rows, columns = torch.meshgrid(torch.arange(90), torch.arange(150), indexing="ij")
    disk = ((rows - 40) ** 2 + (columns - 100) ** 2 < 30**2).float()
    return torch.stack((disk, torch.zeros_like(disk), torch.zeros_like(disk)))


@pytest.mark.parametrize(
    "keys",
    [
        {"inference": "whole"},
        {"inference": "slide"},
        {"inference": "slide", "stride": 16},
        {"inference": "slide", "resize": False},
        {"resize": False},
        {"flip": True},
        {"scales": (0.5, 1.0, 1.5), "flip": True},
        {"scales": (1.0, 2.0), "inference": "slide", "batch": 1},
    ],
)
def test_the_disk_is_found_where_it_is(image, keys):
    labels, sure = label_map(seen(Colour(), image, TestTimeViews(px=64, **keys)), 90, 150)
    assert (labels.shape, labels.dtype, sure.dtype) == ((90, 150), torch.uint8, torch.float32)
    wrong = (labels != image[0]).float().mean().item()
    assert wrong < 0.04
    assert sure.max() <= 1
    assert (labels[:, :40] == 0).all()


def test_windows_of_a_local_opinion_give_the_same_as_the_whole():
    image = torch.rand(3, 96, 160, generator=torch.Generator().manual_seed(0))
    views = [TestTimeViews(px=32, resize=False, inference=how, stride=20) for how in ("whole", "slide")]
    whole, slide = (seen(Colour(), image, one) for one in views)
    torch.testing.assert_close(slide, whole)


def test_windows_cover_the_image_and_end_with_it():
    model = Colour()
    seen(model, torch.zeros(3, 100, 200), TestTimeViews(px=64, inference="slide", batch=3))
    # 64 x 128: windows at 0, 40, 64 (a stride of 42 is 40 in cells)
    assert model.seen == [(3, 3, 64, 64)]
    small = Colour()
    seen(small, torch.zeros(3, 44, 200), TestTimeViews(px=64, resize=False, inference="slide"))
    assert small.seen == [(5, 3, 48, 64)]  # a window is not larger than the image


def test_no_seam_shows():
    """A network that knows the middle of a window and guesses at its edges."""

    class Unsure:
        def log_probabilities(self, images: Tensor) -> Tensor:
            n = images.shape[-1] // 4
            edge = torch.linspace(-1, 1, n).abs()
            logits = torch.stack((torch.zeros(n, n), 1 - 1.5 * edge.expand(n, n)))
            return logits.expand(len(images), 2, n, n).log_softmax(1)

    views = TestTimeViews(px=64, resize=False, inference="slide", stride=32)
    scores = seen(Unsure(), torch.zeros(3, 64, 320), views)
    labels, _ = label_map(scores, 64, 320)
    assert (labels[:, 32:-32] == 1).all()  # a plain mean has stripes of 0 where windows meet
    steps = (scores[1, 8, 1:] - scores[1, 8, :-1]).abs()[8:-8]
    assert steps.max() < 0.12


def test_auto_looks_through_windows_where_an_image_is_large():
    views = TestTimeViews(px=64, resize=False)
    assert not views.slides(128, 128)
    assert views.slides(128, 144)
    assert TestTimeViews(px=64, inference="slide").slides(64, 64)
    assert not TestTimeViews(px=64, inference="whole").slides(6400, 64)


def test_sizes_are_multiples_of_16():
    assert TestTimeViews(px=64, scales=(0.5, 1.0)).sizes(90, 150) == [(32, 48), (64, 112)]
    assert TestTimeViews(px=64, resize=False).sizes(90, 150) == [(96, 144)]
    assert TestTimeViews(px=64, resize=False).sizes(3, 5) == [(32, 32)]


def test_views_are_averaged_as_probabilities(image):
    class Sided:
        """Says 0.9 on the left half and 0.5 on the right one."""

        def log_probabilities(self, images: Tensor) -> Tensor:
            h, w = images.shape[-2] // 4, images.shape[-1] // 4
            first = torch.full((h, w), 0.9)
            first[:, w // 2 :] = 0.5
            return torch.stack((first, 1 - first)).log()[None]

    scores = seen(Sided(), image, TestTimeViews(px=64, flip=True))
    torch.testing.assert_close(scores[0], torch.full_like(scores[0], math.log(0.7)))


@pytest.mark.parametrize("size", [(90, 150), (33, 17), (400, 30)])
def test_the_label_map_is_the_argmax_of_resized_scores_in_strips(size, monkeypatch):
    scores = torch.randn(5, 16, 24, generator=torch.Generator().manual_seed(1)).log_softmax(0)
    resized = F.interpolate(scores[None], size=size, mode="bilinear")[0]
    monkeypatch.setattr(module, "MOST_SCORES", 5 * size[1] * 7)  # seven rows at a time
    labels, sure = label_map(scores, *size)
    best, expected = resized.max(0)
    assert (labels == expected).float().mean() > 0.9999
    torch.testing.assert_close(sure, best.exp(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("keys", "shapes"),
    [
        # 2 * 64 * 64 px hold one image of 64 x 112 or two of 64 x 64.
        (
            {"batch": 2, "flip": True},
            [(1, 64, 112), (1, 64, 112), (2, 64, 64), (2, 64, 64), (1, 64, 112), (1, 64, 112)],
        ),
        ({"batch": 4}, [(2, 64, 112), (2, 64, 64)]),
        ({"batch": 3, "inference": "slide"}, [(3, 64, 64), (3, 64, 64), (2, 64, 64)]),
        ({"batch": 8, "scales": (1.0, 0.5)}, [(2, 64, 112), (2, 32, 48), (2, 64, 64), (2, 32, 32)]),
    ],
)
def test_images_of_one_size_are_looked_at_together(image, keys, shapes):
    views = TestTimeViews(px=64, **keys)
    images = [image, image[:, :70, :70], image.flip(-1), torch.rand(3, 65, 64)]
    model = Colour()
    together = dict(log_probabilities(model, images, views))
    assert sorted((b, h, w) for b, _, h, w in model.seen) == sorted(shapes)
    assert sorted(together) == [0, 1, 2, 3]
    for place, scores in together.items():
        torch.testing.assert_close(scores, seen(Colour(), images[place], views))


def test_a_stride_that_leaves_gaps():
    with pytest.raises(InputError, match="a stride of 65 px leaves gaps between windows of 64 px") as caught:
        TestTimeViews(px=64, stride=65)
    assert (caught.value.where, caught.value.expected) == ("stride", "1 to 64")
