import copy

import pytest
import torch
from tiny_runs import assert_same
from training_example import SETTINGS, TinyTask

from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.state import TrainingState


def state() -> TrainingState:
    return TrainingState(TinyTask(), build_fabric("cpu"), SETTINGS)


def take_a_step(state: TrainingState) -> None:
    torch.manual_seed(1)
    state.model({"image": torch.ones(2, 1, 6, 6), "label": torch.tensor([0, 1])})["loss"].backward()
    state.optimizer.step()
    state.optimizer.zero_grad()


@pytest.mark.parametrize("steps", [0, 1], ids=["before the first step", "later"])
def test_to_keep_a_state_leaves_it_as_it_is(steps):
    """Before the first step the optimiser has no moments, and must get none by being asked for them."""
    kept, other = state(), state()
    for _ in range(steps):
        take_a_step(kept)
        take_a_step(other)
    restored = state()
    restored.restore(copy.deepcopy(kept.content_to_resume()))
    for each in (kept, other, restored):
        take_a_step(each)
    assert_same(kept.content_to_resume(), other.content_to_resume())
    assert_same(restored.content_to_resume(), other.content_to_resume())
