import json
from types import SimpleNamespace

import pytest

from fastitpn.config import build, parse
from fastitpn.data.fold import Fold
from fastitpn.errors import InputError
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.folds import run_folds, summarise

SPEC = SimpleNamespace(
    title="Classification",
    open_data=lambda config: SimpleNamespace(val=[config.held_out]),
    image_files=lambda val: val,
)


@pytest.fixture
def train():
    """Leaves a complete run behind; `seen` has the folders that were asked for."""

    def run(config):
        run.seen.append(config.out.name)
        with prepare(config.out, config) as begun:
            if not begun.complete:
                assert config.held_out == Fold(config.fold, 3)
                begun.finish({"top1": 60.0 + 10 * config.fold, "best_top1": 90, "best_step": 4, "note": "x"})
        return Run(config.out)

    run.seen = []
    return run


def test_each_fold_has_a_folder_and_all_have_a_summary(tmp_path, train, capsys):
    config = build(ClassifyConfig, {"data": "x", "folds": 3, "out": tmp_path / "cv"})
    run = run_folds(SPEC, config, train)
    assert train.seen == ["fold-1", "fold-2", "fold-3"]
    assert run.complete
    assert run.metrics == {
        "top1": 80,
        "top1_lowest": 70,
        "top1_highest": 90,
        "best_top1": 90,
        "best_top1_lowest": 90,
        "best_top1_highest": 90,
    }
    out = capsys.readouterr().out
    assert "fold 2 of 3: " in out
    assert "Metrics of the folds" in out
    page = (tmp_path / "cv" / "report.html").read_text()
    assert "Classification: 3 folds" in page
    again = parse(ClassifyConfig, [f"recipe={tmp_path / 'cv' / 'fold-2' / 'config.yaml'}"])
    assert (again.fold, again.folds, again.out) == (2, 3, tmp_path / "cv" / "fold-2")
    assert run_folds(SPEC, config, train).metrics == run.metrics  # once more, nothing is lost


def test_a_fold_whose_time_is_up_ends_the_command_and_the_next_one_goes_on(tmp_path, train):
    config = build(ClassifyConfig, {"data": "x", "folds": 3, "out": tmp_path / "cv"})

    def stops(fold):
        if fold.fold == 2:
            prepare(fold.out, fold).lock.release()
            return Run(fold.out)
        return train(fold)

    run = run_folds(SPEC, config, stops)
    assert not run.complete
    assert train.seen == ["fold-1"]
    assert run_folds(SPEC, config, train).complete


def test_data_with_validation_images_has_no_folds(tmp_path, train):
    spec = SimpleNamespace(**{**vars(SPEC), "open_data": lambda config: SimpleNamespace(val=["same.jpg"])})
    with pytest.raises(InputError, match="folds=3, but the data has validation images of its own"):
        run_folds(spec, build(ClassifyConfig, {"data": "x", "folds": 3, "out": tmp_path / "cv"}), train)
    assert not (tmp_path / "cv").exists()


def test_the_summary_leaves_out_what_not_all_folds_have():
    assert summarise([{"a": 1, "b": 2.0}, {"a": 2, "b": None}]) == {"a": 1.5, "a_lowest": 1, "a_highest": 2}
    assert json.dumps(summarise([{"a": 1}])) == '{"a": 1.0, "a_lowest": 1.0, "a_highest": 1.0}'


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fold=2"], "fold: expected at most folds, which is none, got 2"),
        (["folds=3", "fold=4"], "fold: expected at most folds, which is 3, got 4"),
        (["folds=1"], "folds: expected a whole number of at least 2 or none, got '1'"),
        (["folds=3", "val=y"], "folds: expected none with val"),
        (["folds=3", "devices=2"], "folds: expected one device, or fold=1 to fold=3 in commands of their own"),
        (["folds=3", "fold=1", "devices=2", "lr=x"], "lr: expected"),
    ],
)
def test_what_does_not_go_together(words, text):
    with pytest.raises(InputError) as caught:
        parse(ClassifyConfig, ["data=x", *words])
    assert text in str(caught.value)
