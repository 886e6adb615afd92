"""torch.compile on trunk and pyramid: which sizes, the same results, and what happens where it fails."""

import pytest
import torch

import fastitpn
from fastitpn.inference import compilation
from fastitpn.inference.compilation import CompiledPart, Failure, compile_backbone


@pytest.fixture
def compiled(monkeypatch) -> list[tuple[int, ...]]:
    """Shapes that a compiled function ran on."""
    shapes = []

    def fake(function, **keys):
        assert keys == {"dynamic": False, "backend": "inductor"}
        return lambda x: shapes.append(tuple(x.shape)) or function(x)

    monkeypatch.setattr(torch, "compile", fake)
    return shapes


def test_a_size_is_compiled_when_it_comes_again(compiled, monkeypatch):
    monkeypatch.setattr(compilation, "MOST_SIZES", 2)
    part = CompiledPart(lambda x: 2 * x, Failure())
    for size in (3, 4, 3, 3, 5, 5, 6, 6, 3):
        assert torch.equal(part(torch.ones(size)), torch.full((size,), 2.0))
    assert compiled == [(3,), (3,), (5,), (3,)]  # 4 came once, 6 is one too many


def test_where_it_fails_all_goes_on_with_one_line(monkeypatch, capsys):
    def broken(function, **_):
        def run(*_):
            raise RuntimeError("no compiler\nwas found")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    failure = Failure()
    for part in (CompiledPart(lambda x: x + 1, failure), CompiledPart(lambda x: x + 2, failure)):
        for _ in range(3):
            part(torch.ones(2))
    line = "compile=true failed; the command continues without it: RuntimeError: no compiler was found"
    assert capsys.readouterr().out.splitlines() == [line]


def test_memory_that_runs_out_is_no_failure_to_compile(monkeypatch):
    def full(function, **_):
        def run(*_):
            raise MemoryError

        return run

    monkeypatch.setattr(torch, "compile", full)
    part = CompiledPart(lambda x: x, Failure())
    part(torch.ones(2))
    with pytest.raises(MemoryError):
        part(torch.ones(2))


@pytest.mark.parametrize("acceleration", ["off", "fast"])
def test_results_stay(monkeypatch, acceleration):
    monkeypatch.setattr(compilation, "BACKEND", "eager")
    model = fastitpn.create_model("fastitpn_nano", img_size=64, pyramid=True, depths=(1, 1, 2)).eval()
    model.set_acceleration(acceleration)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        plain = [model(images), *model.pyramid_features(images)]
        compile_backbone(model)
        for _ in range(2):
            again = [model(images), *model.pyramid_features(images)]
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
