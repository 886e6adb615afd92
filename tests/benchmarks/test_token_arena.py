"""The comparison of criteria at equal speed."""

import dataclasses
import json

import pytest
import torch

from benchmarks import token_arena
from benchmarks.acceleration_quality import Split, train
from benchmarks.harness.options import start
from fastitpn import create_model
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.settings import PRESETS


@pytest.mark.parametrize(("wanted", "share"), [(1.5, 0.5), (1.25, 0.75), (2.0, 0.25), (1.0, 1.0)])
def test_the_share_of_a_speed_lies_between_those_that_were_timed(wanted, share):
    assert token_arena.equal_share(wanted, (0.25, 0.5, 1.0), (2.0, 1.5, 1.0)) == pytest.approx(share)


def test_each_arm_has_its_own_acceleration():
    assert token_arena.acceleration_of("bipartite").migration == PRESETS["balanced"].migration
    for name in CRITERIA:
        assert token_arena.acceleration_of(name, 0.3).migration.metric == name
        assert token_arena.acceleration_of(name, 0.3).migration.keep_ratio == 0.3
    mean, learned = (token_arena.acceleration_of(arm).gathering for arm in token_arena.WINDOWS[1:])
    assert (mean.global_blocks, mean.tokens) == (0, "mean")
    assert learned == dataclasses.replace(mean, tokens="learned")
    assert token_arena.acceleration_of("windows off").off


def test_arms_are_compared_with_the_plain_network_of_their_seed_and_size():
    rows = [
        {"seed": seed, "arm": arm, "speed": 1.5, "untrained": untrained, "trained": trained}
        for seed, arm, untrained, trained in (
            (0, "off", 30.0, 31.0),
            (1, "off", 32.0, 33.0),
            (0, "learned", None, 30.0),
            (1, "learned", None, 33.5),
            (0, "windows off", 40.0, 41.0),
            (0, "windows, learned", 20.0, 40.5),
        )
    ]
    off, learned, _, windows = token_arena.summarise(rows)
    assert (off["seeds"], off["trained_change"]) == (2, 0)
    assert learned["trained_change"] == -0.25
    assert learned["trained_spread"] == [-1.0, 0.5]
    assert "untrained_change" not in learned
    assert (windows["trained_change"], windows["untrained_change"]) == (-0.5, -20.0)


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch, capsys):
    measured = []

    class FakeArena:
        def __init__(self, options, seed):
            self.seed = seed

        def measure(self, arm):
            measured.append((self.seed, arm))
            return {"seed": self.seed, "arm": arm, "speed": None, "untrained": None, "trained": 30.0}

    monkeypatch.setattr(token_arena, "Arena", FakeArena)
    out = tmp_path / "arena.json"
    words = ["weights=runs/a", "camvid=camvid", f"out={out}"]
    start(token_arena.Options, token_arena.run, [*words, "seeds=0", "arms=off;learned"])
    start(token_arena.Options, token_arena.run, [*words, "seeds=0,1", "arms=off;learned;windows off"])
    assert measured == [(0, "off"), (0, "learned"), (0, "windows off"), (1, "off"), (1, "learned"), (1, "windows off")]
    assert json.loads(out.read_text())["command"] == "python -m benchmarks.token_arena weights=runs/a"


def test_a_scorer_learns_with_the_network():
    torch.manual_seed(0)
    model = create_model("fastitpn_nano", img_size=32, num_classes=3, scorers=(1, 1, 3))
    model.set_acceleration(token_arena.acceleration_of("learned"))
    before = model.scorers[0].queries.clone()
    split = Split(torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8), torch.tensor([0, 1, 2, 0]))
    train(model, split, steps=1, lr=1e-3, seed=0, batch=2, augment=lambda image: image)
    assert not torch.equal(before, model.scorers[0].queries)
