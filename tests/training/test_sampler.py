import pytest
from torch.utils.data import DataLoader, Dataset

from fastitpn.errors import InputError
from fastitpn.training.sampler import StepSampler


def test_every_epoch_is_a_new_permutation():
    keys = [key for batch in StepSampler(10, 5, 6, seed=3) for key in batch]
    epochs = [[index for epoch, index in keys if epoch == number] for number in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(10))] * 3
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_depends_on_the_seed():
    assert list(StepSampler(10, 5, 2, seed=0)) == list(StepSampler(10, 5, 2, seed=0))
    assert list(StepSampler(10, 5, 2, seed=0)) != list(StepSampler(10, 5, 2, seed=1))


@pytest.mark.parametrize("start_step", [0, 3, 7])
def test_any_step_can_be_the_first(start_step):
    whole = list(StepSampler(11, 4, 7, seed=1))
    assert list(StepSampler(11, 4, 7, 1, start_step)) == whole[start_step:]
    assert len(StepSampler(11, 4, 7, 1, start_step)) == 7 - start_step


def test_processes_and_micro_batches_share_the_same_global_batch():
    one = list(StepSampler(37, 16, 5, seed=2))
    two = [list(StepSampler(37, 8, 5, 2, 0, rank, 2)) for rank in range(2)]
    assert [first + second for first, second in zip(*two, strict=True)] == one
    four = [list(StepSampler(37, 4, 5, 2, 0, rank, 2, accumulate=2)) for rank in range(2)]
    assert len(four[0]) == 10
    for rank in range(2):
        assert [four[rank][2 * step] + four[rank][2 * step + 1] for step in range(5)] == two[rank]


def test_each_step_of_a_mix_has_one_size():
    mix = list(StepSampler(37, 8, 200, 2, 0, 0, 2, accumulate=2, num_sizes=3))
    plain = list(StepSampler(37, 8, 200, 2, 0, 0, 2, accumulate=2))
    assert [[key[:2] for key in batch] for batch in mix] == plain
    sizes = [{key[2] for key in batch} for batch in mix]
    assert all(len(size) == 1 for size in sizes)
    assert sizes[::2] == sizes[1::2]  # micro-batches of a step
    assert next(iter(StepSampler(37, 8, 200, 2, 50, 1, 2, accumulate=2, num_sizes=3)))[0][2] == min(sizes[100])
    counts = [sum(size == {place} for size in sizes[::2]) for place in range(3)]
    assert min(counts) > 50
    assert sum(counts) == 200


class TestKinds:
    """37 samples, some upright: a batch is of one kind, but for those at the ends of epochs."""

    UPRIGHT = tuple(index % 3 == 0 for index in range(37))

    def test_every_epoch_has_every_sample_once(self):
        keys = [key for batch in StepSampler(37, 4, 37, seed=0, kinds=self.UPRIGHT) for key in batch]
        epochs = [[index for epoch, index in keys if epoch == number] for number in range(4)]
        assert [sorted(epoch) for epoch in epochs] == [list(range(37))] * 4
        assert epochs[0] != epochs[1]

    @pytest.mark.parametrize("world_size", [1, 2])
    def test_batches_are_of_one_kind(self, world_size):
        batches = [
            batch
            for rank in range(world_size)
            for batch in StepSampler(37, 4, 37, 0, 0, rank, world_size, accumulate=2, kinds=self.UPRIGHT)
        ]
        mixed = [batch for batch in batches if len({self.UPRIGHT[index] for _, index in batch}) > 1]
        epochs = max(epoch for batch in batches for epoch, _ in batch) + 1
        assert len(mixed) <= 3 * epochs < len(batches) / 2
        # the same batches without kinds are mixed nearly always
        plain = list(StepSampler(37, 4, 37, 0))
        assert sum(len({self.UPRIGHT[index] for _, index in batch}) > 1 for batch in plain) > len(plain) / 2

    @pytest.mark.parametrize("start_step", [3, 9, 20])
    def test_any_step_can_be_the_first(self, start_step):
        whole = list(StepSampler(37, 4, 25, seed=1, kinds=self.UPRIGHT))
        assert list(StepSampler(37, 4, 25, 1, start_step, kinds=self.UPRIGHT)) == whole[start_step:]

    def test_one_kind_changes_nothing(self):
        assert list(StepSampler(37, 4, 25, 1, kinds=[0] * 37)) == list(StepSampler(37, 4, 25, 1))


def test_a_batch_larger_than_the_data_spans_epochs():
    (batch,) = StepSampler(3, 8, 1, seed=0)
    assert [epoch for epoch, _ in batch] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert sorted(index for _, index in batch[:3]) == [0, 1, 2]


def test_epoch_of_a_step():
    assert StepSampler(32, 4, 10, 0, world_size=2, accumulate=2).epoch_at(3) == 1.5


def test_no_samples():
    with pytest.raises(InputError, match="no samples to train on"):
        StepSampler(0, 4, 10, seed=0)


class Keys(Dataset):
    def __getitem__(self, key):
        return key


@pytest.mark.parametrize("workers", [0, 2])
def test_it_feeds_a_loader(workers):
    loader = DataLoader(Keys(), batch_sampler=StepSampler(5, 2, 4, seed=0), num_workers=workers, collate_fn=list)
    assert list(loader) == list(StepSampler(5, 2, 4, seed=0))
