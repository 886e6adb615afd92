import unicodedata

import pytest

from fastitpn.data.images.named_files import NamedFiles

FILES = ("a b.jpg", "café (1).jpg", "d.jpg", "Sub/E.JPG", "100%25.jpg", "cam1/1.jpg", "1.jpg", "twin.jpg", "Twin.jpg")
FILES += ("both.jpg", "both.png", "d.txt")


@pytest.fixture
def images(tmp_path):
    for name in FILES:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("name", "file", "way"),
    [
        ("a b.jpg", "a b.jpg", ""),
        ("./d.jpg", "d.jpg", ""),
        ("100%25.jpg", "100%25.jpg", ""),  # the plain name is there
        ("Sub\\E.JPG", "Sub/E.JPG", "/ for \\"),
        ("sub/e.jpg", "Sub/E.JPG", "another case"),
        (unicodedata.normalize("NFD", "café (1).jpg"), "café (1).jpg", "another Unicode form"),
        ("caf%C3%A9%20%281%29.jpg", "café (1).jpg", "percent-decoded"),
        ("d.jpg?width=100&v=2", "d.jpg", "percent-decoded"),
        ("/data/local-files/?d=proj/a%20b.jpg", "a b.jpg", None),
        ("file:///home/u/photos/d.jpg", "d.jpg", "another machine"),
        ("https://host.example/x/a%20b.jpg?token=12", "a b.jpg", "another machine"),
        ("..\\..\\media\\upload\\4\\a b.jpg", "a b.jpg", "another machine"),
        ("C:\\photos\\Sub\\E.JPG", "Sub/E.JPG", "another machine"),
        ("images/d.jpg", "d.jpg", ""),
        ("d", "d.jpg", "without a suffix"),
        ("cam1/1", "cam1/1.jpg", "without a suffix"),
        ("café (1)", "café (1).jpg", "without a suffix"),
        ("/home/u/photos/d", "d.jpg", "a path of another machine, without a suffix"),
        ("both", None, None),  # which of the two?
        ("cam2/1", None, None),
        ("cam2/1.jpg", None, None),  # 1.jpg is another picture
        ("cam2\\1.jpg", None, None),
        ("TWIN.jpg", None, None),  # which of the two?
        ("", None, None),
        ("x" * 5000, None, None),
        ("a\0b.jpg", None, None),
    ],
)
def test_names(name, file, way, images):
    files = NamedFiles((images, images.parent))
    path = files.find(name)
    assert (path and path.resolve()) == (file and (images / file).resolve())
    if way:
        assert way in files.line()
    elif way == "":
        assert files.line() is None


def test_base_name_that_two_share(images):
    names = ["/u/cam1/1.jpg", "/u/cam2/1.jpg", "/u/d.jpg"]
    files = NamedFiles((images,), names)
    assert files.find(names[0]) == images / "cam1/1.jpg"
    assert files.find(names[1]) is None
    assert files.find(names[2]) == images / "d.jpg"
    assert "2 (a path of another machine)" in files.line()
