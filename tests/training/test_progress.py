import io

from fastitpn.training import progress
from fastitpn.training.progress import ProgressDisplay


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
