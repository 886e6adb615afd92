"""Loaders: any step can be the first, evaluation keeps the order, and neither touches the caller's random state."""

import pytest
import torch
from tiny_runs import TRAINING

from fastitpn.config import build
from fastitpn.data.classification.datasets import ClassifyDataset
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.images.transforms import classify_train
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.training.loaders import CACHE_MIB, cache_mib, evaluation_loader, on_device, training_loader
from fastitpn.training.processes.devices import build_fabric

HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def make(scenes):
    """A function that makes the function that makes the loader of a run of four steps."""

    def make(**keys):
        config = build(ClassifyConfig, {"data": scenes.train, **TRAINING, **keys})
        dataset = ClassifyDataset(labelled(scenes.train), classify_train(32, mean=HALF, std=HALF), seed=config.seed)
        return training_loader(dataset, config, build_fabric("cpu"), steps=4)

    return make


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_batches_from_any_step_on_are_those_of_the_whole_run(make):
    loader = make()
    whole = list(loader(0))
    assert len(whole) == 4
    assert whole[0]["image"].shape == (4, 3, 32, 32)
    later = list(loader(2))
    assert len(later) == 2
    assert all(same(one, other) for one, other in zip(whole[2:], later, strict=True))


def test_workers_change_nothing(make):
    alone, helped = list(make()(0)), list(make(workers=2)(0))
    assert all(same(one, other) for one, other in zip(alone, helped, strict=True))


def test_an_epoch_shows_every_image_once(make):
    indices = torch.cat([batch["index"] for batch in list(make()(0))[:3]])
    assert sorted(indices.tolist()) == list(range(12))


def test_micro_batches_hold_the_images_of_a_step(make):
    halves = list(make(batch=2, accumulate=2)(0))
    wholes = list(make()(0))
    assert len(halves) == 8
    joined = torch.cat([halves[0]["index"], halves[1]["index"]])
    assert torch.equal(joined, wholes[0]["index"])


def test_another_seed_gives_another_order_and_other_views(make):
    one, other = next(iter(make(seed=1)(0))), next(iter(make(seed=2)(0)))
    assert one["index"].tolist() != other["index"].tolist()


def test_evaluation_keeps_the_order_and_draws_nothing(scenes):
    images = labelled(scenes.val)
    state = torch.get_rng_state()
    batches = list(evaluation_loader(images, 32, HALF, HALF, batch=4, workers=0))
    assert torch.equal(torch.get_rng_state(), state)
    assert [len(batch["image"]) for batch in batches] == [4, 2]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == list(range(6))
    assert torch.cat([batch["label"] for batch in batches]).tolist() == images.labels


@pytest.mark.parametrize(("batch", "workers"), [(6, 0), (1, 0)])
def test_few_images_need_no_processes(scenes, batch, workers):
    loader = evaluation_loader(labelled(scenes.val), 32, HALF, HALF, batch=batch, workers=3)
    assert loader.num_workers == workers


def test_batches_move_to_the_device(scenes):
    loader = evaluation_loader(labelled(scenes.val), 32, HALF, HALF, batch=4, workers=0)
    fabric = build_fabric("cpu")
    for moved, batch in zip(on_device(loader, fabric), loader, strict=True):
        assert same(moved, batch)


def test_memory_for_images_is_shared_out():
    assert [cache_mib(workers) for workers in (0, 1, 4)] == [CACHE_MIB, CACHE_MIB, CACHE_MIB // 4]
