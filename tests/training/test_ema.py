import torch
from torch import nn

from fastitpn.training.ema import moving_average


def set_to(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def test_short_runs_forget_the_start():
    model = nn.Linear(1, 1, bias=False)
    set_to(model, 100.0)
    average = moving_average(model, 0.9999)
    set_to(model, 1.0)
    for step in range(1, 20):
        average.update(model, step=step)
    assert average.module.weight.item() == 1.0


def test_the_decay_grows_to_its_value():
    average = moving_average(nn.Linear(1, 1), 0.9)
    decays = [average.get_decay(step) for step in range(1, 200)]
    assert decays == sorted(decays)
    assert (decays[0], decays[-1]) == (0.0, 0.9)


def test_the_average_is_apart_and_in_eval_mode():
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)).train()
    average = moving_average(model, 0.9)
    assert not average.module.training
    assert model.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
