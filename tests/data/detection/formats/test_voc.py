"""Pascal VOC's data as labelling tools and other people's machines have written it."""

from pathlib import Path

import pytest
from boxes_example import picture, voc_file, voc_object
from PIL import Image

from fastitpn.data.detection.formats.registry import recognise
from fastitpn.data.detection.formats.voc import read_voc
from fastitpn.data.detection.images import detection_split
from fastitpn.data.detection.sources import Source

DOG = voc_object("dog", 2, 3, 12, 13)
SIDES = (1, 2, 12, 13)


def boxes(source: Source, part: str = "") -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """Names and boxes of the objects by the image's name."""
    images = source.parts[part].images
    return {image.path.name: [(thing.name, thing.box) for thing in image.objects] for image in images}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("GBK", "汽车"),
        ("gb2312", "汽车"),
        ("Shift_JIS", "車"),
        ("ISO-8859-1", "Bär"),
        ("utf-16", "Bär"),
        ("UTF-8", "é車"),
    ],
)
def test_encodings(tmp_path, encoding, name, mark):
    picture(tmp_path / "JPEGImages" / "a.jpg")
    voc_file(tmp_path / "Annotations" / "a.xml", voc_object(name, 2, 3, 12, 13))
    text = (tmp_path / "Annotations" / "a.xml").read_text()
    declared = f"<?xml version='1.0' encoding='{'UTF-8' if mark else encoding}'?>{text}"
    content = mark + declared.encode("utf-8" if mark else encoding)
    (tmp_path / "Annotations" / "a.xml").write_bytes(content)
    assert recognise(tmp_path) == "voc"
    assert boxes(read_voc(tmp_path)) == {"a.jpg": [(name, SIDES)]}


def test_stale_names_lose(tmp_path, capsys):
    for number in range(3):
        picture(tmp_path / "JPEGImages" / f"IMG_{number}.jpg")
        sides = (1 + number, 3, 12, 13)
        voc_file(
            tmp_path / "Annotations" / f"IMG_{number}.xml", voc_object("dog", *sides), image=f"IMG_{number + 1}.jpg"
        )
    expected = {f"IMG_{number}.jpg": [("dog", (number, 2, 12, 13))] for number in range(3)}
    assert boxes(read_voc(tmp_path)) == expected
    assert "3 XML files name another image than that of their file name, which is used" in capsys.readouterr().out
    (tmp_path / "JPEGImages" / "IMG_0.jpg").unlink()
    source = read_voc(tmp_path)  # and not that of IMG_1.xml
    assert list(boxes(source)) == ["IMG_1.jpg", "IMG_2.jpg"]
    assert [problem.kind for problem in source.problems] == ["missing image file"]


def test_names_in_the_files_where_their_own_are_no_images(tmp_path):
    picture(tmp_path / "images" / "first.jpg")
    voc_file(tmp_path / "annotations" / "0001.xml", DOG, image="C:\\old\\first.jpg")
    assert boxes(read_voc(tmp_path)) == {"first.jpg": [("dog", SIDES)]}


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("images/a.jpg", "annotations/a.xml"),
        ("images/my dog [1]*.jpg", "annotations/my dog [1]*.xml"),
        ("images/a.jpg", "annotations/xmls/a.xml"),
        ("images/a.jpg", "annotations/a.jpg.xml"),
        ("img.v2.JPG", "img.v2.xml"),
        ("JPEGImages/a.png", "Annotations/a.xml"),
        ("VOC2007/JPEGImages/a.jpg", "VOC2007/Annotations/a.xml"),
    ],
)
def test_layouts(tmp_path, image, file):
    picture(tmp_path / image)
    voc_file(tmp_path / file, DOG)
    assert recognise(tmp_path) == "voc"
    assert boxes(read_voc(tmp_path)) == {Path(image).name: [("dog", SIDES)]}
    if "/" in file and "xmls" not in file:
        assert boxes(read_voc((tmp_path / file).parent)) == boxes(read_voc(tmp_path))


@pytest.mark.parametrize(
    ("image", "file"),
    [("{}/a.jpg", "{}/a.xml"), ("images/{}/a.jpg", "annotations/{}/a.xml"), ("{}/images/a.jpg", "{}/xml/a.xml")],
)
def test_folders_of_parts(tmp_path, image, file):
    """Each has a picture of the same name."""
    for left, part in enumerate(("Train", "valid", "TEST"), start=1):
        picture(tmp_path / image.format(part))
        voc_file(tmp_path / file.format(part), voc_object("dog", left, 3, 12, 13))
    source = read_voc(tmp_path)
    for left, part in enumerate(("train", "val", "test")):
        assert boxes(source, part) == {"a.jpg": [("dog", (left, 2, 12, 13))]}
    assert [len(part) for part in detection_split(tmp_path)] == [1, 1]


def test_lists(tmp_path, capsys):
    names = ("my dog", "b", "c", "d")
    for name in names:
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        voc_file(tmp_path / "Annotations" / f"{name}.xml", DOG)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("my dog\nb  1\n")
    (lists / "val.txt").write_text("c.jpg\n")
    (lists / "test.txt").write_text("e\nf\n")
    source = read_voc(tmp_path)
    assert {name: list(boxes(source, name)) for name in source.names} == {
        "train": ["my dog.jpg", "b.jpg"],
        "val": ["c.jpg"],
    }
    said = capsys.readouterr().out
    assert "none of the 2 names of test.txt has an XML file: there is no part test" in said
    assert "1 XML file is in no list of ImageSets: not used" in said
    for name in ("train", "test"):
        (lists / f"{name}.txt").unlink()
    (lists / "trainval.txt").write_text("my dog\nb\nc\n")
    (lists / "test.txt").write_text("d\n")
    source = read_voc(tmp_path)
    assert {name: len(boxes(source, name)) for name in source.names} == {"train": 3, "test": 1}


def test_lists_of_sub_folders_and_of_two_years(tmp_path, capsys):
    """A name with its folder is not that of another folder."""
    for year in (2007, 2012):
        data = tmp_path / f"VOC{year}"
        for name in ("cam1/1", "cam2/1", "cam1/2"):
            picture(data / "JPEGImages" / f"{name}.jpg")
            voc_file(data / "Annotations" / f"{name}.xml", DOG)
        (data / "ImageSets" / "Main").mkdir(parents=True)
        (data / "ImageSets" / "Main" / "train.txt").write_text("cam2/1\nJPEGImages/cam1/2.jpg\n")
        (data / "ImageSets" / "Main" / "val.txt").write_text("cam2/2\n")
    source = read_voc(tmp_path)
    paths = [image.path.relative_to(tmp_path).as_posix() for image in source.parts["train"].images]
    names = ("cam2/1", "cam1/2")
    assert paths == [f"VOC{year}/JPEGImages/{name}.jpg" for year in (2007, 2012) for name in names]
    assert {problem.file.relative_to(tmp_path).as_posix() for problem in source.parts["val"].problems} == {
        f"VOC{year}/Annotations/cam2/2.xml" for year in (2007, 2012)
    }
    assert "taken together: VOC2007, VOC2012" in capsys.readouterr().out
    (tmp_path / "data" / "VOCdevkit").mkdir(parents=True)  # as the archives have it, one folder more
    for year in (2007, 2012):
        (tmp_path / f"VOC{year}").rename(tmp_path / "data" / "VOCdevkit" / f"VOC{year}")
    assert len(read_voc(tmp_path / "data").parts["train"].images) == 4


def test_images_without_xml_files_are_told(tmp_path, capsys):
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "images" / "b.jpg")
    voc_file(tmp_path / "annotations" / "a.xml", DOG)
    read_voc(tmp_path)
    assert "1 image has no XML file: not used" in capsys.readouterr().out


OUTLINE = "<polygon><x1>2</x1><y1>3</y1><x2>12</x2><y2>5</y2><x3>7</x3><y3>13</y3></polygon>"
TURNED = "<robndbox><cx>7</cx><cy>8</cy><w>10</w><h>4</h><angle>1.5707963</angle></robndbox>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (OUTLINE, (1, 2, 12, 13)),
        (TURNED, (5, 3, 9, 13)),
        ("<bndbox><xmin> 2.5 </xmin><ymin>3.0</ymin><xmax>12.5</xmax><ymax>13</ymax></bndbox>", (1.5, 2, 12.5, 13)),
        ("<bndbox><xmin>2,5</xmin><ymin>3</ymin><xmax>12,5</xmax><ymax>13</ymax></bndbox>", (1.5, 2, 12.5, 13)),
        ("<bndbox><xmax>12</xmax><ymax>13</ymax><ymin>0</ymin><xmin>0</xmin></bndbox>", (0, 0, 12, 13)),
    ],
)
def test_boxes(tmp_path, content, expected):
    picture(tmp_path / "a.jpg")
    voc_file(tmp_path / "a.xml", f"<object><name> dog </name>{content}</object>")
    [(name, box)] = boxes(read_voc(tmp_path))["a.jpg"]
    assert name == "dog"
    assert box == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("value", "crowd"), [("1", True), ("true", True), ("0", False), ("Unspecified", False), ("", False)]
)
def test_difficult(tmp_path, value, crowd):
    picture(tmp_path / "a.jpg")
    voc_file(tmp_path / "a.xml", voc_object("dog", 2, 3, 12, 13, f"<difficult>{value}</difficult>"))
    assert read_voc(tmp_path).parts[""].images[0].objects[0].crowd is crowd


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        (voc_object("dog", 12, 3, 2, 13), "box of no size", "xmin is 12 and xmax 2: they are swapped"),
        (voc_object("dog", 2, 13, 12, 3), "box of no size", "ymin is 13 and ymax 3: they are swapped"),
        (voc_object("dog", 2, 3, 12, 13, "<difficult>2</difficult>"), "object that cannot be used", "difficult is '2'"),
        ("<object><name>dog</name></object>", "object without name or box", "has no bndbox"),
        (f"<object><name>dog</name>{OUTLINE.replace('>7<', '>nan<')}</object>", "object without name", "has no bndbox"),
    ],
)
def test_an_image_whose_objects_are_all_wrong_is_not_empty(tmp_path, text, kind, what):
    for name, content in (("a", text), ("b", text + DOG), ("c", "")):
        picture(tmp_path / f"{name}.jpg")
        voc_file(tmp_path / f"{name}.xml", content)
    source = read_voc(tmp_path)
    assert boxes(source) == {"b.jpg": [("dog", SIDES)], "c.jpg": []}
    assert [problem.leaves_out for problem in source.problems] == ["image", "annotation"]
    assert source.problems[0].kind.startswith(kind)
    assert what in source.problems[0].what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<annotations><image/></annotations>", "its root is <annotations>, not <annotation>: it is of another tool"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "it declares entities"),
        ("<annotation>\ud800</annotation>", "it is no text of a known encoding"),
    ],
)
def test_other_xml(tmp_path, text, what):
    for name in ("a", "b"):
        picture(tmp_path / f"{name}.jpg")
        voc_file(tmp_path / f"{name}.xml", DOG)
    (tmp_path / "b.xml").write_bytes(text.encode("utf-16", "surrogatepass"))
    [problem] = read_voc(tmp_path).problems
    assert what in problem.what
    (tmp_path / "a.xml").unlink()
    assert (recognise(tmp_path) == "voc") == ("ENTITY" in text)


@pytest.mark.parametrize(
    ("exif", "reason"), [(6, "as its EXIF block asks"), (1, "width and height seem to be swapped")]
)
def test_boxes_for_an_image_that_lies_on_its_side(tmp_path, exif, reason):
    block = Image.Exif()
    block[0x0112] = exif
    size = (20, 30) if exif == 1 else (30, 20)
    Image.new("RGB", size).save(tmp_path / "a.jpg", exif=block)
    voc_file(tmp_path / "a.xml", DOG)
    [problem] = read_voc(tmp_path).problems
    assert problem.kind == "image of another size"
    assert "a.jpg is 20x30 px, the boxes are for 30x20 px" in problem.what
    assert reason in problem.what
