import json

from fastitpn.runs.metrics_log import append_row, drop_rows_after, read_rows


def test_rows_are_json_lines(tmp_path):
    append_row(tmp_path / "m.jsonl", {"step": 1, "split": "train", "loss": 0.5})
    append_row(tmp_path / "m.jsonl", {"step": 2, "split": "val", "loss": float("nan"), "top1": float("inf")})
    assert [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()] == [
        {"step": 1, "split": "train", "loss": 0.5},
        {"step": 2, "split": "val", "loss": None, "top1": None},
    ]


def test_rows_after_a_step_are_dropped_with_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "m.jsonl"
    for step in range(5):
        append_row(path, {"step": step})
    with open(path, "a") as file:
        file.write('{"step": 5, "los')
    assert [row["step"] for row in read_rows(path)] == [0, 1, 2, 3, 4]
    drop_rows_after(path, 2)
    assert path.read_text() == '{"step": 0}\n{"step": 1}\n{"step": 2}\n'


def test_no_log_yet(tmp_path):
    drop_rows_after(tmp_path / "m.jsonl", 0)
    assert read_rows(tmp_path / "m.jsonl") == []
    assert list(tmp_path.iterdir()) == []
