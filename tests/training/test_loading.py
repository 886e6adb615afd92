import os
import signal
from contextlib import closing

import pytest
import torch
from torch.utils.data import Dataset

from fastitpn.errors import InputError, TrainingError
from fastitpn.training.loading import ImageLoader, MicroBatches, worker_errors


class Faulty(Dataset):
    def __init__(self, fault):
        self.fault = fault

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 4:
            self.fault()
        return {"index": torch.tensor(index)}


def broken_image():
    try:
        raise OSError("image file is truncated")
    except OSError as error:
        raise InputError("the image is broken", where="a/b.jpg", fix="delete it") from error


def bug():
    raise RuntimeError("a bug")


def death():
    os.kill(os.getpid(), signal.SIGKILL)


def indices(loader, accumulate):
    with worker_errors(), closing(MicroBatches(loader, accumulate)) as steps:
        return [[batch["index"].tolist() for batch in step] for step in steps]


def test_batches_are_grouped_by_step():
    assert indices(ImageLoader(range(0), batch_size=2), 2) == []
    loader = ImageLoader([{"index": torch.tensor(number)} for number in range(6)], batch_size=1)
    assert indices(loader, 2) == [[[0], [1]], [[2], [3]], [[4], [5]]]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_input_error_keeps_its_text(workers):
    with pytest.raises(InputError) as caught:
        indices(ImageLoader(Faulty(broken_image), num_workers=workers), 1)
    assert str(caught.value) == str(InputError("the image is broken", where="a/b.jpg", fix="delete it"))


def test_a_worker_that_dies_is_told():
    with pytest.raises(TrainingError, match="a process that loads data died: ") as caught:
        indices(ImageLoader(Faulty(death), num_workers=1), 1)
    assert "smaller workers=" in str(caught.value)


def test_bugs_come_out_as_they_are():
    with pytest.raises(RuntimeError, match="Caught RuntimeError in DataLoader worker"):
        indices(ImageLoader(Faulty(bug), num_workers=1), 1)
