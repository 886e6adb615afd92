import pytest
import torch
from torch import nn

import fastitpn
from fastitpn.benchmarking.conditions import Conditions, is_out_of_memory, weight_bytes


def test_threads_are_held_and_given_back():
    before = torch.get_num_threads()
    with Conditions(threads=before + 2).hold():
        assert torch.get_num_threads() == before + 2
    assert torch.get_num_threads() == before
    with Conditions().hold():
        assert torch.get_num_threads() == before


def test_more_models_are_compiled_than_pytorch_would():
    import torch._dynamo.config as dynamo

    before = dynamo.recompile_limit
    with Conditions(compile=True).hold():
        assert dynamo.recompile_limit > 100
    assert dynamo.recompile_limit == before


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_precision_of_a_pass(precision, dtype):
    conditions = Conditions(precision=precision)
    output = conditions.forward(nn.Linear(4, 4), torch.zeros(2, 4))()
    assert output.dtype == conditions.dtype == dtype
    assert output.is_inference()


def test_a_pass_gives_logits_or_the_maps_of_the_pyramid():
    images = torch.zeros(1, 3, 64, 64)
    assert Conditions().forward(fastitpn.create_model("fastitpn_nano").eval(), images)().shape == (1, 1000)
    assert len(Conditions().forward(fastitpn.create_model("fastitpn_nano", pyramid=True).eval(), images)()) == 5


def test_compilation(monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "compile", lambda run, **keys: seen.append((run, keys)) or (lambda x: "compiled"))
    model = nn.Identity()
    assert Conditions(compile=True).forward(model, torch.zeros(1))() == "compiled"
    assert seen == [(model, {"dynamic": False})]


def test_lack_of_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_bytes_of_weights():
    model = nn.BatchNorm1d(5)
    assert weight_bytes(model) == 4 * 5 * 4 + 8  # weight, bias, mean, variance; a counter
