"""COCO's files are read in all their forms, and everything that is wrong is named by file and id."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from coco_example import HEIGHT, POLYGON, WIDTH, content, read_coco, scan_coco, write
from PIL import Image
from pycocotools import mask as oracle
from pycocotools.coco import COCO

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.data.images.decode import read_image
from fastitpn.errors import InputError

PYCOCOTOOLS_WARNS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_what_is_in_a_file(tmp_path):
    images = read_coco(write(tmp_path), tmp_path)
    assert (len(images), images.num_annotations, images.has_masks, images.problems) == (3, 3, True, ())
    assert images.classes == DetectionClasses(names=("car", "dog"), ids=(3, 18))
    assert [images.image_ids(index) for index in range(3)] == [5, 6, 9]
    assert images.paths == [tmp_path / f"{n}.png" for n in (5, 6, 9)]
    assert images.sizes == [(HEIGHT, WIDTH)] * 3
    first, empty = images.annotations(0), images.annotations(2)
    assert first.boxes.tolist() == [[4, 3, 20, 9], [0, 0, 2, HEIGHT]]
    assert first.labels.tolist() == [1, 0]
    assert first.crowd.tolist() == [False, True]
    assert first.ids.tolist() == [7, 11]
    assert first.area.tolist() == [96, 40]
    assert (first.boxes.dtype, first.labels.dtype, first.crowd.dtype) == (torch.float32, torch.int64, torch.bool)
    assert first.masks is not None
    assert unpack_masks(first.masks, HEIGHT, WIDTH).sum(dim=(1, 2)).tolist() == [96, 40]
    assert (empty.boxes.shape, empty.masks, len(empty)) == ((0, 4), [], 0)


@PYCOCOTOOLS_WARNS
def test_masks_are_those_of_pycocotools(detect_scenes):
    file = detect_scenes / "annotations_train.json"
    images, coco = read_coco(file, detect_scenes / "train"), COCO(file)
    assert len(images) == 10
    for index in range(10):
        things = images.annotations(index)
        assert things.masks is not None
        ours = unpack_masks(things.masks, *images.sizes[index])
        assert len(ours) > 0
        for mask, number, area in zip(ours, things.ids.tolist(), things.area.tolist(), strict=True):
            theirs = coco.annToMask(coco.anns[number])
            assert (mask.numpy() == theirs).all()
            assert area == theirs.sum()


@PYCOCOTOOLS_WARNS
def test_a_mask_is_the_same_in_every_form(tmp_path):
    packed = oracle.merge(oracle.frPyObjects(POLYGON, HEIGHT, WIDTH))
    flat = oracle.decode(packed).ravel(order="F").tolist()
    runs, value = [0], 0
    for pixel in flat:
        if pixel != value:
            value = pixel
            runs.append(0)
        runs[-1] += 1

    def forms(made):
        made["annotations"] = [
            made["annotations"][0] | {"id": number, "segmentation": form}
            for number, form in enumerate(
                [
                    POLYGON,
                    {"size": [HEIGHT, WIDTH], "counts": runs},
                    {"size": [HEIGHT, WIDTH], "counts": packed["counts"].decode()},
                ]
            )
        ]

    masks = read_coco(write(tmp_path, forms), tmp_path).annotations(0).masks
    assert masks is not None
    assert masks[0] == masks[1] == masks[2] == packed


def test_boxes_alone(tmp_path):
    def without_masks(made):
        for thing in made["annotations"]:
            del thing["segmentation"], thing["area"]

    file = write(tmp_path, without_masks)
    for with_masks in (None, False):
        images = read_coco(file, tmp_path, with_masks=with_masks)
        assert not images.has_masks
        assert images.annotations(0).masks is None
        assert images.annotations(0).area.tolist() == [96, 40]  # that of the box
    with pytest.raises(InputError, match="no annotation of this file has a mask") as caught:
        read_coco(file, tmp_path, with_masks=True)
    assert "faster_rcnn" in caught.value.fix


def test_a_missing_mask_matters_to_masks_alone(tmp_path):
    file = write(tmp_path, lambda made: made["annotations"][0].update(segmentation=[]))
    assert read_coco(file, tmp_path, with_masks=False).annotations(0).crowd.tolist() == [False, True]
    with pytest.raises(InputError, match=r"1 x annotation without mask") as caught:
        read_coco(file, tmp_path, with_masks=True)
    assert "annotation 7, image 5" in caught.value.where
    for images in (read_coco(file, tmp_path), read_coco(file, tmp_path, "skip", with_masks=True)):
        ignored = images.annotations(0)  # at its box, nothing counts
        assert ignored.crowd.tolist() == [True, True]
        assert ignored.boxes[0].tolist() == [4, 3, 20, 9]
        assert unpack_masks(ignored.masks or [], HEIGHT, WIDTH)[0].sum() == 96
    assert [problem.annotation_id for problem in read_coco(file, tmp_path).without_masks] == [7]


def test_an_image_that_loses_all_of_its_annotations_is_not_taught_as_empty(tmp_path, capsys):
    file = write(tmp_path, lambda made: made["annotations"][1].update(segmentation=[]))
    masked = read_coco(file, tmp_path, "skip", with_masks=True)
    assert [path.name for path in masked.paths] == ["5.png", "9.png"]
    assert [path.name for path in masked.unusable] == ["6.png"]
    assert any("1 x images are left out, since none of their annotations" in line for line in masked.notes)
    assert "1 image and 1 annotation left out" in capsys.readouterr().out
    assert len(read_coco(file, tmp_path)) == 3  # boxes are there


PLAIN = {  # values as tools write them: what is read of annotation 7
    "texts": {"id": "7", "image_id": "5", "category_id": "18", "area": "96", "iscrowd": "0"},
    "floats": {"id": 7.0, "image_id": 5.0, "category_id": 18.0, "iscrowd": 0.0, "area": 96.0},
    "truths": {"iscrowd": False},
    "words": {"iscrowd": "False", "category_id": " 18 ", "area": None},
    "nothing": {"iscrowd": None, "area": "none"},
    "box of texts": {"bbox": ["4", "3", "16.0", "6"]},
    "box as text": {"bbox": "[4, 3, 16, 6]"},
    "no box": {"bbox": None},
    "empty box": {"bbox": []},
    "box of zeros": {"bbox": [0, 0, 0, 0]},
    "corners as text": {"segmentation": [[str(value) for value in POLYGON[0]]]},
    "a line beside": {"segmentation": [[1, 1, 5, 5], *POLYGON, []]},
}


@pytest.mark.parametrize("name", PLAIN)
def test_values_that_plainly_mean_something(tmp_path, name):
    images = read_coco(write(tmp_path, annotation(0, **PLAIN[name])), tmp_path)
    first = images.annotations(0)
    assert (first.ids.tolist(), first.labels.tolist()) == ([7, 11], [1, 0])
    assert first.boxes[0].tolist() == [4, 3, 20, 9]
    assert (first.crowd.tolist(), first.area.tolist()) == ([False, True], [96, 40])
    assert unpack_masks(first.masks or [], HEIGHT, WIDTH)[0].sum() == 96


@pytest.mark.parametrize("value", [1, 1.0, "1", "true", "TRUE", True])
def test_crowds_as_tools_write_them(tmp_path, value):
    assert read_coco(write(tmp_path, annotation(1, iscrowd=value)), tmp_path).annotations(1).crowd.tolist() == [True]


def test_what_is_made_of_values_is_counted(tmp_path):
    def change(made):
        made["annotations"][0].update(bbox=[], segmentation=[[1, 1], *POLYGON])

    lines = read_coco(write(tmp_path, change), tmp_path).notes
    assert [line[:20] for line in lines] == ["1 x boxes were missi", "1 x parts of masks h"]


def test_ids_that_are_texts(tmp_path):
    def change(made):
        for image in made["images"]:
            image["id"] = f"frame_{image['id']}"
        for thing in made["annotations"]:
            thing.update(
                id=f"a-{thing['id']}", image_id=f"frame_{thing['image_id']}", category_id=f"{thing['category_id']}"
            )

    images = read_coco(write(tmp_path, change), tmp_path)
    assert [len(images.annotations(index)) for index in range(3)] == [2, 1, 0]
    assert len({images.image_ids(index) for index in range(3)}) == 3
    assert sorted(number for index in range(3) for number in images.annotations(index).ids.tolist()) == [1, 2, 3]
    assert "3 x id of an image that is a text" in images.notes[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("end", ["", "\n\n", "\0\0", "\x1a"])
def test_encodings_of_the_file(tmp_path, encoding, end):
    file = write(tmp_path)
    file.write_bytes((json.dumps(content(), indent=1) + end).encode(encoding))
    assert read_coco(file, tmp_path).num_annotations == 3


def test_the_order_of_the_lists_does_not_matter(tmp_path):
    file = write(tmp_path)
    file.write_text(json.dumps({"info": {"a": []}} | dict(reversed(content().items()))))
    assert read_coco(file, tmp_path).num_annotations == 3


def test_an_image_of_the_same_name_in_another_folder_is_another(tmp_path):
    file = write(tmp_path / "images", image(0, file_name="cam2/5.png"))
    with pytest.raises(InputError, match="1 x missing image file"):
        read_coco(file, tmp_path / "images")


def turned(path: Path) -> None:
    """The same picture, but to be turned by its EXIF block."""
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


MODES = {
    "palette": lambda path: Image.open(path).quantize(16).save(path),
    "gray": lambda path: Image.open(path).convert("L").save(path),
    "16 bit": lambda path: Image.open(path).convert("L").convert("I;16").save(path),
    "transparent": lambda path: Image.open(path).convert("RGBA").save(path),
    "CMYK": lambda path: Image.open(path).convert("CMYK").save(path, "JPEG"),
    "turned": turned,
}


@pytest.mark.parametrize("mode", MODES)
def test_images_of_any_mode(tmp_path, mode):
    file = write(tmp_path)
    MODES[mode](tmp_path / "5.png")
    images = read_coco(file, tmp_path)
    assert images.sizes[0] == (HEIGHT, WIDTH)
    assert read_image(images.paths[0]).size == (WIDTH, HEIGHT)


def test_sizes_that_the_file_does_not_have(tmp_path):
    def without_sizes(made):
        for image in made["images"]:
            del image["width"], image["height"]

    assert read_coco(write(tmp_path, without_sizes), tmp_path).sizes == [(HEIGHT, WIDTH)] * 3


def test_a_little_outside_is_cut_off_in_silence(tmp_path):
    file = write(tmp_path, lambda made: made["annotations"][0].update(bbox=[-0.6, 3, WIDTH + 1.2, 6]))
    assert read_coco(file, tmp_path).annotations(0).boxes[0].tolist() == [0, 3, WIDTH, 9]


def box(*values):
    return lambda made: made["annotations"][0].update(bbox=list(values))


def mask(value):
    return lambda made: made["annotations"][0].update(segmentation=value)


def annotation(place, **values):
    return lambda made: made["annotations"][place].update(values)


def image(place, **values):
    return lambda made: made["images"][place].update(values)


THING, OTHER = "annotation 7, image 5: ", "annotation 8, image 6: "
WRONG = {  # a change: kind, where, images and annotations that are left
    "category": (annotation(0, category_id=99), "unknown category", THING + "there is no category 99", 3, 2),
    "no category": (annotation(0, category_id=None), "unknown category", THING + "there is no category None", 3, 2),
    "key": (lambda made: made["annotations"][0].pop("category_id"), "unknown category", THING + "it has no", 3, 2),
    "shares": (box(0.1, 0.2, 0.4, 0.5), "box in shares of its image", THING + "its box seems to be in shares", 3, 2),
    "outside": (box(40, 3, 5, 5), "box outside of its image", THING + "its box is outside of its image", 3, 2),
    "above": (box(4, -9, 5, 9), "box outside of its image", THING + "its box is outside of its image", 3, 2),
    "partly": (box(20, 3, 20, 5), "box partly outside of its image", THING + "its box leaves its image", 3, 3),
    "zero": (box(4, 3, 0, 5), "box of no size", THING + "its box is 0 px wide and 5 px high", 3, 2),
    "negative": (box(4, 3, 5, -2), "box of no size", THING + "its box is 5 px wide and -2 px high", 3, 2),
    "three": (box(4, 3, 5), "box that is none", THING + "its bbox is [4, 3, 5]", 3, 2),
    "nan": (box(4, 3, 5, float("nan")), "box that is none", THING + "its bbox is [4, 3, 5, nan]", 3, 2),
    "words": (box(4, 3, "five", 5), "box that is none", THING + "its bbox is [4, 3, 'five', 5]", 3, 2),
    "truth": (box(True, 3, 5, 5), "box that is none", THING + "its bbox is [True, 3, 5, 5]", 3, 2),
    "crowd": (
        annotation(0, iscrowd="perhaps"),
        "iscrowd that is neither 0 nor 1",
        THING + "its iscrowd is 'perhaps'",
        3,
        2,
    ),
    "no image": (annotation(0, image_id=77), "annotation of a missing image", "there is no image 77", 3, 2),
    "twice": (annotation(1, id=7), "duplicate annotation id", "annotation 7, image 6: another", 2, 2),
    "no id": (annotation(1, id=None), "annotation without id", "number 1 of the annotations has no id", 2, 2),
    "no box": (annotation(1, bbox=None, segmentation=[]), "box that is none", OTHER + "its bbox is None", 2, 2),
    "image twice": (image(1, id=5), "duplicate image id", "image 5: its id is that of 5.png and of 6.png", 1, 0),
    "file twice": (image(1, file_name="5.png"), "image listed twice", "image 6: 5.png is image 5 already", 2, 2),
    "no name": (image(1, file_name=None), "image without id or file name", "number 1 of the images has no", 2, 2),
    "size": (image(1, width=31), "image of another size", "6.png: image 6: it is 30x20 px, the annotations are", 2, 2),
    "lost": (image(1, file_name="8.png"), "missing image file", "8.png: image 6: this image file does not exist", 2, 2),
    "two corners": (mask([[1, 1, 5, 5]]), "mask that cannot be used", THING + "a polygon of its mask has 4", 3, 2),
    "odd": (mask([[1, 1, 5, 5, 2, 2, 1]]), "mask that cannot be used", THING + "a polygon of its mask has 7", 3, 2),
    "flat": (mask([1, 1, 5, 5, 2, 2]), "mask that cannot be used", THING + "its mask is not a list of polygons", 3, 2),
    "far": (mask([[1, 1, 5e9, 5, 2, 2]]), "mask that cannot be used", THING + "a polygon of its mask has x from", 3, 2),
    "none": (mask("mask.png"), "mask that cannot be used", THING + "its mask is neither", 3, 2),
    "runs": (
        mask({"size": [HEIGHT, WIDTH], "counts": [5, 5]}),
        "mask that cannot be used",
        THING + "the run lengths of its mask do not add up to 20 x 30 pixels",
        3,
        2,
    ),
    "swapped": (
        mask({"size": [WIDTH, HEIGHT], "counts": [600]}),
        "mask that cannot be used",
        THING + "its mask is of size [30, 20], the image of [20, 30]",
        3,
        2,
    ),
    "packed": (
        mask({"size": [HEIGHT, WIDTH], "counts": "PPPPP"}),
        "mask that cannot be used",
        THING + "the compressed run lengths of its mask are damaged",
        3,
        2,
    ),
}


@pytest.mark.parametrize("change", WRONG)
def test_what_is_wrong_stops_or_is_left_out(tmp_path, capsys, change):
    spoil, kind, where, num_images, num_annotations = WRONG[change]
    file = write(tmp_path, spoil)
    with pytest.raises(InputError) as caught:
        read_coco(file, tmp_path)
    assert f"1 x {kind}" in caught.value.what
    assert where in caught.value.where
    assert str(tmp_path) in caught.value.where
    assert caught.value.expected
    assert "on_error=skip" in caught.value.fix
    images = read_coco(file, tmp_path, on_error="skip")
    said = capsys.readouterr().out
    assert f"1 x {kind}" in said
    assert where in said
    assert (len(images), images.num_annotations) == (num_images, num_annotations)
    listed = json.loads(file.read_text())
    lost = (len(listed["images"]) - num_images, len(listed["annotations"]) - num_annotations)
    assert images.left_out == images.select([]).left_out == lost
    for count, name in zip(lost, ("image", "annotation"), strict=True):
        assert (f"{count} {name}{'s' * (count != 1)}" in said) == (count > 0)
    assert images.problems[0].kind == kind
    assert len(images.problems) == (2 if change == "image twice" else 1)  # there, no image 6 is left


def test_a_box_partly_outside_is_cut_off_on_request(tmp_path, capsys):
    images = read_coco(write(tmp_path, box(20, 3, 20, 5)), tmp_path, on_error="skip")
    assert images.annotations(0).boxes[0].tolist() == [20, 3, WIDTH, 8]
    assert "1 box cut off at the edge" in capsys.readouterr().out


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no image"),
    ],
    ids=["cut", "empty", "text"],
)
def test_an_image_that_does_not_decode(tmp_path, spoil):
    file = write(tmp_path)
    spoil(tmp_path / "6.png")
    with pytest.raises(InputError, match="1 x image that cannot be read") as caught:
        read_coco(file, tmp_path)
    assert f"{tmp_path / '6.png'}: image 6: cannot read this image" in caught.value.where
    images = read_coco(file, tmp_path, on_error="skip")
    assert (len(images), images.num_annotations) == (2, 2)


def test_damage_in_the_middle_of_an_image_is_found(tmp_path):
    file = write(tmp_path)
    damaged = bytearray((tmp_path / "6.png").read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "6.png").write_bytes(damaged)
    assert [problem.image_id for problem in scan_coco(file, tmp_path).problems] == [6]


def test_annotations_of_an_image_that_is_turned_say_so(tmp_path):
    file = write(tmp_path)
    image = Image.open(tmp_path / "5.png")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "5.png", exif=exif)
    with pytest.raises(InputError, match="1 x image of another size") as caught:
        read_coco(file, tmp_path)
    assert "it is 20x30 px, the annotations are for 30x20 px (it is turned upright" in caught.value.where


def test_an_image_of_another_size_is_not_decoded(tmp_path, monkeypatch):
    """One that says it is larger may fill the memory."""
    decoded = []
    monkeypatch.setattr(
        "fastitpn.data.detection.files.read_image",
        lambda path, **how: (decoded.append(path.name), read_image(path, **how))[1],
    )
    file = write(tmp_path)
    Image.new("RGB", (31, 20)).save(tmp_path / "6.png")
    images = scan_coco(file, tmp_path)
    assert [(problem.kind, problem.image_id) for problem in images.problems] == [("image of another size", 6)]
    assert sorted(decoded) == ["5.png", "9.png"]


def test_all_problems_are_counted_and_the_first_are_listed(tmp_path):
    def spoil(made):
        made["annotations"] = [made["annotations"][0] | {"id": n, "bbox": [0, 0, 0, 1]} for n in range(30)]
        made["annotations"] += [made["annotations"][0] | {"id": 40, "category_id": 1}]

    with pytest.raises(InputError) as caught:
        read_coco(write(tmp_path, spoil), tmp_path)
    assert "31 problems in the annotations and images: 30 x box of no size, 1 x unknown category" in caught.value.what
    assert "annotation 19, image 5" in caught.value.where
    assert "annotation 20, image 5" not in caught.value.where
    assert "... and 11 more" in caught.value.where


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (json.dumps(content())[:500], "this JSON file ends in the middle: it was cut off"),
        (json.dumps(content(), indent=1)[:500], "this JSON file ends in the middle: it was cut off"),
        ("", "this file is empty"),
        ('{"images": [], oh}', "this is not JSON"),
        ("[]", "this file has no list images, no list annotations, no list categories"),
        (f"{json.dumps(content())}\n{json.dumps(content())}", "this is JSON lines, an object in each line"),
        (json.dumps(content()) + " and so on", "after the end of the JSON there is more"),
        ('{"images": [], "annotations": [{}, ], "categories": []}', "this is not JSON"),
        ('{"images": [], "annotations": [{} {}], "categories": []}', "this is not JSON"),
        ('{"images": ' + "9" * 5000 + "}", "this is not JSON that anyone writes"),
        ("[" * 100000, "this is not JSON that anyone writes"),
        ('{"shapes": [], "imagePath": "a.jpg"}', "this is LabelMe's annotation of one image"),
        ('{"_via_img_metadata": {}}', "this is a project of the VGG Image Annotator"),
        ('[{"image": "a.jpg", "annotations": []}]', "this is CreateML's"),
        ('[{"image_id": 1, "bbox": [], "score": 1}]', "this is a list of detections"),
        ('{"images": [], "categories": []}', "this file has no list annotations"),
        ('{"images": [], "annotations": [], "categories": []}', "there are no categories"),
        (b"\xff\xfe\x00", "cannot read this file: it is not a text file"),
        (None, "cannot read this file: No such file or directory"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, what):
    file = tmp_path / "annotations.json"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError) as caught:
        read_coco(file, tmp_path, on_error="skip")
    assert what in caught.value.what
    assert str(file) in str(caught.value.where)
    assert caught.value.expected
    assert caught.value.fix


@pytest.mark.parametrize("name", ["images/5.png", "folder/5.png", "C:\\pictures\\5.png", "../other/images/5.png"])
def test_images_are_found_below_names_that_tools_write(tmp_path, name):
    file = write(tmp_path / "folder", image(0, file_name=name))
    assert read_coco(file, tmp_path / "folder").paths[0].samefile(tmp_path / "folder" / "5.png")


ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    1e400,
    10**400,
    float("nan"),
    "",
    "5",
    "\0",
    [],
    [[]],
    [None],
    [1] * 5,
    {},
    {"counts": 1},
]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_in_a_file_ends_in_anything_but_a_message(tmp_path, seed):
    """Values anywhere in a file are replaced by others of any type."""
    rng = np.random.default_rng(seed)

    def spoil(made):
        for _ in range(rng.integers(1, 4)):
            parent = made
            while True:
                keys = list(parent) if isinstance(parent, dict) else range(len(parent))
                if not keys:
                    break
                key = keys[rng.integers(len(keys))]
                if not isinstance(parent[key], dict | list) or rng.random() < 0.2:
                    parent[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])
                    break
                parent = parent[key]

    for number in range(40):
        folder = tmp_path / str(number)
        try:
            images = scan_coco(write(folder, spoil), folder)
        except InputError:
            continue
        for index in range(len(images)):
            things = images.annotations(index)
            assert (things.boxes[:, 2:] > things.boxes[:, :2]).all()
            assert ((things.labels >= 0) & (things.labels < len(images.classes))).all()
            assert torch.isfinite(things.area).all()
            unpack_masks(things.masks or [], *images.sizes[index])
