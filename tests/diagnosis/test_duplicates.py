"""Images that are nearly the same, and those that are not."""

import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from fastitpn.diagnosis.duplicates import find_duplicates
from fastitpn.diagnosis.findings import Entry
from fastitpn.diagnosis.pixels import Look

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "text")


def look(picture: Image.Image, name: str, content: bytes = b"", part: str = "", label: str | None = None) -> Look:
    small = np.asarray(picture.convert("RGB").resize((16, 16), Image.Resampling.BOX))
    entry = Entry(path=Path(name), part=part, label=label)
    return Look(entry=entry, size=picture.size, content=content or name.encode(), thumbnail=small)


@pytest.fixture(scope="module")
def photos() -> dict[str, Image.Image]:
    return {name: Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in NAMES}


def recompressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=30)
    return Image.open(buffer)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "change",
    [
        recompressed,
        lambda picture: picture.resize((picture.width // 3, picture.height // 3)),
        lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
        lambda picture: picture.crop((2, 2, picture.width - 2, picture.height - 2)),
    ],
)
def test_small_changes_are_seen_through(photos, name, change):
    others = [look(picture, other) for other, picture in photos.items()]
    [found] = find_duplicates([*others, look(change(photos[name]), "changed")], 0.99)
    assert (found.kind, found.problem) == ("nearly same image twice", False)
    assert {path.name for path in found.files} == {name, "changed"}


def test_other_pictures_are_others(photos):
    turned = [look(picture.transpose(Image.Transpose.ROTATE_180), f"{name}2") for name, picture in photos.items()]
    assert find_duplicates([*(look(picture, name) for name, picture in photos.items()), *turned], 0.99) == []


def test_blank_images_are_not_alike():
    blank = [look(Image.new("RGB", (40, 40), colour), colour) for colour in ("red", "blue", "white")]
    assert find_duplicates(blank, 0.99) == []


def test_the_search_finds_what_comparing_all_pairs_finds():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(30, 16, 16, 3))
    noisy = np.concatenate([base + scale * rng.normal(size=base.shape) for scale in (0.0, 0.05, 0.1, 0.2)])
    values = np.clip(128 + 30 * noisy, 0, 255).astype(np.uint8)
    looks = [look(Image.fromarray(thumbnail), f"{place:03}") for place, thumbnail in enumerate(values)]
    unit = values.reshape(len(values), -1).astype(float)
    unit -= unit.mean(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    near = {frozenset((f"{a:03}", f"{b:03}")) for a, b in np.argwhere(unit @ unit.T >= 0.99) if a < b}
    groups = [{path.name for path in finding.files} for finding in find_duplicates(looks, 0.99)]
    assert near
    assert all(any(pair <= group for group in groups) for pair in near)
    assert sum(map(len, groups)) == len(set().union(*near))


def test_the_gravest_come_first(photos):
    pictures = list(photos.values())
    looks = [
        look(pictures[0], "a", b"0", "train", "x"),
        look(pictures[0], "b", b"0", "train", "x"),
        look(pictures[1], "c", b"1", "train", "x"),
        look(pictures[1], "d", b"1", "train", "y"),
        look(pictures[2], "e", b"2", "train", "x"),
        look(pictures[2], "f", b"2", "val", "x"),
        look(pictures[3], "g", b"3", "train", "x"),
        look(recompressed(pictures[3]), "h", b"4", "val", "x"),
    ]
    found = find_duplicates(looks, 0.99)
    assert [finding.kind for finding in found] == [
        "same image in several parts",
        "nearly same image in several parts",
        "same image in several classes",
        "same image twice",
    ]
    assert [finding.part for finding in found] == ["train and val", "train and val", "train", "train"]
    assert all(finding.problem for finding in found)


def test_copies_of_a_near_duplicate_are_of_its_group(photos):
    picture = photos["coffee"]
    looks = [look(picture, "a", b"1"), look(picture, "b", b"1"), look(recompressed(picture), "c", b"2")]
    exact, near = find_duplicates(looks, 0.99)
    assert [path.name for path in exact.files] == ["a", "b"]
    assert [path.name for path in near.files] == ["a", "b", "c"]


def test_a_group_says_how_alike_it_is(photos):
    picture = photos["coffee"]
    looks = [look(picture, "a"), look(recompressed(picture), "b"), look(ImageEnhance.Color(picture).enhance(1.4), "c")]
    [found] = find_duplicates([*looks, look(photos["rocket"], "d")], 0.95)
    unit = np.array([one.thumbnail.reshape(-1) for one in looks], float)
    unit -= unit.mean(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    assert found.similarity == pytest.approx((unit @ unit.T).min(), abs=1e-5)
    assert found.what.startswith(f"3 images of similarity {int(1000 * found.similarity) / 1000:.3f} or more: a, b, c")
    assert found.to_json()["similarity"] == found.similarity
