"""Tables of images as other people write them."""

import pytest

from fastitpn.data.images.folders import unlabelled
from fastitpn.data.images.lists import read_list
from fastitpn.data.images.tables import read_table
from fastitpn.errors import InputError

ROWS = [("in/a.jpg", "Bär"), ("in/b.jpg", "Möwe")]


@pytest.fixture
def table(tmp_path, write_images):
    """Writes a table beside two images."""
    write_images(tmp_path, *(name for name, _ in ROWS))

    def write(text, encoding="utf-8"):
        (tmp_path / "t.csv").write_bytes(text.encode(encoding))
        return tmp_path / "t.csv"

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("image,label", "{0},{1}", None),
        ("label,image", "{1},{0}", None),
        ('"Filename","Class"', '"{0}","{1}"', None),
        ("file;category", "{0};{1}", "semicolons"),
        ("sep=;\npath;target", "{0};{1}", "semicolons"),
        ("img\tname", "{0}\t{1}", "tabs"),
        ("name|label", "{0}|{1}", "bars"),
        (",image_path,width,label", "0,{0},64,{1}", "columns that are not used: width"),
        ("id,image,fold,label", "0,{0},3,{1}", "columns that are not used: id, fold"),
        ("filename,path,label", "a.jpg,{0},{1}", "columns that are not used: filename"),
        ("image,label,name", "{0},{1},x", "columns that are not used: name"),
        ("image,label,split", "{0},{1},7", "columns that are not used: split"),
        (None, "{0},{1}", "it names no columns"),
        (None, "{0};{1}", "semicolons"),
        (None, "{1}\t{0}", "tabs"),
    ],
)
def test_separators_columns_and_encodings(table, capsys, header, row, said, encoding):
    lines = [*([header] if header else []), *(row.format(*values) for values in ROWS)]
    file = table("\r\n".join([*lines, ""]), encoding)
    assert [(row.image.relative_to(file.parent).as_posix(), row.label) for row in read_table(file)] == ROWS
    heard = capsys.readouterr().out
    assert (said is None) == ("t.csv: " not in heard)
    assert said is None or said in heard
    assert (encoding == "cp1252") == ("read as cp1252" in heard)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,label\nin\\a.jpg,x\n", "1 (/ for \\)"),
        ("image,label\nIN/A.JPG,x\n", "1 (another case)"),
        ("image,label\nC:\\data\\in\\a.jpg,x\n", "1 (a path of another machine)"),
        ("image,label\na.jpg,x\n", None),
    ],
)
def test_names_of_images(table, capsys, text, said):
    if said is None:  # a file is never found by its base name in another folder
        with pytest.raises(InputError, match=r"line 2: no such file: a\.jpg"):
            read_table(table(text))
    else:
        assert read_table(table(text))[0].image.name == "a.jpg"
        assert said in capsys.readouterr().out


def test_names_that_begin_in_a_folder(tmp_path, write_images, capsys):
    (image,) = write_images(tmp_path, "images/1.jpg")
    (tmp_path / "t.csv").write_text("image,label\n1.jpg,x\n")
    assert read_table(tmp_path / "t.csv")[0].image == image
    assert "names of images begin in the folder images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "values", "parts"),
    [
        ("split", ("Training", "validation"), ["train", "val"]),
        ("subset", ("train", "TEST"), ["train", "test"]),
        ("is_valid", ("False", "True"), ["train", "val"]),
        ("split", ("1", "2"), ["", ""]),
    ],
)
def test_parts(table, column, values, parts):
    rows = [f"{name},{label},{value}" for (name, label), value in zip(ROWS, values, strict=True)]
    file = table("\n".join([f"image,label,{column}", *rows]))
    assert [row.part for row in read_table(file)] == parts
    assert len(unlabelled(file)) == (1 if "train" in parts else 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("image,label,split\nin/a.jpg,x,train\nin/b.jpg,y,other\n", "line 3: 'other' is not train, val or test"),
        ("in/a.jpg,x,y\n", "line 1: it names no columns, and there are 3 of them"),
        ("image,label\nin/a.jpg,x\nin/a.jpg,y\n", r"already in line 2 \(x\)[^$]*multilabel=true"),
        ('image,label\n"in/a.jpg,x\n' + "a" * 200_000, "field larger than field limit"),
        ("image,label\n" + "a" * 5000 + ",x\n", "line 2: no such file: aaaa"),
    ],
)
def test_what_is_wrong(table, text, problem):
    with pytest.raises(InputError, match=problem):
        read_table(table(text))


def test_lists_of_others(tmp_path, write_images, capsys):
    first, second = write_images(tmp_path, "a b.jpg", "in/c.jpg")
    text = "# photographs\r\n\"a b.jpg\"\r\n'in\\c.jpg'\r\n"
    (tmp_path / "list.txt").write_bytes(text.encode("utf-16"))
    assert read_list(tmp_path / "list.txt") == [first, second]
    assert "1 (/ for \\)" in capsys.readouterr().out
