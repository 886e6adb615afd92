"""What is odd about images."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from fastitpn.diagnosis.findings import Entry
from fastitpn.diagnosis.pixels import look_at, sizes_table, values_table


@pytest.fixture
def look(tmp_path):
    """Looks at a picture that is saved under a name."""

    def look(picture, name="a.png", **keys):
        picture.save(tmp_path / name, **keys)
        return look_at([Entry(path=tmp_path / name, part="train")])

    return look


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea()).resize((120, 90))


def test_a_good_one(look, cat):
    [seen], found = look(cat, "a.jpg")
    assert (seen.size, seen.thumbnail.shape, found) == ((120, 90), (16, 16, 3), [])


@pytest.mark.parametrize(
    ("size", "kind"), [((31, 90), "very small image"), ((32, 257), "very long image"), ((32, 256), None)]
)
def test_sizes(look, cat, size, kind):
    _, found = look(cat.resize(size))
    assert [finding.kind for finding in found] == [kind] * (kind is not None)
    assert not any(finding.problem for finding in found)


def test_blank_in_any_colour(look):
    _, found = look(Image.new("RGB", (40, 40), (250, 10, 10)))
    assert [finding.kind for finding in found] == ["blank image"]


def test_names_and_several_pictures(look, cat, tmp_path):
    cat.save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    _, found = look_at([Entry(path=tmp_path / "a.jpg", part="")])
    assert [finding.what for finding in found] == ["it is a PNG, not what its name says"]
    _, found = look(cat, "a.gif", save_all=True, append_images=[cat.rotate(90)])
    assert [finding.kind for finding in found] == ["several pictures in one file"]


def test_turned_upright(look, cat):
    exif = Image.Exif()
    exif[0x0112] = 6
    [seen], _ = look(cat, "a.jpg", exif=exif)
    assert seen.size == (90, 120)


def test_unreadable_and_missing(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"none")
    seen, found = look_at([Entry(path=tmp_path / name, part="val") for name in ("bad.jpg", "none.jpg")])
    assert seen == []
    assert [(finding.kind, finding.part, finding.problem) for finding in found] == [
        ("unreadable image", "val", True)
    ] * 2


def test_the_table_of_sizes(look, cat):
    [seen], _ = look(cat)
    rows = {name: values for name, *values in sizes_table([seen])}
    assert rows["width, px"] == [120] * 5
    assert rows["shorter side, px"] == [90] * 5
    assert rows["width / height"] == pytest.approx([4 / 3] * 5)
    assert sizes_table([]) == []


def test_order_is_kept(tmp_path):
    rng = np.random.default_rng(0)
    entries = []
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(tmp_path / f"{number:02}.png")
        entries.append(Entry(path=tmp_path / f"{number:02}.png", part=""))
    assert [seen.entry for seen in look_at(entries)[0]] == entries


@pytest.mark.parametrize(
    ("values", "kind", "what"),
    [
        (np.full((40, 40, 3), (9, 8, 7)), "blank image", "all of it has one colour: 9, 8, 7"),
        (np.indices((40, 40))[0][..., None] % 2 + [100, 100, 100], "nearly blank image", "between 100 and 101 of 255"),
        (np.indices((40, 40))[0][..., None] // 2 + [0, 0, 0], "very dark image", "its brightest value is 19 of 255"),
    ],
)
def test_what_is_said_of_plain_pictures_is_true(look, values, kind, what):
    [seen], [finding] = look(Image.fromarray(values.astype(np.uint8)))
    assert (finding.kind, finding.problem) == (kind, False)
    assert what in finding.what
    assert seen.darkest_and_brightest == (values.min(), values.max())


def test_noise_is_not_blank(look):
    [seen], found = look(Image.fromarray(np.random.default_rng(0).integers(0, 256, (640, 640, 3), np.uint8)))
    assert seen.is_blank  # as far as its thumbnail shows
    assert found == []


def test_the_table_of_values(look, cat):
    [seen], _ = look(Image.fromarray(np.asarray(cat) // 2 + 20))
    rows = {name: values for name, *values in values_table([seen])}
    assert rows["darkest value"][0] >= 20
    assert rows["brightest value"][4] <= 147
    assert 20 < rows["mean value"][2] < 147
    assert values_table([]) == []
