"""Tables of runs side by side."""

from fastitpn.reporting.compare import RunRecord, comparison_sections, figures_table, runs_table, settings_table
from fastitpn.tasks.classify.metrics import TOP1
from fastitpn.tasks.segment.metrics import MIOU

DASH = "\N{EN DASH}"


def record(label, config=None, metrics=None, history=(), known=(TOP1,)):
    return RunRecord(
        label=label,
        verb="pretrain",
        complete=True,
        config=config or {},
        metrics=metrics or {},
        history=list(history),
        known=known,
    )


def test_figures_have_their_difference_to_the_first_run():
    table = figures_table(
        [
            record("a", metrics={"top1": 80.0, "loss": 0.5, "note": "text"}),
            record("b", metrics={"top1": 81.5, "loss": 0.25}),
            record("c", metrics={"loss": 0.625, "miou": 40.0, "own_count": 3.0}, known=(MIOU,)),
        ]
    )
    assert list(table.columns) == ["", "a", "b", "c"]
    assert table.rows == [
        ["Top-1 accuracy", "80.00", "81.50 (+1.50)", DASH],
        ["Loss", "0.5000", "0.2500 (-0.2500)", "0.6250 (+0.1250)"],
        ["Mean IoU", DASH, DASH, "40.00"],
        ["Own count", DASH, DASH, "3.000"],
    ]


def test_only_settings_that_differ():
    first = {"lr": 0.1, "out": "x", "seed": 0, "teacher": {"name": "ema", "decay": 0.9}, "betas": [0.9, 0.95]}
    second = {
        "lr": 0.1,
        "out": "y",
        "seed": 1,
        "teacher": {"name": "ema", "decay": 0.99},
        "betas": [0.9, 0.95],
        "px": 32,
    }
    table = settings_table([record("a", first), record("b", second)])
    assert table.rows == [["seed", "0", "1"], ["teacher.decay", "0.9", "0.99"], ["px", None, "32"]]
    same = settings_table([record("a", first), record("b", first)])
    assert (list(same.rows), same.caption) == ([], "There are none.")


def test_runs_and_curves():
    history = [
        {"step": 1, "split": "train", "lr": 0.1, "images_per_s": 9.0, "loss": 2.0},
        {"step": 2, "split": "val", "top1": 50.0},
    ]
    records = [record("a", {"model": "fastitpn_nano"}, history=history), record("b")]
    assert runs_table(records).rows == [
        ["a", "pretrain", "fastitpn_nano", 2, 9.0, None, "yes"],
        ["b", "pretrain", None, None, None, None, "yes"],
    ]
    _, curves, *_ = comparison_sections(records)
    titles = [picture.title for picture in curves.pictures]
    assert titles == ["Loss", "Top-1 accuracy", "Learning rate", "Images per second"]
