"""DINO beyond its parity and what holds for all detectors: padding, crowds, gradients, start values, its inputs."""

import pytest
import torch
from torchvision.ops import box_convert

from fastitpn.errors import InputError
from fastitpn.tasks.detect.heads.dino_network import DINONetwork, DINOSettings, set_losses
from fastitpn.tasks.detect.model import create_detector
from fastitpn.tasks.detr.denoising import split
from fastitpn.tasks.detr.levels import padding_of

STRIDES = (8, 16, 32, 64)
SIZE = (64, 128)


@pytest.fixture
def network(create):
    torch.manual_seed(0)
    return varied(create("dino").network)


def varied(network):
    """Makes a fresh network say something."""
    transformer = network.transformer
    for head in (transformer.enc_out_class_embed, transformer.decoder.class_embed):
        torch.nn.init.normal_(head.weight, std=0.1)
    for head in (transformer.enc_out_bbox_embed, transformer.decoder.bbox_embed):
        torch.nn.init.normal_(head.layers[-1].weight, std=0.1)
    return network


def maps(height, width, count=1, strides=STRIDES):
    torch.manual_seed(height)
    return [torch.randn(count, 64, -(-height // stride), -(-width // stride)) for stride in strides]


def targets():
    boxes = torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.7, 0.5, 0.3, 0.4]])
    return [{"labels": torch.tensor([0, 1]), "boxes": boxes}]


def test_images_of_different_sizes_give_in_a_batch_what_each_gives_alone(network):
    """Neither what is seen nor the first guesses depend on the padding, whatever it holds.

    The decoder is told how much of the canvas an image fills, as published; `detect` puts images of one size together.
    """
    sizes, canvas, device = [(64, 128), (192, 96), (40, 56)], (192, 256), torch.device("cpu")
    alone = [maps(*size) for size in sizes]
    together = [5 * torch.randn(3, 64, canvas[0] // stride, canvas[1] // stride) for stride in STRIDES]
    for place, levels in enumerate(alone):
        for level, wide in zip(levels, together, strict=True):
            wide[place, :, : level.shape[-2], : level.shape[-1]] = level
    transformer = network.eval().transformer
    with torch.no_grad():
        levels, where = network.levels(together, padding_of(sizes, canvas, device))
        memory = transformer.encode(levels, where)
        guesses = transformer.guess(memory, where)
        for place, size in enumerate(sizes):
            levels, inside = network.levels(alone[place], padding_of([size], size, device))
            seen = transformer.encode(levels, inside)
            torch.testing.assert_close(memory[place, ~where.padded[place]], seen[0])
            for given, expected in zip(guesses, transformer.guess(seen, inside), strict=True):
                torch.testing.assert_close(given[place], expected[0])


def test_an_image_that_fills_its_canvas_needs_no_padding(network):
    levels = maps(*SIZE)
    with torch.no_grad():
        given = network.eval()(levels, padding_of([SIZE], SIZE, torch.device("cpu")))
        for one_by_one in zip(given, network(levels), strict=True):
            assert torch.equal(*one_by_one)


def test_queries_learn_nothing_from_the_denoising(network):
    """What is asked for beside the disturbed truth is predicted as without it, which is how it is asked for later."""
    outputs = network.train().predict(maps(*SIZE), None, targets())
    with torch.no_grad():
        logits, boxes = network.eval()(maps(*SIZE))
    size = 16 * 2 * 2  # 16 groups of 2 objects, each once near and once far
    assert outputs.denoising.count == size
    torch.testing.assert_close(split(outputs.logits, size)[1][-1], logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(split(outputs.boxes, size)[1][-1], boxes, atol=1e-4, rtol=1e-4)


def test_contents_are_learnt_and_places_chosen(network):
    network.train().losses(maps(*SIZE), None, targets())["loss_class"].backward()
    assert network.transformer.tgt_embed.weight.grad.abs().sum() > 0
    outputs = network.predict(maps(*SIZE), None, targets())
    assert len(outputs.guesses.references[0].unique(dim=0)) > 10


def test_look_forward_twice(network):
    """A box teaches its own layer and, through the reference, the layer before; not the one before that."""
    transformer = network.train().transformer
    levels, where = network.levels(maps(*SIZE), None)
    memory = transformer.encode(levels, where).detach()
    start = transformer.guess(memory, where).references.detach()
    decoder = transformer.decoder
    decoded = decoder(transformer.tgt_embed.weight[None, : start.shape[1]], start, memory, where)
    assert [reference.requires_grad for reference in decoded.references] == [False, True, True]
    for layer, box in enumerate(decoder.boxes(decoded)):
        gradients = torch.autograd.grad(box.sum(), decoded.states, retain_graph=True, allow_unused=True)
        assert [gradient is not None for gradient in gradients] == [place <= layer for place in range(2)]


def test_crowds_are_not_learnt_as_background(network):
    """A query whose box lies mostly in an ignored region teaches nothing, unless it stands for an object."""
    logits, count = torch.zeros(1, 3, 2), torch.tensor(1.0)
    corners = torch.tensor([[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9], [0.0, 0.0, 1.0, 1.0]])
    boxes = box_convert(corners, "xyxy", "cxcywh")[None]
    pairs = [(torch.tensor([0]), torch.tensor([0]))]
    plain = [{"labels": torch.tensor([1]), "boxes": boxes[0, :1]}]
    crowd = [{**plain[0], "ignored": torch.tensor([[0.0, 0.0, 0.35, 0.35], [0.4, 0.5, 0.8, 0.9]])}]
    background = 0.75 * 0.25 * torch.tensor(2.0).log()  # of one class of one query, at a probability of a half
    matched = 0.25 * 0.25 * torch.tensor(2.0).log()
    for objects, number in ((plain, 2), (crowd, 1)):
        loss = set_losses(logits, boxes, objects, count, pairs)["ce"]
        torch.testing.assert_close(loss, matched + (1 + 2 * number) * background)


def test_a_crowd_reaches_the_loss(create, pictures):
    images, objects = pictures
    losses = []
    for ignored in ([], [[0.0, 0.0, 80.0, 64.0]]):
        torch.manual_seed(1)
        crowded = [{**target, "ignored": torch.tensor(ignored).reshape(-1, 4)} for target in objects]
        losses.append(create("dino").train().losses(images, crowded))
    assert losses[1]["loss_class"] < losses[0]["loss_class"]
    assert losses[1]["loss_box"] == losses[0]["loss_box"]


def test_sampling_starts_all_around(create):
    transformer = create("dino").network.transformer
    layers = [layer.self_attn for layer in transformer.encoder.layers]
    layers += [layer.cross_attn for layer in transformer.decoder.layers]
    assert len(layers) == 3
    for layer in layers:
        offsets = layer.sampling_offsets.bias.reshape(layer.n_heads, layer.n_levels, layer.n_points, 2)
        reach = offsets.abs().amax(-1)
        assert torch.equal(reach, torch.arange(1.0, 5.0).expand_as(reach))
        assert not layer.sampling_offsets.weight.any()
        assert not layer.attention_weights.weight.any()


def test_start_values(create):
    network = create("dino", num_classes=5).network
    transformer = network.transformer
    for head in (transformer.enc_out_class_embed, transformer.decoder.class_embed):
        torch.testing.assert_close(head.bias.sigmoid(), torch.full((5,), 0.01))
    for head in (transformer.enc_out_bbox_embed, transformer.decoder.bbox_embed):
        assert not head.layers[-1].weight.any()
        assert not head.layers[-1].bias.any()
    bound = (6 / (20 + 64)) ** 0.5
    assert 0.9 * bound < transformer.tgt_embed.weight.abs().max() <= bound
    assert network.label_enc.weight.shape == (6, 64)


def test_a_loss_that_is_not_finite_is_no_error(network):
    """The guard of the engine skips such a step; the matching would raise an error."""
    broken = [level * float("nan") for level in maps(*SIZE)]
    losses = network.train().losses(broken, None, targets())
    assert set(losses) == {"loss_class", "loss_box", "loss_giou", "loss_denoising"}
    assert losses["loss_class"].isnan()


@pytest.mark.parametrize(
    ("changes", "levels"),
    [({"finest_stride": 4}, (4, 8, 16, 32)), ({}, STRIDES), ({"neck": "published", "width": 32}, None)],
    ids=["stride 4", "stride 8", "published"],
)
def test_what_it_looks_at(changes, levels, small, pictures):
    model = create_detector(small["model"], {"name": "dino", "arguments": {**small["dino"], **changes}}, 2)
    assert model.network.settings.strides == levels
    assert any("output4" in key for key in model.state_dict()) == (levels is not None and levels[0] == 4)
    model.train().losses(*pictures)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    seen = []
    model.network.transformer.encoder.register_forward_hook(lambda module, inputs, memory: seen.append(inputs[2]))
    model.eval().detect([torch.randn(3, 128, 192)])
    assert seen[0].shapes == [(128 // stride, 192 // stride) for stride in levels or STRIDES]


def test_fewer_cells_than_queries(create):
    [detections] = create("dino").eval().detect([torch.randn(3, 16, 16)])  # 4 + 1 + 1 + 1 cells
    assert len(detections["scores"]) == 2 * 7


def test_the_published_number_of_parameters():
    network = DINONetwork(91, DINOSettings(channels=(512, 1024, 2048)))
    assert sum(parameter.numel() for parameter in network.parameters()) == 23_438_270


def test_an_earlier_one_does_not_train(small, pictures):
    arguments = {name: value for name, value in small["dino"].items() if name != "width"}
    model = create_detector(small["model"], {"name": "dino", "arguments": arguments}, 2)
    with pytest.raises(InputError, match="begun by an earlier version"):
        model.train().losses(*pictures)
