"""The benchmark of a step of pre-training, on one image."""

import pytest
import torch

from benchmarks import pretraining

pytestmark = pytest.mark.slow


def test_a_row_of_speed():
    row = pretraining.measure_speed("tiny", batch=1, rounds=1, device="cpu")
    first = row["first_loss"]
    assert first["reference"] == pytest.approx(first["fastitpn"], abs=1e-4)
    assert all(row[f"{name}_images_per_s"] > 0 for name in pretraining.ARMS)
    assert row["checkpointed_ratio"] < row["fastitpn_ratio"] * 1.2  # to compute twice is not faster


def test_checkpointing_keeps_less(monkeypatch):
    """By the tensors that autograd keeps, which no other work on the machine changes."""
    kept = {}
    data = pretraining.make_batch("tiny", 2, "cpu")
    for name in ("fastitpn", "checkpointed"):
        arm, storages = pretraining.Arm(name, "tiny", "cpu", same_weights=False), {}
        parameters = {parameter.untyped_storage().data_ptr() for parameter in arm.model.parameters()}

        def keep(tensor, storages=storages, parameters=parameters):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                storages[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            arm.model.backbone.set_grad_checkpointing(arm.checkpointed)
            output = arm.model(*data[:2])
        kept[name] = sum(storages.values())
        del output
    assert kept["checkpointed"] < 0.2 * kept["fastitpn"]
