"""Images from files, tar shards and Hugging Face data sets, by number."""

import io
import pickle
import tarfile
import warnings

import numpy as np
import pytest
from PIL import Image

from fastitpn.data.images.image_source import FileSource, ImageSource, SourceKind, as_source
from fastitpn.data.images.pixel_range import find_range
from fastitpn.data.images.sources import SOURCES, open_images
from fastitpn.data.images.tar_shards import MOST_BROKEN, TarShards
from fastitpn.data.images.tar_writer import plan_shards, write_shards
from fastitpn.errors import InputError


def png(grey: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4), (grey,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path, members: dict[str, bytes]):
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def grey(image: Image.Image) -> int:
    assert (image.mode, image.size) == ("RGB", (6, 4))
    return int(np.asarray(image)[0, 0, 0])


@pytest.fixture
def shards(tmp_path):
    """Images of grey 0 to 4 in two shards, with labels and captions between them."""
    first = {"a/0.png": png(0), "a/0.cls": b"7", "1.PNG": png(1), "1.json": b"{}"}
    write_tar(tmp_path / "00.tar", first)
    write_tar(tmp_path / "01.tar", {f"{number}.png": png(number) for number in (2, 3, 4)})
    return tmp_path


class TestShards:
    """Tar files."""

    def test_images_by_number(self, shards):
        images = open_images(shards)
        assert isinstance(images, TarShards)
        assert (len(images), images.group_sizes) == (5, [2, 3])
        assert [grey(images.read(number)) for number in (3, 0, 4, 1, 2)] == [3, 0, 4, 1, 2]
        assert [images.name(number) for number in (0, 2)] == ["00.tar/a/0.png", "01.tar/2.png"]
        assert grey(pickle.loads(pickle.dumps(images)).read(2)) == 2  # as it goes to a worker

    def test_one_shard_and_a_train_folder(self, shards, tmp_path):
        assert len(open_images(shards / "01.tar")) == 3
        (tmp_path / "more" / "train").mkdir(parents=True)
        write_tar(tmp_path / "more" / "train" / "0.tar", {"a.png": png(9)})
        write_tar(tmp_path / "more" / "val.tar", {"b.png": png(8)})
        assert len(open_images(tmp_path / "more")) == 1

    @pytest.mark.parametrize(
        ("members", "names"),
        [
            (("0.jpg", "0.seg.png", "0.depth.png", "1.seg.png", "1.jpg"), ["0.jpg", "1.jpg"]),
            (("0.depth.png", "0.rgb.png", "0.json"), ["0.rgb.png"]),
            (("a/0.png", "b/0.png"), ["a/0.png", "b/0.png"]),
            (("2024.01.02.jpg", "2024.05.06.jpg"), ["2024.01.02.jpg", "2024.05.06.jpg"]),
            (("./._0.jpg", "./0.jpg", "__MACOSX/0.jpg", "@eaDir/0.jpg"), ["./0.jpg"]),
        ],
    )
    def test_pictures_of_shards_of_others(self, tmp_path, capsys, members, names):
        write_tar(tmp_path / "0.tar", dict.fromkeys(members, png(1)))
        (tmp_path / "._0.tar").write_bytes(b"\0\5\x16\7")
        images = open_images(tmp_path)
        assert [images.name(number) for number in range(len(images))] == [f"0.tar/{name}" for name in names]
        left = sum(
            "._" not in name and "@" not in name and "MAC" not in name and "json" not in name for name in members
        )
        left -= len(names)
        assert (f"{left} images in the shards are not used" in capsys.readouterr().out) == (left > 0)

    def test_12_bits_keep_their_range(self, tmp_path):
        file = io.BytesIO()
        Image.fromarray(np.full((4, 6), 4000, np.uint16)).save(file, format="PNG")
        write_tar(tmp_path / "0.tar", {"a.png": file.getvalue(), "b.jpg": png(1), "c.png": png(2)})
        images = open_images(tmp_path)
        assert len(images.some()) == 2  # a JPEG has 8 bits
        extent = find_range(images.some())
        assert (extent.deep, extent.high, extent.text) == (1, 4000, "12bit")

    def test_a_tar_without_images_beside_images_hides_nothing(self, tmp_path, capsys):
        write_tar(tmp_path / "archive.tar", {"README": b"x"})
        (tmp_path / "1.png").write_bytes(png(1))
        assert isinstance(open_images(tmp_path), FileSource)
        assert "archive.tar: there are no images in it, so it is left out" in capsys.readouterr().out

    def test_shards_of_parts(self, tmp_path, capsys):
        for number, name in enumerate(("d-train-00.tar", "d-train-01.tar", "d-val-00.tar", "test.tar")):
            write_tar(tmp_path / name, {f"{number}.png": png(number)})
        assert len(open_images(tmp_path)) == 2
        assert "2 of 4 shards are named after val or test" in capsys.readouterr().out

    def test_a_broken_sample_is_reported_once_and_the_next_takes_its_place(self, tmp_path, caplog):
        write_tar(tmp_path / "0.tar", {"a.png": png(1), "b.png": b"broken", "c.png": png(3)})
        images = TarShards([tmp_path / "0.tar"])
        with caplog.at_level("WARNING", "fastitpn"):
            assert [grey(images.read(number)) for number in (0, 1, 1, 2)] == [1, 3, 3, 3]
        assert len(caplog.records) == 1
        assert "0.tar, member b.png" in caplog.text
        assert "cannot read this image: not an image in a known format" in caplog.text

    def test_many_broken_samples_end_the_run(self, tmp_path):
        write_tar(tmp_path / "0.tar", {f"{number}.png": b"" for number in range(MOST_BROKEN + 1)})
        with pytest.raises(InputError, match=f"{MOST_BROKEN} samples in a row are broken.*the file is empty"):
            TarShards([tmp_path / "0.tar"]).read(0)

    @pytest.mark.parametrize("damage", ["cut", "text", "compressed"])
    def test_a_damaged_shard_is_found_before_the_first_step(self, shards, damage):
        path = shards / "01.tar"
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:2000])
        elif damage == "text":
            path.write_text("no tar" * 200)
        else:
            with tarfile.open(path, "w:gz") as archive:
                archive.add(shards / "00.tar")
        with pytest.raises(InputError, match="this shard is damaged") as caught:
            open_images(shards)
        assert caught.value.where == path

    def test_shards_without_images(self, tmp_path):
        write_tar(tmp_path / "0.tar", {"a.txt": b"text"})
        with pytest.raises(InputError, match="no images in these 1 shards"):
            open_images(tmp_path)


class TestWriting:
    """From files to shards."""

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "in" / "cats").mkdir(parents=True)
        names = ["cats/one.two.png", "dog.PNG", "z z.png"]
        for number, name in enumerate(names):
            (tmp_path / "in" / name).write_bytes(png(number))
        return [tmp_path / "in" / name for name in names], names, tmp_path / "out"

    def write(self, folder, shard_mib: float) -> list[str]:
        paths, names, out = folder
        out.mkdir(exist_ok=True)
        said: list[str] = []
        write_shards(paths, names, out, shard_mib=shard_mib, said=said.append)
        return said

    def test_bytes_and_order_are_kept(self, folder):
        assert self.write(folder, 1) == ["00000.tar: 3 images (1 of 1)"]
        images = open_images(folder[2])
        assert [grey(images.read(number)) for number in range(3)] == [0, 1, 2]
        with tarfile.open(folder[2] / "00000.tar") as archive:
            assert archive.getnames() == [
                "000000000_cats_one_two.png", "000000001_dog.png", "000000002_z_z.png"
            ]  # fmt: skip
            assert archive.extractfile(archive.getnames()[0]).read() == folder[0][0].read_bytes()

    def test_a_file_that_cannot_be_read_leaves_no_half_shard(self, folder):
        paths, _, out = folder
        paths[2].unlink()
        paths[2].mkdir()
        with pytest.raises(InputError, match=rf"{paths[2].name} could not be read: Is a directory"):
            self.write(folder, 1)
        assert list(out.iterdir()) == []

    def test_webdataset_reads_them(self, folder):
        wds = pytest.importorskip("webdataset")
        self.write(folder, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(wds.WebDataset(str(folder[2] / "00000.tar"), shardshuffle=False).decode("pil"))
        assert [grey(sample["png"]) for sample in samples] == [0, 1, 2]

    def test_the_size_of_shards(self, folder):
        size_mib = folder[0][0].stat().st_size / 2**20
        assert [len(part) for part in plan_shards(folder[0], 2.5 * size_mib)] == [2, 1]
        assert [len(part) for part in plan_shards(folder[0], 0.1 * size_mib)] == [1, 1, 1]

    def test_it_goes_on_where_it_stopped(self, folder):
        self.write(folder, 1e-5)
        before = {path.name: path.read_bytes() for path in folder[2].iterdir()}
        (folder[2] / "00001.tar").unlink()
        assert self.write(folder, 1e-5) == ["00001.tar: 1 images (2 of 3)"]
        assert {path.name: path.read_bytes() for path in folder[2].iterdir()} == before

    def test_other_shards_are_left_alone(self, folder):
        self.write(folder, 1e-5)
        with pytest.raises(InputError, match=r"shards of something else, such as 00001\.tar"):
            self.write(folder, 1)
        for number in (1, 2):
            (folder[2] / f"0000{number}.tar").unlink()
        with pytest.raises(InputError, match=r"00000\.tar is there already, with other images"):
            self.write(folder, 1)


class TestHuggingFace:
    """Folders of `save_to_disk`."""

    @pytest.fixture
    def datasets(self):
        return pytest.importorskip("datasets")

    def make(self, datasets, contents):
        rows = {"label": list(range(len(contents))), "picture": [{"bytes": c, "path": None} for c in contents]}
        return datasets.Dataset.from_dict(
            rows, features=datasets.Features({"label": datasets.Value("int32"), "picture": datasets.Image()})
        )

    @pytest.mark.parametrize("split", [False, True])
    def test_images_by_number(self, datasets, split, tmp_path):
        data = self.make(datasets, [png(number) for number in range(3)])
        if split:
            data = datasets.DatasetDict({"test": self.make(datasets, [png(9)]), "train": data})
        data.save_to_disk(tmp_path / "d")
        images = open_images(tmp_path / "d")
        assert (len(images), images.name(1)) == (3, "row 1")
        assert [grey(images.read(number)) for number in (2, 0, 1)] == [2, 0, 1]

    def test_12_bits_keep_their_range(self, datasets, tmp_path):
        file = io.BytesIO()
        Image.fromarray(np.full((4, 6), 1000, np.uint16)).save(file, format="PNG")
        self.make(datasets, [png(1), file.getvalue()]).save_to_disk(tmp_path / "data")
        extent = find_range(open_images(tmp_path / "data").some())
        assert (extent.deep, extent.high, extent.text) == (1, 1000, "10bit")

    def test_the_split_to_train_on(self, datasets, tmp_path):
        parts = {name: self.make(datasets, [png(9)] * n) for name, n in (("test", 1), ("training", 2))}
        datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
        assert len(open_images(tmp_path / "d")) == 2
        datasets.DatasetDict({"test": parts["test"]}).save_to_disk(tmp_path / "t")
        with pytest.raises(InputError, match="there is no split train in this data set, but test"):
            open_images(tmp_path / "t")

    def test_what_is_wrong_is_said(self, datasets, tmp_path):
        self.make(datasets, [png(0), b"broken"]).save_to_disk(tmp_path / "d")
        with pytest.raises(InputError, match="not an image in a known format") as caught:
            open_images(tmp_path / "d").read(1)
        assert "row 1, column picture" in str(caught.value.where)
        datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "t")
        with pytest.raises(InputError, match="no images in this data set; its columns are text"):
            open_images(tmp_path / "t")
        (tmp_path / "d" / "state.json").write_text("{")
        with pytest.raises(InputError, match="this data set cannot be read"):
            open_images(tmp_path / "d")

    def test_without_the_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "datasets", None)
        (tmp_path / "state.json").write_text("{}")
        with pytest.raises(InputError, match="the package to read it is not installed") as caught:
            open_images(tmp_path)
        assert "fastitpn[datasets]" in caught.value.fix


def test_files(tmp_path):
    for name in ("a.png", "b/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(5))
    images = open_images(tmp_path)
    assert isinstance(images, FileSource)
    assert [images.name(number) for number in range(2)] == ["a.png", "b/c.png"]
    assert (grey(images.read(1)), images.group_sizes) == (5, None)
    assert as_source(images) is images
    assert as_source([tmp_path / "a.png"]).name(0) == str(tmp_path / "a.png")


def test_a_registered_source(tmp_path):
    class Reversed(ImageSource):
        """Files of a list, the last one first."""

        def __init__(self, file):
            self.names = file.read_text().split()[::-1]

        def __len__(self):
            return len(self.names)

    file = tmp_path / "all.reversed"
    file.write_text("a b c")
    SOURCES.register("reversed", SourceKind(recognise=lambda path: path.suffix == ".reversed", open=Reversed))
    try:
        assert open_images(file).names == ["c", "b", "a"]
    finally:
        SOURCES.unregister("reversed")
