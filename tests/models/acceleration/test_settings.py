"""Acceleration of whole models: presets, switching, compilers, training, and the invariants of all of them."""

import copy
import json
import pickle
from typing import Any

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published import nano, randn, small_model, small_pretraining_model
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

import fastitpn
from fastitpn import Acceleration, Gathering, InputError, Migration
from fastitpn.models.acceleration.settings import PRESETS, resolve_acceleration
from fastitpn.models.backbone import FastITPN
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher

few = settings(max_examples=15, deadline=None, derandomize=True, database=None)
BOTH: dict[str, Any] = {
    "migration": Migration(keep_ratio=(0.6, 0.5), after_blocks=(1, 2), replenish="residual"),
    "gathering": Gathering(window=3, tokens_per_window=2, global_blocks=1),
}  # on a 5x7 map: windows of 3x3 with padding
accelerations = st.builds(
    Acceleration,
    migration=st.none()
    | st.builds(
        Migration,
        keep_ratio=st.floats(0.1, 1),
        after_blocks=st.sampled_from(((1,), (1, 2), (0.5,), (0.3, 2))),
        replenish=st.sampled_from(("hold", "residual", "mean")),
        metric=st.sampled_from(("bipartite", "mean")),
        weighted=st.booleans(),
    ),
    gathering=st.none()
    | st.builds(
        Gathering, window=st.integers(2, 4), tokens_per_window=st.integers(0, 4), global_blocks=st.integers(0, 3)
    ),
)


def small(**changes: Any) -> FastITPN:
    return small_model(**{"depths": (1, 1, 3), "img_size": (80, 112), **changes})


def images(batch: int = 2) -> Tensor:
    return randn(batch, 3, 80, 112)


@few
@given(accelerations, st.permutations(range(4)))
@torch.no_grad()
def test_a_permuted_batch_gives_the_permuted_output(acceleration: Acceleration, order: list[int]) -> None:
    model, x = small(pyramid=True, pyramid_dim=16), images(4)
    model.set_acceleration(acceleration)
    for output, permuted in zip(model.pyramid_features(x), model.pyramid_features(x[order]), strict=True):
        torch.testing.assert_close(permuted, output[order])
    torch.testing.assert_close(model(x[1:2]), model(x)[1:2])


@few
@given(accelerations)
@torch.no_grad()
def test_off_is_the_plain_model_bit_for_bit(acceleration: Acceleration) -> None:
    model, x = small(), images()
    expected, keys = model(x), [*model.state_dict()]
    model.set_acceleration(acceleration)
    assert acceleration.off == torch.equal(model(x), expected) or acceleration.migration == Migration(keep_ratio=1.0)
    assert [*model.state_dict()] == keys
    model.set_acceleration("off")
    assert torch.equal(model(x), expected)
    assert model.acceleration.off


@torch.no_grad()
@pytest.mark.parametrize(("keep_ratio", "period"), [(0.5, 4), (0.3, 7), (0.7, 3)])
@pytest.mark.parametrize("gathering", [None, Gathering(window=21, global_blocks=1)])
def test_tokens_that_only_repeat_others_leave_without_a_trace(
    keep_ratio: float, period: int, gathering: Gathering | None
) -> None:
    """A row of patches, each repeated `period` times without a position: destinations stand for all of them."""
    model = small(img_size=(16, 672))
    model.pos_embed.zero_()
    for block in model.stages[2].blocks:
        block.gamma_1.fill_(1.0)
        block.attn.qkv.weight.mul_(5)
    width = 42 // period * period if gathering is None else 21 // period * period * 2
    patches = torch.randn(2, 3, 16, width // period, 16).repeat_interleave(period, 3)
    x = patches.flatten(3)
    if gathering is not None:
        gathering = Gathering(window=width // 2, global_blocks=1)
    model.set_acceleration(gathering=gathering)
    expected = model.encode(x)[2]
    migration = Migration(keep_ratio=keep_ratio, after_blocks=(1,), replenish="residual")
    model.set_acceleration(migration=migration, gathering=gathering)
    assert model.trace_tokens(x).left.any()
    torch.testing.assert_close(model.encode(x)[2], expected, atol=1e-4, rtol=1e-4)
    unweighted = Migration(keep_ratio=keep_ratio, after_blocks=(1,), replenish="residual", weighted=False)
    model.set_acceleration(migration=unweighted, gathering=gathering)
    assert (model.encode(x)[2] - expected).abs().max() > 1e-2


@few
@given(accelerations)
def test_as_plain_types_and_back(acceleration: Acceleration) -> None:
    assert Acceleration.from_dict(json.loads(json.dumps(acceleration.to_dict()))) == acceleration
    assert "\n" not in acceleration.describe()


@torch.no_grad()
@pytest.mark.parametrize("name", ["balanced", "fast"])
def test_everything_behind_the_trunk_gets_the_complete_map(name: str, path: str) -> None:
    model, x = small(pyramid=True, pyramid_dim=16), images()
    plain = model.pyramid_features(x)
    model.set_acceleration(migration=PRESETS[name].migration, gathering=Gathering(window=4, global_blocks=1))
    levels = model.pyramid_features(x)
    assert [level.shape for level in levels] == [level.shape for level in plain]
    assert not any(torch.equal(a, b) for a, b in zip(levels, plain, strict=True))
    final, maps = model.forward_intermediates(x)
    assert torch.equal(final, model.forward_features(x))
    assert final.shape == (2, 5, 7, 64)
    torch.testing.assert_close(maps, levels)
    assert model.trace_tokens(x).gathered.shape == (2, 4, 35)


@torch.no_grad()
def test_a_class_token_stays_and_comes_out_in_front() -> None:
    model, x = small(class_token=True, fc_norm=False), images()
    plain = model.forward_features(x)
    model.set_acceleration(migration=Migration(keep_ratio=0.3, after_blocks=(2,)))
    tokens, trace = model.forward_features(x), model.trace_tokens(x)
    assert tokens.shape == plain.shape
    assert trace.left.shape == (2, 35)
    assert not torch.equal(tokens[:, 0], plain[:, 0])
    torch.testing.assert_close(tokens[:, 0], plain[:, 0], atol=0.1, rtol=0.1)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("replenish", ["hold", "residual"])
def test_gradients_reach_the_patches_that_left(checkpointed: bool, replenish: str) -> None:
    model = small(pyramid=True, pyramid_dim=16, drop_path_rate=0.0).train()
    migration = Migration(keep_ratio=0.5, after_blocks=(1,), replenish=replenish)
    model.set_acceleration(migration=migration, gathering=Gathering(window=4, global_blocks=1))
    model.set_grad_checkpointing(checkpointed)
    x = images(1).requires_grad_()
    left = model.trace_tokens(x).left[0].view(5, 7)
    row, column = (left > 0).nonzero()[0].tolist()
    level = model.pyramid_features(x)[2][0, :, row, column]
    [gradient] = torch.autograd.grad(level.square().sum(), x)
    patches = gradient.unfold(2, 16, 16).unfold(3, 16, 16).abs().amax((0, 1, 4, 5))
    assert patches[row, column] > 0
    model(x).sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None and not name.startswith("pyramid")]
    assert not missing
    if replenish == "hold":  # its value is that of the first block: nothing later, and only what that block attended
        again = model.encode(x)[2][0, row * 7 + column].sum()
        gradients = torch.autograd.grad(again, list(model.stages[2].blocks[1].parameters()), allow_unused=True)
        assert not any(g is not None and g.any() for g in gradients)


@pytest.mark.parametrize("acceleration", [BOTH, {"migration": Migration(after_blocks=(1,), metric="mean")}])
def test_gradient_checkpointing_gives_the_same_gradients(acceleration: dict[str, Any]) -> None:
    gradients = []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        model = small(**acceleration).train()
        model.set_grad_checkpointing(checkpointed)
        model(images()).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_an_accelerated_model_learns() -> None:
    model = small(**BOTH, drop_path_rate=0.1, num_classes=2).train()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    x, labels = images(8), torch.arange(8) % 2
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("grad", [False, True])
def test_compiles_without_a_graph_break_once_per_size(grad: bool) -> None:
    model, counter = small(**BOTH), CompileCounter()
    compiled = torch.compile(model.forward, fullgraph=True, backend=counter)
    with torch.set_grad_enabled(grad):
        for x in (images(), images() + 1):
            torch.testing.assert_close(compiled(x), model(x))
        assert counter.frame_count == 1
        if not grad:
            for batch in (3, 5):  # any batch: the second time a size of it is seen, it becomes free
                torch.testing.assert_close(compiled(images(batch)), model(images(batch)))
            assert counter.frame_count == 2
            other = torch.randn(2, 3, 64, 96)  # another map may compile again, but must work
            torch.testing.assert_close(compiled(other), model(other))


@torch.no_grad()
@pytest.mark.parametrize("strict", [True, False])
def test_exports_with_any_batch(strict: bool) -> None:
    model = small(depths=(1, 1, 2), migration=Migration(after_blocks=(1,)), gathering=BOTH["gathering"])
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model, (images(),), dynamic_shapes=({0: batch},), strict=strict)
    torch.testing.assert_close(program.module()(images(5)), model(images(5)))


@torch.no_grad()
def test_bfloat16_and_autocast_are_near() -> None:
    model, x = small(**BOTH), images()
    model.head.weight.mul_(100)
    expected, plain = model(x), small()(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(x).float(), expected, atol=0.05, rtol=0.05)
        compiled = torch.compile(model.forward, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), model(x))
    halves = model.bfloat16()(x.bfloat16())
    assert halves.dtype == torch.bfloat16
    torch.testing.assert_close(halves.float(), expected, atol=0.05, rtol=0.05)
    assert (expected - plain).abs().max() > 0.1  # a tolerance that tells something


def test_torchscript_of_an_accelerated_model_says_that_it_cannot() -> None:
    model = small()
    model.set_acceleration(**BOTH)
    for module in (model, nn.Sequential(model)):
        with pytest.raises(InputError, match=r"TorchScript(.*\n)*.*set_acceleration\('off'\)"):
            torch.jit.script(module)
    model.set_acceleration("off")
    torch.testing.assert_close(torch.jit.script(model)(images()), model(images()))


@torch.no_grad()
def test_copies_pickles_and_weights_carry_it_or_not() -> None:
    model, x = small(**BOTH), images()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.acceleration == model.acceleration
        assert torch.equal(twin(x), model(x))
    plain = small()
    plain.load_state_dict(model.state_dict())  # the weights know nothing of it
    plain.set_acceleration(model.acceleration)
    assert torch.equal(plain(x), model(x))


def test_pretraining_is_accelerated_and_its_own_teacher_is_not() -> None:
    model = small_pretraining_model(img_size=96, depths=(1, 1, 4))
    model.backbone.set_acceleration("balanced")
    teacher = EmaTeacher(model.backbone, px=96, mean=(0.5,) * 3, std=(0.5,) * 3)
    x, masked = torch.randn(2, 3, 96, 96), torch.rand(2, 36) < 0.4
    assert teacher.trunk.acceleration.off
    assert teacher.features(x).shape == (2, 36, 64)
    predictions = model(x, masked)
    assert predictions.shape == (2, 36, 24)
    predictions.sum().backward()
    assert model.backbone.trace_tokens(x).left.any()
    model.backbone.set_acceleration("off")
    assert not torch.equal(model(x, masked), predictions)


def test_model_arguments_and_names() -> None:
    for model in (
        fastitpn.create_model("fastitpn_nano", img_size=96, **BOTH),
        timm.create_model("fastitpn_nano_fpn", img_size=96, **BOTH),
    ):
        assert model.acceleration == Acceleration(**BOTH)
    assert nano().acceleration == PRESETS["off"]
    features = timm.create_model("fastitpn_nano_fpn", img_size=96, features_only=True, **BOTH)
    assert [level.shape[-1] for level in features(torch.randn(1, 3, 96, 96))] == [24, 12, 6, 3, 2]
    with pytest.raises(InputError, match="global_blocks=4"):
        fastitpn.create_model("fastitpn_nano", depths=(1, 1, 2), gathering=Gathering(window=4))


@torch.no_grad()
@pytest.mark.parametrize("name", PRESETS)
def test_presets_fit_every_model(name: str) -> None:
    model = nano()  # a 4x4 map, smaller than a preset's window
    model.set_acceleration(name)
    assert model.acceleration is PRESETS[name]
    assert model.acceleration.off == (name == "off")
    assert Acceleration.from_dict(PRESETS[name].to_dict()) == PRESETS[name]
    for size in (64, 80):
        assert model(torch.randn(1, 3, size, size)).isfinite().all()
    model.set_acceleration(PRESETS[name].to_dict())
    for size in ("tiny", "small", "base", "large"):
        model = fastitpn.create_model(f"fastitpn_{size}", device="meta")
        model.set_acceleration(name)
        assert model(torch.empty(1, 3, 512, 512, device="meta")).shape == (1, 1000)  # as one counts its operations


def test_switching() -> None:
    model = small(**BOTH)
    before = model.acceleration
    for arguments, message in (
        ({"value": "quick"}, "no acceleration is named 'quick'(.|\n)*one of off, balanced, fast"),
        ({"value": "ballanced"}, "fix: *acceleration=balanced"),
        ({"value": 3}, "no acceleration is named 3"),
        ({"value": {"migrate": {}}}, r"unknown key 'migrate'(.|\n)*fix: *migration"),
        ({"value": {"migration": {"keep": 0.5}}}, r"unknown key 'keep'\n.*acceleration\.migration"),
        ({"value": {"migration": 0.5}}, r"migration=0.5\n.*acceleration\.migration\n.*a Migration"),
        ({"value": Acceleration(gathering=Gathering(window=9, global_blocks=1))}, "window=9(.|\n)*1 to 7"),
        ({"value": "fast", "gathering": Gathering()}, "by name and in detail"),
        ({"gathering": Gathering(window=8, global_blocks=1)}, "window=8(.|\n)*1 to 7"),
        ({"migration": Migration(after_blocks=(3,))}, "after_blocks=(.|\n)*1 to 2"),
    ):
        with pytest.raises(InputError, match=message):
            model.set_acceleration(**arguments)
        assert model.acceleration is before
    model.set_acceleration(gathering=Gathering(window=3, global_blocks=0))
    assert model.acceleration.migration is None
    model.set_acceleration()
    assert model.acceleration.off
    assert resolve_acceleration(None) is PRESETS["off"]


def test_models_it_does_not_fit() -> None:
    for name in ("balanced", "fast"):
        with pytest.raises(InputError, match="class token"):
            small(class_token=True).set_acceleration(name)
        for kind in ("own", "shared"):
            with pytest.raises(InputError, match="relative positions"):
                small(class_token=True, relative_position=kind).set_acceleration(name)
    small(class_token=True, relative_position="own").set_acceleration("off")


def test_one_line_for_people() -> None:
    assert PRESETS["off"].describe() == "off"
    assert Acceleration(name="mine", migration=Migration()).describe() == (
        "mine: 50% of the tokens stay after 0.25 of stage 3 (bipartite, hold)"
    )
    assert Acceleration(**BOTH).describe() == (
        "custom: 60%, 50% of the tokens stay after block 1, block 2 (bipartite, residual); "
        "windows of 3 with 2 gathering tokens, 1 global blocks"
    )


@torch.no_grad()
def test_trace_of_a_plain_model() -> None:
    model, x = small(class_token=True), images()
    trace = model.trace_tokens(x)
    assert (trace.grid, trace.steps, trace.windows) == ((5, 7), (), (1, 1))
    assert not trace.left.any()
    assert (trace.match == -1).all()
    assert not trace.window.any()
    assert trace.gathered.shape == (2, 0, 35)
    with pytest.raises(InputError, match="multiples of 16"):
        model.trace_tokens(torch.zeros(1, 3, 60, 64))
