"""Text files of any encoding, and YAML files whose words stay what was written."""

import pytest

from fastitpn.data.text_files import decode, read_text
from fastitpn.data.yaml_words import read_yaml_words
from fastitpn.errors import InputError


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("car\nlorry\n", "utf-8"),
        ("", "utf-8"),
        *[("Möwe\r\n汽车\r\n", encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32")],
        ("car\nlorry\n", "utf-16-be"),
        *[(text, "cp1252") for text in ("Möwe\r\nBär\r\n", "Größe\nStraße\n", "été", "Éclair")],
        ("жираф\nлюди\n", "cp1251"),
        *[(text, "gb18030") for text in ("汽车\n卡车\n", "car\n行人\n", "姓名")],
    ],
)
def test_encodings(text, encoding):
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize("name", ["GBK", "gb2312", "Shift_JIS", "EUC-KR", "utf-16", "ISO-8859-1"])
def test_a_declared_encoding_is_believed_where_it_can_be(name):
    text = {"ISO-8859-1": "Bär", "EUC-KR": "차", "gb2312": "汽车"}.get(name, "車")
    assert decode(text.encode(name), name)[0] == text
    assert decode("Möwe".encode(), "ascii")[0] == decode("Möwe".encode(), "no such encoding")[0] == "Möwe"


def test_no_text(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="it is not a text file"):
        read_text(file)
    with pytest.raises(InputError, match="No such file"):
        read_text(tmp_path / "none.txt")


def test_yaml_words(tmp_path):
    file = tmp_path / "data.yaml"
    file.write_text("names: [no, yes, off, on, 1e3, 2024-01-01, null, ~, 1_000, '3', 0o7]\nnc: 011\nval:\n")
    words = ["no", "yes", "off", "on", "1e3", "2024-01-01", "null", "~", "1_000", "3", "0o7"]
    assert read_yaml_words(file, expected="names") == {"names": words, "nc": "011", "val": ""}
    file.write_text(r'names: ["\ud83d\ude00", "\ud800"]')
    assert read_yaml_words(file, expected="names") == {"names": ["😀", "\ufffd"]}
    file.write_text("")
    assert read_yaml_words(file, expected="names") is None


TENFOLD = "".join(f"- &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("names:\n  0: a\n  '0': b", "'0' stands twice"),
        ("names: [a", "expected ',' or ']'"),
        ("&a [*a]", "stands inside itself"),
        ("a: " + "[" * 3000, "more than 40 mappings and lists in each other"),
        (r'"\UFFFFFFFF"', "too large"),
        ("? [a, b]\n: 1", "unhashable"),
        ("a: \x01", "special characters"),
        ("a: 1\n---\na: 1", "another document"),
        ("- &a [x,x,x,x,x,x,x,x,x,x]\n" + TENFOLD, "with its references it has 1,111,111 values"),
    ],
)
def test_yaml_that_is_wrong(tmp_path, text, what):
    file = tmp_path / "data.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match="cannot read this YAML file") as caught:
        read_yaml_words(file, expected="names")
    assert what in caught.value.what
    assert str(file) in str(caught.value.where)
