"""`fastitpn report compare` as a whole."""

import shutil

import pytest

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.tasks.run_comparison import _labels

pytestmark = pytest.mark.drawn


@pytest.fixture
def other(classifier_run, tmp_path):
    """A copy of the classifier's run with another learning rate and a better figure."""
    folder = shutil.copytree(classifier_run.directory, tmp_path / "other")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.001\n", "lr: 0.002\n"))
    result = folder / "result.json"
    top1 = classifier_run.metrics["top1"]
    result.write_text(result.read_text().replace(f'"top1": {top1}', f'"top1": {top1 + 1.5}'))
    return folder


def test_from_the_command_line(classifier_run, other, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["report", "compare", str(classifier_run.directory), str(other), f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "(+1.50)" in printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["lr", "0.001", "0.002"] in lines
    assert not any(line[:1] == ["seed"] for line in lines)
    page = (out / "report.html").read_text()
    assert page.count("<svg") >= 3
    for part in ("Runs side by side", "Differences in the settings", "Learning rate", "finetune classify", "other"):
        assert part in page
    assert "https://" not in page


def test_as_a_function_with_runs_of_several_tasks(classifier_run, segmenter_run, pretrained_run, tmp_path):
    runs = [run.directory for run in (pretrained_run, classifier_run, segmenter_run)]
    page = fastitpn.report("compare", *runs, names=["before", "classes", "pixels"], out=tmp_path / "out").read_text()
    assert "before, classes, pixels" in page
    assert "finetune segment" in page


def test_labels_tell_folders_apart(tmp_path):
    places = [tmp_path / name for name in ("a/0/finetuned", "b/0/finetuned", "c")]
    assert _labels(places) == ("a/0/finetuned", "b/0/finetuned", f"{tmp_path.parent.name}/{tmp_path.name}/c")
    assert _labels([tmp_path / "x" / "one", tmp_path / "y" / "two"]) == ("one", "two")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "runs: required"),
        (["{run}"], "runs: expected two at least, got 1"),
        (["{run}", "{none}"], "this is not a run directory"),
        (["{run}", "{run}"], "this run is given twice"),
        (["{run}", "{other}", "names=a"], "names: expected 2 different ones"),
        (["{run}", "{other}", "names=a,a"], "names: expected 2 different ones"),
        (["{run}", "{other}", "out={other}"], "out is the directory of a run"),
        (["{run}", "{other}", "baseline=a"], "baseline: unknown key"),
    ],
)
def test_mistakes_end_with_2(words, text, classifier_run, other, tmp_path, capsys):
    places = {"run": classifier_run.directory, "other": other, "none": tmp_path / "none"}
    words = [word.format(**places) for word in words]
    out = [] if any(word.startswith("out=") for word in words) else [f"out={tmp_path / 'out'}"]
    assert main(["report", "compare", *words, *out]) == 2
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err


def test_a_run_in_progress(classifier_run, other, tmp_path):
    (other / "result.json").unlink()
    page = fastitpn.report("compare", classifier_run.directory, other, out=tmp_path / "out").read_text()
    assert "not complete" in page
    (other / "config.yaml").unlink()
    with pytest.raises(InputError, match="no report 'compares'"):
        fastitpn.report("compares", classifier_run.directory, other)
    with pytest.raises(InputError, match="this is not a run directory"):
        fastitpn.report("compare", classifier_run.directory, other)
