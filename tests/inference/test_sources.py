from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fastitpn.errors import InputError
from fastitpn.inference.sources import collect_sources, source_root


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def test_everything_that_may_be_given_is_the_same_picture(photos, tmp_path):
    photo = photos["coffee"]
    photo.save(tmp_path / "coffee.png")
    array = pixels(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    given = [
        tmp_path / "coffee.png",
        str(tmp_path / "coffee.png"),
        photo,
        array,
        tensor,
        tensor / 255,
        tensor.double() / 255,
    ]
    sources = collect_sources(given)
    for source in sources:
        image = source.read()
        assert (image.mode, image.size) == ("RGB", photo.size)
        np.testing.assert_array_equal(pixels(image), array)
    assert [source.path for source in sources] == [tmp_path / "coffee.png"] * 2 + [None] * 5


def test_gray_arrays_of_8_and_16_bits(photos):
    gray = pixels(photos["camera"])
    assert gray.ndim == 2
    for source in collect_sources([gray, gray.astype(np.uint16) * 257]):
        np.testing.assert_array_equal(pixels(source.read()), np.stack([gray] * 3, axis=-1))


def test_one_image_and_a_view_that_is_not_contiguous(photos):
    array = pixels(photos["coffee"])[::2, ::-1]
    [source] = collect_sources(array)
    np.testing.assert_array_equal(pixels(source.read()), array)
    assert source.name == "images"


def test_a_tensor_that_learns(photos):
    [source] = collect_sources(torch.full((3, 4, 5), 0.5, requires_grad=True))
    assert pixels(source.read()).tolist() == [[[128] * 3] * 5] * 4


def test_folders_are_searched_in_order_and_mixed_with_others(folder, photos):
    sources = collect_sources(item for item in (photos["coffee"], folder, folder / "near" / "camera.png"))
    names = [None if source.path is None else source.path.relative_to(folder).as_posix() for source in sources]
    far = ["far/away/coffee.png", "far/away/rocket.png"]
    assert names == [None, *far, "near/astronaut.png", "near/camera.png", "near/chelsea.png", "near/camera.png"]


def test_a_path_below_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert collect_sources("~/near/camera.png")[0].path == folder / "near" / "camera.png"


def test_no_images_are_no_sources():
    assert collect_sources([]) == []


FINE = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("bad", "what", "fix"),
    [
        (np.zeros((4, 5, 3), np.float32), "shape [4, 5, 3] and type float32", '(array * 255).round().astype("uint8")'),
        (np.zeros((4, 5), np.float64), "shape [4, 5] and type float64", "* 255"),
        (np.zeros((4, 5, 3), np.int64), "shape [4, 5, 3] and type int64", None),
        (np.zeros((3, 4, 5), np.uint8), "shape [3, 4, 5] and type uint8", "array.transpose(1, 2, 0)"),
        (np.zeros((2, 4, 5, 3), np.uint8), "shape [2, 4, 5, 3]", "list(array)"),
        (np.zeros((4, 5, 4), np.uint8), "shape [4, 5, 4]", "array[..., :3]"),
        (np.zeros((0, 5, 3), np.uint8), "shape [0, 5, 3]", None),
        (np.zeros(7, np.uint8), "shape [7]", None),
        (torch.zeros(4, 5, 3), "a tensor of shape [4, 5, 3] and type float32", "tensor.permute(2, 0, 1)"),
        (torch.zeros(2, 3, 4, 5), "a tensor of shape [2, 3, 4, 5]", "list(tensor)"),
        (torch.zeros(1, 4, 5), "a tensor of shape [1, 4, 5]", None),
        (torch.zeros(3, 4, 5, dtype=torch.int64), "type int64", None),
        (torch.zeros(3, 0, 5), "a tensor of shape [3, 0, 5]", None),
        (torch.full((3, 4, 5), -1.25), "the values of this tensor run from -1.25 to -1.25", "divided by 255"),
        (torch.full((3, 4, 5), 200.0), "the values of this tensor run from 200 to 200", "divided by 255"),
        (torch.full((3, 4, 5), float("nan")), "the values of this tensor run from nan to nan", "divided by 255"),
        (7, "a int is not an image", None),
        (None, "a NoneType is not an image", None),
        ([FINE], "a list is not an image", None),
        (b"JFIF", "a bytes is not an image", None),
    ],
)
def test_what_is_not_an_image_is_named(bad, what, fix):
    with pytest.raises(InputError) as caught:
        collect_sources([FINE, bad])
    assert what in caught.value.what
    assert caught.value.where == "images[1]"
    assert caught.value.expected
    assert (caught.value.fix is None) == (fix is None)
    assert (fix or "") in (caught.value.fix or "")


@pytest.mark.parametrize("bad", [7, b"JFIF", {"image": FINE}])
def test_what_is_not_a_list_of_images_either(bad):
    with pytest.raises(InputError, match="is not an image") as caught:
        collect_sources(bad)
    assert caught.value.where == "images"


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such image or folder") as caught:
        collect_sources([tmp_path / "cat.jpg"])
    assert (caught.value.where, caught.value.fix) == (tmp_path / "cat.jpg", "check the path")


def test_a_folder_without_images(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(InputError, match=r"no images in this folder \(other files: 1 .txt\)") as caught:
        collect_sources(tmp_path)
    assert caught.value.fix == "give an image, or a folder with images"


def test_a_picture_that_turns_out_to_be_damaged(photos, tmp_path):
    photos["coffee"].save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:700])
    with Image.open(tmp_path / "a.jpg") as opened:
        [source] = collect_sources([opened])
        with pytest.raises(InputError, match=r"cannot use this image: .*truncated") as caught:
            source.read()
    assert caught.value.where == "images[0]"


def test_a_picture_without_a_form_in_8_bits():
    [source] = collect_sources([Image.fromarray(np.full((2, 2), -1.0, np.float32))])
    with pytest.raises(InputError, match=r"pixel values run from -1\.0 to -1\.0") as caught:
        source.read()
    assert caught.value.where == "images[0]"


@pytest.mark.parametrize(
    ("source", "root"),
    [("photos", "photos"), ("photos/a.png", "photos"), ("photos/*/*.png", "photos"), ("*/a[1].png", "."), ("no", ".")],
)
def test_where_a_source_begins(tmp_path, monkeypatch, source, root):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    assert source_root(Path(source)) == Path(root)


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    (tmp_path / "a[1].png").write_bytes(b"")
    [source] = collect_sources(tmp_path / "a[1].png")
    assert source.path == tmp_path / "a[1].png"
    assert source_root(source.path) == tmp_path
