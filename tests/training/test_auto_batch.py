import pytest
import torch
from training_example import RandomImages, TinyTask

from fastitpn.errors import InputError
from fastitpn.training import auto_batch
from fastitpn.training.auto_batch import divisors, largest_batch
from fastitpn.training.memory import available_memory
from fastitpn.training.processes.devices import build_fabric


def batch_of(size):
    samples = [RandomImages()[0, place] for place in range(size)]
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def test_sizes_add_up_to_the_images_of_a_step():
    assert divisors(24) == [1, 2, 3, 4, 6, 8, 12, 24]


@pytest.mark.parametrize(
    ("memory", "largest"), [(None, 24), (2**30, 24), (40_000, 12)], ids=["unknown", "enough", "little"]
)
def test_the_largest_that_the_memory_of_the_machine_allows(monkeypatch, memory, largest):
    monkeypatch.setattr(auto_batch, "available_memory", lambda: memory)
    task = TinyTask()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    assert largest_batch(task, batch_of, [2, 4, 8, 12, 24], build_fabric("cpu")) == largest
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.state_dict().items())
    assert all(parameter.grad is None for parameter in task.parameters())


def test_where_not_even_one_fits(monkeypatch):
    monkeypatch.setattr(auto_batch, "available_memory", lambda: 2000)
    with pytest.raises(InputError, match="batch=auto: not even a batch of 1 fits into memory") as caught:
        largest_batch(TinyTask(), batch_of, [1, 2, 4], build_fabric("cpu"))
    assert "GiB to use" in caught.value.where
    assert "grad_checkpointing=true" in caught.value.fix


def test_on_a_gpu_sizes_are_tried_until_one_does_not_fit(monkeypatch):
    class Attempt:
        fabric = build_fabric("cpu")
        state_bytes = 0

        def run(self, size):
            if size > 8:
                raise torch.cuda.OutOfMemoryError("out of memory")

    for name in ("reset_peak_memory_stats", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda *device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 0)
    monkeypatch.setattr(auto_batch, "available_memory", lambda: None)
    assert auto_batch._by_trying(Attempt(), [1, 2, 4, 8, 16]) == 8


def test_the_memory_of_this_machine():
    memory = available_memory()
    assert memory is None or 2**20 < memory < 2**50
