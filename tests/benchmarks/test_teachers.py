"""The script that times a step with two stored teachers."""

import pytest

from benchmarks import teachers

OPTIONS = teachers.Options(model="fastitpn_nano", px=64, batch=2, dim=8)


@pytest.mark.parametrize(("arm", "names"), [("one", ["merged"]), ("two", ["teacher1_merged", "teacher2_merged"])])
def test_all_arms_predict_as_many_numbers(tmp_path, arm, names):
    task = teachers.make_task(arm, tmp_path, OPTIONS)
    batch = teachers.make_batch(arm, OPTIONS)
    targets = task.teacher.targets_of(batch, task.trained_model.names)
    assert list(targets) == names
    assert sum(target.shape[-1] for target in targets.values()) == 8


def test_ratios_are_those_within_a_round():
    plain = {arm: [2.0, 4.0, 3.0] for arm in (*teachers.ARMS, *teachers.ALONE)}
    times = plain | {"two": [2.2, 4.0, 3.6], "balanced": [1.0, 2.0, 1.5]}
    compared = teachers.compare(times)
    assert compared["two stored teachers over one"] == {"ratio": 1.1, "range": [1.0, 1.2]}
    assert compared["balanced over plain"] == {"ratio": 0.5, "range": [0.5, 0.5]}


def test_the_balance_is_timed_of_all_features(tmp_path, monkeypatch):
    balanced = []
    monkeypatch.setattr(teachers.Balance, "forward", lambda self, features: balanced.append(tuple(features.shape)))
    teachers.Arm("two", tmp_path, OPTIONS).balance()
    assert balanced == [(2, 16, 4), (2, 16, 4)]
