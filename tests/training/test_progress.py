import io

from torch.utils.data import DataLoader

from fastitpn.console import printing
from fastitpn.training import progress
from fastitpn.training.progress import ProgressDisplay, followed


def test_plain_lines_without_a_terminal(capsys):
    with ProgressDisplay("pretrain", step=0, steps=4) as display:
        for step in (1, 2):
            display.advance(step)
        display.show(2, "loss 0.5")
        display.say("hello")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0].startswith("step 2/4  loss 0.5  0:00:0")
    assert lines[0].endswith(" left")
    assert lines[1:] == ["hello"]


def test_other_processes_are_silent(capsys):
    with ProgressDisplay("pretrain", step=0, steps=4, enabled=False) as display:
        display.advance(1)
        display.show(1, "loss 0.5")
        display.say("hello")
    assert capsys.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_in_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with ProgressDisplay("finetune classify", step=1, steps=4) as display:
        display.show(2, "loss 0.5000")
        display.advance(2)
        display.say("evaluation [1]")
        shown = progress.sys.stderr.getvalue()
    for text in ("finetune classify", "2/4", "loss 0.5000", "evaluation [1]"):
        assert text in shown
    assert "0:00:0" in shown


def test_the_epoch_is_of_all_of_them(capsys):
    with printing(), ProgressDisplay("finetune", step=0, steps=10, epochs=2.5) as display:
        for step in (1, 4, 5, 10):
            display.show(step, "loss 1")
    words = [line.split("  ")[:3] for line in capsys.readouterr().err.splitlines()]
    assert words == [
        ["step 1/10", "epoch 1/3", "loss 1"],
        ["step 4/10", "epoch 2/3", "loss 1"],
        ["step 5/10", "epoch 2/3", "loss 1"],
        ["step 10/10", "epoch 3/3", "loss 1"],
    ]


def test_slow_steps_and_a_validation_have_lines_of_their_own(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_FIRST_LINE_S", -1.0)
    monkeypatch.setattr(progress, "LINE_EVERY_S", -1.0)
    batches = DataLoader([1, 2, 3])
    with printing(), ProgressDisplay("finetune", step=0, steps=4, epochs=2) as display:
        display.advance(1)
        assert [batch.item() for batch in followed(batches)] == [1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("step 1/4  epoch 1/2  0:00:0")
    assert lines[1:] == ["validating 0/3", "validating 1/3", "validating 2/3"]
    assert [batch.item() for batch in followed(batches)] == [1, 2, 3]  # outside of any run
    assert capsys.readouterr().err == ""


def test_a_bar_has_the_epoch_and_another_for_the_validation(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(progress, "REFRESH_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with ProgressDisplay("finetune", step=0, steps=4, epochs=2) as display:
        shown = progress.sys.stderr
        assert "epoch 1/2" in shown.getvalue()  # before the first step
        list(followed(DataLoader([1, 2, 3])))
        assert "validating" in shown.getvalue()
        assert "2/3" in shown.getvalue()
        display.advance(4)
        assert "epoch 2/2" in shown.getvalue()
