"""Rows of a benchmark: read, kept, and summed up."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import fastitpn
from benchmarks import demo, segmentation
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, once, read_results
from fastitpn.config import parse
from fastitpn.errors import InputError

FILES = sorted((Path(__file__).parents[2] / "benchmarks" / "results").glob("*.json"))


def options(*words: str) -> segmentation.Options:
    return parse(segmentation.Options, words)


def results_of(*words: str) -> Results:
    return Results(options(*words), lambda rows: {"summary": len(rows)}, identity=("arm", "seed"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_stored_results_are_read_by_their_script_and_sum_up_to_the_same(file: Path) -> None:
    script = importlib.import_module(json.loads(file.read_text())["command"].split()[2])
    assert file.stem.startswith(script.__name__.removeprefix("benchmarks."))
    stored = read_results(file, script.Options)
    rows = stored["rows"]
    assert rows
    identities = [tuple(row[key] for key in getattr(script, "IDENTITY", ())) for row in rows]
    if hasattr(script, "IDENTITY"):
        assert len(set(identities)) == len(rows)
    if hasattr(script, "summarise"):
        assert json.loads(json.dumps(script.summarise(rows))) == stored["summary"]


def test_rows_of_the_file_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = f"out={tmp_path / 'new' / 'results.json'}"
    first = results_of(out, "seeds=0", "device=cpu")
    first.add({"arm": "scratch", "seed": 0, "miou": 1.0})
    stored = json.loads((tmp_path / "new" / "results.json").read_text())  # before it has finished
    assert stored["rows"] == first.rows
    assert stored["command"] == "python -m benchmarks.segmentation device=cpu"

    second = results_of(out, "seeds=0,1", "device=cpu")
    assert second.has("scratch", 0)
    assert not second.has("scratch", 1)
    second.add({"arm": "scratch", "seed": 1, "miou": 2.0})
    second.finish()
    stored = json.loads((tmp_path / "new" / "results.json").read_text())
    assert [row["miou"] for row in stored["rows"]] == [1.0, 2.0]
    assert stored["summary"] == 2
    assert capsys.readouterr().out.splitlines()[0] == '{"arm": "scratch", "seed": 0, "miou": 1.0}'


def test_rows_of_other_options_are_not_mixed_in(tmp_path: Path) -> None:
    out = f"out={tmp_path / 'results.json'}"
    results_of(out, "epochs=2").finish()
    with pytest.raises(InputError, match=r"measured with other options(.|\n)*epochs=3(.|\n)*epochs=2"):
        results_of(out, "epochs=3")
    (tmp_path / "results.json").write_text(json.dumps({"command": "python -m benchmarks.demo", "rows": []}))
    with pytest.raises(InputError, match="measured with other options"):
        results_of(out)


def test_without_an_identity_all_is_measured_again(tmp_path: Path) -> None:
    for value in (1, 2):
        results = Results(options(f"out={tmp_path / 'results.json'}"))
        results.add({"ratio": value})
        results.finish()
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == [{"ratio": 2}]


def test_a_row_is_measured_once(tmp_path: Path) -> None:
    path, calls = tmp_path / "0" / "row.json", []

    def measure() -> dict[str, int]:
        calls.append(1)
        return {"value": len(calls)}

    assert once(path, options("epochs=2"), measure) == {"value": 1}
    assert once(path, options("epochs=2", "seeds=3"), measure, value=1) == {"value": 1}
    assert once(path, options("epochs=2"), measure, value=0) == {"value": 2}
    assert once(path, options("epochs=3"), measure) == {"value": 3}


def test_a_seed_of_the_demo_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"finetuned": 40.0, "scratch": 22.5, "scratch-3x": 30.25}
    seeds: list[int] = []
    monkeypatch.setattr(fastitpn, "demo", lambda *, out, seed: seeds.append(seed))
    monkeypatch.setattr(
        fastitpn, "Run", lambda folder: SimpleNamespace(metrics={"top1": figures[folder.name] + int(folder.parts[-2])})
    )
    for words in (["seeds=0"], ["seeds=0,2"]):
        start(demo.Options, demo.run, [*words, f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'demo.json'}"])
    assert seeds == [0, 2]
    summary = json.loads((tmp_path / "demo.json").read_text())["summary"]
    assert summary["pre-trained"] == {"mean": 41.0, "spread": [40.0, 42.0]}
    assert summary["gain over from scratch"] == {"mean": 17.5, "spread": [17.5, 17.5]}
