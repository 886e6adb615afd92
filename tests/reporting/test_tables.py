import io

import pytest

from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import metrics_table, per_class_table, print_table

DASH = "\N{EN DASH}"


def printed(table: Table) -> list[str]:
    file = io.StringIO()
    print_table(table, file)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_plain_text_without_a_terminal() -> None:
    assert printed(metrics_table({"top1": 0.91234, "steps": 8000}, "Figures")) == [
        "Figures",
        "metric   value",
        "top1    0.9123",
        "steps    8,000",
    ]


def test_long_lines_are_neither_cut_nor_wrapped() -> None:
    name = "word " * 100 + "end"
    assert any(line.startswith(name) for line in printed(Table("T", ("name", "value"), [(name, 1)])))


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    file = Terminal()
    print_table(metrics_table({"top1": 0.9}), file)
    assert "\x1b[1m" in file.getvalue()


def test_names_are_shown_never_obeyed() -> None:
    text = "\n".join(
        printed(Table("[bold]T", ("[red]name", "value"), [("[link=x]:smile:\x1b[31m", 1)], caption="[i]c"))
    )
    assert "[bold]T" in text
    assert "[red]name" in text
    assert "[link=x]:smile:" in text
    assert "[i]c" in text
    assert "\x1b" not in text


def test_classes_are_listed_worst_first() -> None:
    table = per_class_table([[8, 2, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 3]], ["cat", "dog", "cow", "hen"])
    assert table.columns == ("class", "images", "accuracy", "precision", "most often predicted as")
    assert table.rows == [
        ("dog", 10, 0.5, 5 / 7, "cat (5)"),
        ("cat", 10, 0.8, 8 / 13, "dog (2)"),
        ("hen", 3, 1.0, 1.0, None),
        ("cow", 0, None, None, None),
    ]
    assert printed(table)[-1].split() == ["cow", "0", DASH, DASH, DASH]


def test_the_matrix_must_fit_the_names() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 1\) for 2 class names"):
        per_class_table([[1]], ["a", "b"])


def test_a_table_without_rows_prints_its_heads() -> None:
    assert printed(Table("T", ("a", "b"), []))[:2] == ["T", "a  b"]


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="table 'T': row of 1 cells under 2 columns"):
        Table("T", ("a", "b"), [(1,)])
    with pytest.raises(ValueError, match="no column 'c' to draw as bars"):
        Table("T", ("a", "b"), [], bars=("c",))
