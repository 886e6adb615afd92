"""`fastitpn data shard`, and pre-training from what it wrote."""

import pytest
from tiny_runs import TRAINING, assert_same, content

import fastitpn
from fastitpn.runs.run import Run
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.training.sampler import GROUPS_AT_ONCE, StepSampler


@pytest.fixture(scope="module")
def shards(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards") / "shards"
    written = fastitpn.shard_data(data=scenes.unlabelled, out=out, shard_mib=0.005)
    assert len(written) > 2
    return out


def test_a_run_from_shards_is_that_from_files_when_their_order_is_the_same(scenes, shards, tmp_path):
    runs = [
        fastitpn.pretrain(data=data, out=tmp_path / name, **TRAINING, pictures=False)
        for name, data in (("files", scenes.unlabelled), ("shards", shards))
    ]
    assert_same(content(runs[0])["weights"], content(runs[1])["weights"])


def test_it_resumes_within_an_epoch_with_workers(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("fastitpn.training.sampler.GROUPS_AT_ONCE", 2)
    keys = {**TRAINING, "steps": 5, "checkpoint_every": 2, "pictures": False, "workers": 1}
    unbroken = fastitpn.pretrain(data=shards, out=tmp_path / "unbroken", **keys)
    after_step = PretrainTask.after_step

    def cut(task, progress):
        after_step(task, progress)
        if progress > 0.5:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "after_step", cut)
        with pytest.raises(OSError, match="the machine is gone"):
            fastitpn.pretrain(data=shards, out=tmp_path / "cut", **keys)
    assert content(Run(tmp_path / "cut"))["step"] == 2
    again = fastitpn.pretrain(data=shards, out=tmp_path / "cut", **keys)
    assert_same(content(again)["training"], content(unbroken)["training"])


def test_an_epoch_goes_through_a_few_shards_at_a_time():
    sizes = [10] * 64
    sampler = StepSampler(640, 160, 8, 0, group_sizes=sizes)
    epochs = [[key for batch in list(sampler)[start : start + 4] for key in batch] for start in (0, 4)]
    orders = [[index for _, index in epoch] for epoch in epochs]
    assert orders[0] != orders[1]
    for order in orders:
        assert sorted(order) == list(range(640))
        for start in range(0, 640, 10 * GROUPS_AT_ONCE):  # each window: all of 16 shards
            window = order[start : start + 10 * GROUPS_AT_ONCE]
            assert len({index // 10 for index in window}) == GROUPS_AT_ONCE
    later = StepSampler(640, 160, 8, 0, start_step=5, group_sizes=sizes)
    assert list(later) == list(sampler)[5:]
