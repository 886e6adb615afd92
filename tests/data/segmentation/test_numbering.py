"""What numbers and colours of masks mean: decided by all masks together, and never silently another thing."""

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses, find_classes
from fastitpn.data.segmentation.mask_files import look_at_mask
from fastitpn.data.segmentation.numbering import settle, voc_color
from fastitpn.errors import InputError

LABELS = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
COLORS = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255]], np.uint8)
NAMES = ("background", "car", "road")


def classes(text, tmp_path):
    (tmp_path / "classes.yaml").write_text(text)
    return find_classes(tmp_path)


def read(images, about, tmp_path):
    """Labels of masks, and what was said, by the way of training."""
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    contents = [look_at_mask(path) for path in paths]
    reader, lines = settle(contents, about)
    labels = [reader(path) for path in paths]
    for path, content, of_path in zip(paths, contents, labels, strict=True):  # both ways give the same
        values, counts = np.unique(of_path, return_counts=True)
        assert reader.count(content, path) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    return [of_path.tolist() for of_path in labels], lines


def palette_image(labels, colors):
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(np.asarray(colors, np.uint8).ravel().tolist())
    return image


BINARY = np.array([[0, 255, 255]], np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P"])
def test_0_and_255_are_two_named_classes(mode, tmp_path):
    about = SegmentationClasses(names=("background", "lesion"))
    labels, lines = read([Image.fromarray(BINARY).convert(mode)], about, tmp_path)
    assert labels == [[[0, 1, 1]]]
    assert lines == ["the masks hold only 0 and 255: 0 is background, 255 is lesion; ignore_index=255 leaves 255 out"]


def test_0_and_255_without_names_are_answered(tmp_path):
    with pytest.raises(InputError, match="only 0 and 255, and 255 is left out") as caught:
        read([Image.fromarray(BINARY)], SegmentationClasses(), tmp_path)
    assert "masks.values=0,255" in caught.value.fix
    assert read([Image.fromarray(BINARY)], SegmentationClasses(values=(0, 255)), tmp_path)[0] == [[[0, 1, 1]]]


@pytest.mark.parametrize(
    ("masks", "about"),
    [
        ([BINARY, BINARY // 255], SegmentationClasses(names=("a", "b"))),  # another mask has 1: 255 is an edge
        ([BINARY], SegmentationClasses(names=("a", "b"), ignore_is_given=True)),
        ([BINARY], SegmentationClasses(names=NAMES)),
    ],
)
def test_255_is_left_out_where_it_may_be_what_is_left_out(masks, about, tmp_path):
    assert read([Image.fromarray(mask) for mask in masks], about, tmp_path)[0][0] == [[0, IGNORE, IGNORE]]


def test_any_numbers_by_masks_values(tmp_path):
    about = SegmentationClasses(names=NAMES, values=(0, 128, 255))
    assert read([Image.fromarray(np.uint8([[0, 128, 255]]))], about, tmp_path)[0] == [[[0, 1, 2]]]
    with pytest.raises(InputError, match=r"numbers outside of the classes: 1 \(1 pixels\)") as caught:
        read([Image.fromarray(np.uint8([[0, 1]]))], about, tmp_path)
    assert caught.value.expected.startswith("0, 128, 255,")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_by_classes_yaml(mode, tmp_path):
    about = classes(
        "names: [background, car, road]\ncolors: {background: '#000000', car: [250, 50, 83], road: '#33ddff'}\n",
        tmp_path,
    )
    labels, lines = read([Image.fromarray(COLORS[LABELS]).convert(mode)], about, tmp_path)
    assert (labels, lines) == ([LABELS.tolist()], ["masks by their colours"])
    smooth = COLORS[LABELS].copy()
    smooth[0, 0] = 1, 2, 3
    with pytest.raises(InputError, match=r"colours outside of the classes: \[1, 2, 3\] \(1 pixels\)"):
        read([Image.fromarray(smooth)], about, tmp_path)


def test_colours_to_leave_out(tmp_path):
    text = "names: [car, road]\ncolors: {car: [250, 50, 83], road: [51, 221, 255]}\nignore_colors: [[0, 0, 0]]\n"
    labels, _ = read([Image.fromarray(COLORS[LABELS])], classes(text, tmp_path), tmp_path)
    assert labels == [[[IGNORE, 0, 1], [1, 0, IGNORE]]]


def test_colours_for_drawing_beside_gray_numbers(tmp_path):
    about = classes("names: [a, b, c]\ncolors: {a: red, b: green, c: blue}\n", tmp_path)
    assert read([Image.fromarray(LABELS).convert("RGB")], about, tmp_path)[0] == [LABELS.tolist()]


def test_colours_of_pascal_voc(tmp_path):
    palette = np.uint8([voc_color(number) for number in range(256)])
    assert (palette[1].tolist(), palette[20].tolist(), palette[255].tolist()) == (
        [128, 0, 0],
        [0, 64, 128],
        [224, 224, 192],
    )
    numbers = np.uint8([[0, 1, 2, 255]])
    labels, lines = read([Image.fromarray(palette[numbers])], SegmentationClasses(names=NAMES), tmp_path)
    assert (labels, lines) == ([[[0, 1, 2, IGNORE]]], ["masks by their colours, which are those of Pascal VOC"])


def test_colours_that_nobody_names(tmp_path):
    with pytest.raises(InputError, match=r"it holds colours, not numbers of classes: .*\[250, 50, 83\]") as caught:
        read([Image.fromarray(COLORS[LABELS])], SegmentationClasses(names=NAMES), tmp_path)
    assert "colors: {name: [r, g, b]}" in caught.value.fix


def test_a_picture_is_no_mask(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(InputError, match=r"this mask has 4,\d+ colours, as a picture has"):
        read([Image.fromarray(noise)], SegmentationClasses(names=NAMES), tmp_path)


class TestPalettes:
    """Their places count, but where programs have put the colours of each mask into an order of its own."""

    def test_places(self, tmp_path):
        images = [palette_image(LABELS, COLORS), palette_image(LABELS[:1, :2], COLORS)]
        labels, lines = read(images, SegmentationClasses(names=NAMES), tmp_path)
        assert (labels, lines) == ([LABELS.tolist(), [[0, 1]]], [])

    def test_gray_in_other_orders(self, tmp_path):
        black_and_white, white_and_black = [[0] * 3, [255] * 3], [[255] * 3, [0] * 3]
        images = [palette_image(BINARY // 255, black_and_white), palette_image(1 - BINARY // 255, white_and_black)]
        labels, lines = read(images, SegmentationClasses(names=("background", "lesion")), tmp_path)
        assert labels == [[[0, 1, 1]], [[0, 1, 1]]]
        assert lines[0].startswith("the palettes of the masks are in different orders")

    def test_known_colours_in_other_orders(self, tmp_path):
        text = "names: [background, car, road]\ncolors: [[0, 0, 0], [250, 50, 83], [51, 221, 255]]\n"
        turned = palette_image(2 - LABELS, COLORS[::-1])
        assert read([turned], classes(text, tmp_path), tmp_path)[0] == [LABELS.tolist()]

    def test_equal_colours_tell_nothing(self, tmp_path):
        images = [palette_image(LABELS, np.zeros((3, 3))), palette_image(LABELS, COLORS)]
        assert read(images, SegmentationClasses(names=NAMES), tmp_path)[0] == [LABELS.tolist()] * 2


@pytest.mark.parametrize(("named", "expected"), [(True, None), (False, "the masks hold only 0 and 65535")])
def test_black_and_white_of_16_bits(tmp_path, named, expected):
    about = SegmentationClasses(names=("background", "lesion") if named else ())
    mask = Image.fromarray(np.array([[0, 65535]], np.uint16))
    if named:
        labels, lines = read([mask], about, tmp_path)
        assert labels == [[[0, 1]]]
        assert lines[0].startswith("the masks hold only 0 and 65535: 0 is background, 65535 is lesion; ")
        return
    with pytest.raises(InputError, match=expected) as caught:
        read([mask], about, tmp_path)
    assert caught.value.fix.startswith("masks.values=0,65535 if 65535 is the second class")


def test_smoothed_edges_are_no_classes(tmp_path):
    mask = np.repeat(np.array([[0, 255]], np.uint8), 200, axis=1).repeat(4, axis=0)
    mask[0, :20] = np.arange(20) * 12 + 3
    with pytest.raises(InputError, match=r"0, 255 and 20 numbers between them in 1.2% of the pixels: these are no"):
        read([Image.fromarray(mask)], SegmentationClasses(), tmp_path)
    mask[0, :20] = 7  # one number more is a class
    assert read([Image.fromarray(mask)], SegmentationClasses(), tmp_path)[0][0][0][0] == 7


def test_colours_that_are_no_gray_are_not_taken_for_0_and_255(tmp_path):
    mask = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))
    with pytest.raises(InputError, match="it holds colours, not numbers of classes"):
        read([mask], SegmentationClasses(), tmp_path)
