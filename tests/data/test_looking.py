import io

import pytest

from fastitpn.console import printing
from fastitpn.data import looking
from fastitpn.data.looking import look_at_each


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_results_come_in_the_order_of_the_items(capsys):
    with printing():
        assert look_at_each(lambda number: number * 2, range(100), "checking") == list(range(0, 200, 2))
        assert look_at_each(str, [], "checking") == []
    assert capsys.readouterr() == ("", "")


def test_what_takes_long_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(looking, "SHOWN_AFTER_S", 0.0)
    with printing():
        look_at_each(str, range(40), "checking images")
    assert capsys.readouterr().err == "checking images: 16 of 40\n"  # the next line is due after ten seconds
    with printing(False):
        look_at_each(str, range(40), "checking images")
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal_and_what_goes_wrong_ends_it(monkeypatch):
    monkeypatch.setattr(looking, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with printing(), pytest.raises(ZeroDivisionError):
        look_at_each(lambda number: 1 / (39 - number), range(40), "checking images")
    assert "checking images" in looking.sys.stderr.getvalue()
    assert "32/40" in looking.sys.stderr.getvalue()
