import pytest

from fastitpn.data.images.lists import read_list
from fastitpn.data.images.tables import read_table
from fastitpn.errors import InputError


def test_list_paths_start_at_its_folder(tmp_path, write_images):
    first, second = write_images(tmp_path, "in/a b.jpg", "c.png")
    (tmp_path / "list.txt").write_text(f"in/a b.jpg\n\n{second}\r\n")
    assert read_list(tmp_path / "list.txt") == [first, second]


def test_list_names_the_lines_of_missing_files(tmp_path, write_images):
    write_images(tmp_path, "a.jpg")
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n\nc.jpg\n")
    with pytest.raises(InputError) as caught:
        read_list(tmp_path / "list.txt")
    text = str(caught.value)
    assert "2 lines of this list are wrong" in text
    assert "line 2: no such file: b.jpg" in text
    assert "line 4: no such file: c.jpg" in text
    assert "list.txt" in text


def test_list_reports_ten_lines_at_most(tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"{i}.jpg\n" for i in range(15)))
    with pytest.raises(InputError, match=r"(?s)15 lines.*line 10: .*\.\.\. and 5 more"):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize("read", [read_list, read_table])
def test_lists_that_are_no_text(tmp_path, write_images, read):
    (path,) = write_images(tmp_path, "a.jpg")
    with pytest.raises(InputError, match=r"(?s)cannot read this list.*a\.jpg.*UTF-8"):
        read(path)


def test_empty_list_and_table(tmp_path):
    (tmp_path / "list.txt").write_text("\n \n")
    with pytest.raises(InputError, match="the list is empty"):
        read_list(tmp_path / "list.txt")
    (tmp_path / "t.csv").write_text("image,label\n")
    with pytest.raises(InputError, match="the table has no rows"):
        read_table(tmp_path / "t.csv")


def test_table(tmp_path, write_images):
    first, second = write_images(tmp_path, "a.jpg", "b,c.jpg")
    text = '\ufefflabel, image\r\ncat,a.jpg\r\n"big, dog","b,c.jpg"\r\n\r\n'
    (tmp_path / "t.csv").write_bytes(text.encode())
    rows = read_table(tmp_path / "t.csv")
    assert [(row.line, row.image, row.label) for row in rows] == [(2, first, "cat"), (3, second, "big, dog")]


def test_table_reports_all_wrong_rows_at_once(tmp_path, write_images):
    write_images(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "t.csv").write_text(
        "image,label\na.jpg,cat\n\nb.jpg,\nnone.jpg,dog\n,,\nb.jpg,dog,extra\na.jpg,dog\nb.jpg,dog\n"
    )
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "t.csv")
    text = str(caught.value)
    assert "6 lines of this list are wrong" in text
    for problem in (
        "line 3: empty",
        "line 4: 2 values are needed: b.jpg,",
        "line 5: no such file: none.jpg",
        "line 6: empty",
        "line 7: 2 values are needed: b.jpg,dog,extra",
        "line 8: a.jpg (dog) is already in line 2 (cat)",
    ):
        assert problem in text
    assert "a first line `image,label`" in text


@pytest.mark.parametrize(
    ("header", "problems"),
    [
        ("id,label", ["column 'image' is missing (the columns are 'id', 'label')"]),
        ("a,b,c", ["column 'image' is missing (the columns are 'a', 'b', 'c')", "column 'label' is missing"]),
        ("file,label,class", ["the class may be in 'label' or 'class': leave one of these columns"]),
        ("name", ["column 'label' is missing (the columns are 'name')"]),
        ("image,image", ["column 'label' is missing", "a column is named twice"]),
        ("", ["column 'image' is missing", "column 'label' is missing"]),
    ],
)
def test_wrong_columns(tmp_path, header, problems):
    (tmp_path / "t.csv").write_text(f"{header}\na.jpg,cat\n")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path / "t.csv")
    for problem in problems:
        assert f"line 1: {problem}" in str(caught.value)
