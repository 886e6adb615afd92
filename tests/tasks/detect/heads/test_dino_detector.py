"""DINO beyond what holds for all detectors: padding, denoising, look forward twice, start values."""

import pytest
import torch
from transformers.models.deformable_detr.modeling_deformable_detr import DeformableDetrMultiscaleDeformableAttention
from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import RTDetrV2MultiscaleDeformableAttention

from fastitpn.tasks.detect.heads.dino_levels import Levels, sine_positions
from fastitpn.tasks.detect.model import create_detector

STRIDES = (8, 16, 32, 64)


@pytest.fixture
def network(create):
    torch.manual_seed(0)
    network = create("dino").network
    for head in (network.first_class_head, network.first_box_head.layers[-1], *network.class_heads):
        torch.nn.init.normal_(head.weight, std=0.1)
    for head in network.box_heads:
        torch.nn.init.normal_(head.layers[-1].weight, std=0.1)
    return network


def maps(height, width, count=1):
    torch.manual_seed(height)
    return [torch.randn(count, 64, -(-height // stride), -(-width // stride)) for stride in STRIDES]


def targets():
    boxes = torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.5, 0.3, 0.4]])
    return [{"class_labels": torch.tensor([0, 1]), "boxes": boxes}]


def test_padding_changes_nothing(network):
    """Neither where something is looked for nor where it is found, whatever the padding holds."""
    size = (64, 128)
    plain = maps(*size)
    padded = []
    for stride, level in zip(STRIDES, plain, strict=True):
        wide = 5 * torch.randn(1, 64, 192 // stride, 256 // stride)
        wide[..., : level.shape[-2], : level.shape[-1]] = level
        padded.append(wide)
    with torch.no_grad():
        (logits, boxes), (other_logits, other_boxes) = (network.eval()(own, [size]) for own in (plain, padded))
    torch.testing.assert_close(other_logits, logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(other_boxes, boxes, atol=1e-4, rtol=1e-4)


def test_where_cells_are():
    levels = Levels.of(maps(48, 80), STRIDES, [(40, 70)])
    assert levels.shapes == [(6, 10), (3, 5), (2, 3), (1, 2)]
    [first, second, *_] = levels.split(levels.centres)
    torch.testing.assert_close(first[0, 11], torch.tensor([(1 + 0.5) * 8 / 70, (1 + 0.5) * 8 / 40]))
    torch.testing.assert_close(second[0, 4], torch.tensor([(4 + 0.5) * 16 / 70, 0.5 * 16 / 40]))
    inside = [part[0].reshape(shape) for part, shape in zip(levels.split(levels.inside), levels.shapes, strict=True)]
    assert [int(part.sum()) for part in inside] == [5 * 9, 3 * 5, 2 * 3, 1 * 2]
    torch.testing.assert_close(levels.ratios[0, 2], torch.tensor([70 / 96, 40 / 64]))


def test_places_have_codes_of_their_own():
    codes = sine_positions(torch.rand(1, 50, 2), 64)[0]
    assert codes.shape == (50, 64)
    assert torch.cdist(codes, codes).add(torch.eye(50) * 9).min() > 1e-3
    assert codes.abs().max() <= 1


def test_queries_learn_nothing_from_the_denoising(network):
    """What is asked for beside the disturbed truth is found as without it, which is how it is asked for later."""
    own, sizes = maps(64, 128), [(64, 128)]
    network.train()
    seen = []
    criterion = network.criterion.forward
    network.criterion.forward = lambda outputs, goals: seen.append(outputs) or criterion(outputs, goals)
    network.losses(own, sizes, targets())
    network.eval()
    with torch.no_grad():
        logits, boxes = network(own, sizes)
    [outputs] = seen
    torch.testing.assert_close(outputs["logits"], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(outputs["pred_boxes"], boxes, atol=1e-4, rtol=1e-4)
    meta = outputs["denoising_meta_values"]
    assert meta["dn_num_split"] == [2 * 2 * 4, 20]  # 4 groups of 2 things, each once near and once far
    assert len(outputs["dn_auxiliary_outputs"]) == 2


def test_contents_are_learnt_and_places_chosen(network):
    network.train().losses(maps(64, 128), [(64, 128)], targets())["loss_class"].backward()
    assert network.contents.weight.grad.abs().sum() > 0
    references, _, _ = network._first_guesses(*network._encode(maps(64, 128), [(64, 128)]))
    assert not references.requires_grad
    assert len(references[0].unique(dim=0)) > 10


def test_look_forward_twice(network):
    """The boxes of a layer teach it and the layer before; those of the first layer teach it alone."""
    network.train()
    memory, levels = network._encode(maps(64, 128), [(64, 128)])
    references, _, _ = network._first_guesses(memory.detach(), levels)
    _, boxes = network._decode(memory.detach(), levels, network._contents(references), references, None)
    for number, layers in enumerate(([0], [0, 1])):
        network.zero_grad()
        boxes[number].sum().backward(retain_graph=True)
        assert [
            place for place, head in enumerate(network.box_heads) if head.layers[-1].bias.grad is not None
        ] == layers


def test_sampling_starts_all_around(create):
    kinds = (RTDetrV2MultiscaleDeformableAttention, DeformableDetrMultiscaleDeformableAttention)
    layers = [layer for layer in create("dino").modules() if isinstance(layer, kinds)]
    assert {type(layer) for layer in layers} == set(kinds)
    for layer in layers:
        offsets = layer.sampling_offsets.bias.reshape(layer.n_heads, layer.n_levels, layer.n_points, 2)
        reach = offsets.abs().amax(-1)
        assert torch.equal(reach, torch.arange(1.0, 5.0).expand_as(reach))
        assert not layer.sampling_offsets.weight.any()


def test_a_loss_that_is_not_finite_is_no_error(network):
    """The guard of the engine skips such a step; the matching would raise an error."""
    own = [level * float("nan") for level in maps(64, 128)]
    assert network.train().losses(own, [(64, 128)], targets())["loss_class"].isnan()


def test_the_finest_level(small, pictures):
    for finest, smallest in ((4, "output4"), (8, "output8")):
        arguments = {**small["dino"], "finest_stride": finest}
        model = create_detector(small["model"], {"name": "dino", "arguments": arguments}, 2)
        assert model.network.settings.strides[0] == finest
        assert any(smallest in key for key in model.state_dict())
        assert any("output4" in key for key in model.state_dict()) == (finest == 4)
        model.train().losses(*pictures)["loss"].backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_fewer_cells_than_queries(create):
    [found] = create("dino").eval().detect([torch.randn(3, 16, 16)])  # 4 + 1 + 1 + 1 cells
    assert len(found["scores"]) == 2 * 7
