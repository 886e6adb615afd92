"""The comparison of criteria at equal speed."""

import json

import pytest
from tuning_fakes import FakeSpeed

from benchmarks import token_arena
from benchmarks.harness.options import start
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.tuning import subject


@pytest.mark.parametrize(("wanted", "share"), [(1.5, 0.5), (1.25, 0.75), (2.0, 0.25), (1.0, 1.0)])
def test_the_share_of_a_speed_lies_between_those_that_were_timed(wanted, share):
    assert token_arena.equal_share(wanted, (0.25, 0.5, 1.0), (2.0, 1.5, 1.0)) == pytest.approx(share)


def test_all_criteria_are_as_fast_and_a_run_is_measured_once(classifier_run, scenes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(subject, "EagerSpeed", FakeSpeed)
    out = tmp_path / "arena.json"
    words = [f"runs={classifier_run.directory}", f"data={scenes.val}", "px=64", "device=cpu", "workers=0", f"out={out}"]
    start(token_arena.Options, token_arena.run, words)
    stored = json.loads(out.read_text())
    rows = stored["rows"]
    assert [row["criterion"] for row in rows] == list(CRITERIA)
    assert {row["speed"] for row in rows} == {1.6}
    assert {row["keep_ratio"] for row in rows} == {0.4}
    assert set(stored["summary"]) == set(CRITERIA)
    monkeypatch.setattr(token_arena, "measure", lambda *ignored: pytest.fail("it is done"))
    start(token_arena.Options, token_arena.run, words)
