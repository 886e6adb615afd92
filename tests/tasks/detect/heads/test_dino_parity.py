"""DINO agrees with the published one at every stage, in a small form with weights that a rule makes."""

import pytest
import torch
from published_heads import CANVAS, SIZES, close, features, fill, golden
from torchvision.ops import box_convert

from fastitpn.tasks.detect.heads.dino_detector import best_detections
from fastitpn.tasks.detect.heads.dino_network import (
    EPS,
    WEIGHTS,
    DINONetwork,
    DINOSettings,
    match,
    matching_cost,
    published_names,
)
from fastitpn.tasks.detr.denoising import Draws, split
from fastitpn.tasks.detr.levels import Levels, flatten, padding_of
from fastitpn.tasks.detr.position import inverse_sigmoid, sine_of_boxes, sine_positions
from fastitpn.tasks.detr.proposals import best_cells, cell_proposals

TINY = {
    "channels": (24, 40, 56),
    "width": 64,
    "heads": 4,
    "hidden": 96,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "queries": 12,
    "box_noise": 0.4,
}
SHAPES = [(24, 16, 20), (40, 8, 10), (56, 4, 5)]
PADDING = padding_of(SIZES, CANVAS, torch.device("cpu"))


def network(**changes):
    made = DINONetwork(5, DINOSettings(**{**TINY, **changes}))
    fill(made, lambda name: published_names(name, 3)[0])
    return made.train()


def targets():
    tensors = golden("dino_denoising")
    return [{"labels": tensors[f"target_labels_{i}"], "boxes": tensors[f"target_boxes_{i}"]} for i in range(2)]


def draws():
    tensors = golden("dino_denoising")
    return Draws(*(tensors[f"draw_{name}"] for name in ("label_p", "new_label", "sign01", "part")))


@pytest.fixture(scope="module")
def tiny():
    return network()


@pytest.fixture(scope="module")
def outputs(tiny):
    with torch.no_grad():
        return tiny.predict(features(SHAPES), PADDING, targets(), draws())


def test_inverse_sigmoid():
    tensors = golden("dino_inverse_sigmoid")
    close(inverse_sigmoid(tensors["x"], EPS), tensors["y"])


def test_positions(tiny):
    tensors = golden("dino_position_temp20")
    _, levels = tiny.levels(features(SHAPES), PADDING)
    for number, (height, width) in enumerate(levels.shapes):
        assert torch.equal(levels.padding[number], tensors[f"mask{number}"].bool())
        code = sine_positions(levels.padding[number], 64, 20.0).transpose(1, 2).unflatten(2, (height, width))
        expected = tensors.get(f"level{number}")
        close(*((code[1, ::8], tensors["level0_image1_every8ch"]) if expected is None else (code, expected)))


def test_codes_of_boxes():
    tensors = golden("dino_sine_query256")
    close(sine_of_boxes(tensors["boxes"], 128)[..., ::4], tensors["embedding_every4"])


def test_encoder(tiny):
    tensors = golden("dino_encoder")
    with torch.no_grad():
        maps, levels = tiny.levels(features(SHAPES), PADDING)
        memory = tiny.transformer.encode(maps, levels)
    close(maps[0][:, ::16], tensors["src0_every16ch"])
    close(maps[2], tensors["src2"])
    close(maps[3], tensors["src3"])
    close(memory[1], tensors["memory_image1"])
    close(memory[0, ::4], tensors["memory_image0_every4"])


def test_proposals_where_many_are_removed():
    tensors = golden("dino_proposals_wide")
    shapes = tensors["spatial_shapes"].tolist()
    parts = tensors["mask"].bool().split([height * width for height, width in shapes], 1)
    levels = Levels(padding=[part.unflatten(1, shape) for part, shape in zip(parts, shapes, strict=True)])
    proposals, removed = cell_proposals(levels)
    close(proposals, tensors["proposals_unsigmoid"])
    close(proposals.isinf().all(-1), tensors["removed"].bool())
    close(removed, tensors["memory_zeroed"].bool())


def test_two_stage(tiny):
    tensors = golden("dino_two_stage")
    transformer = tiny.transformer
    with torch.no_grad():
        maps, levels = tiny.levels(features(SHAPES), PADDING)
        memory = transformer.encode(maps, levels)
        proposals, removed = cell_proposals(levels)
        encoded = transformer.enc_output_norm(transformer.enc_output(memory.masked_fill(removed[..., None], 0)))
        logits = transformer.enc_out_class_embed(encoded)
        guesses = transformer.guess(memory, levels)
    places = best_cells(logits, 12)
    close(proposals, tensors["proposals_unsigmoid"])
    close(removed, tensors["memory_zeroed"].bool())
    close(logits.amax(-1), tensors["class_max"])
    assert torch.equal(places, tensors["topk_index"])
    close(guesses.logits, tensors["interm_logits"])
    close(guesses.references.sigmoid(), tensors["interm_boxes"])
    close(encoded.gather(1, places[..., None].expand(-1, -1, 64)), tensors["hs_enc"])
    close(proposals.gather(1, places[..., None].expand(-1, -1, 4)).sigmoid(), tensors["init_box_proposal"])


@pytest.mark.parametrize("scale", [0.4, 1.0])
def test_denoising(scale, tiny):
    tensors, noisy = golden("dino_denoising"), golden("dino_denoising_noise1")
    denoising = network(box_noise=scale).predict(features(SHAPES), PADDING, targets(), draws()).denoising
    known = torch.cat([target["labels"] for target in targets()]).repeat(40)
    assert torch.equal(tiny.noise.labels(known, draws()), tensors["noised_label_ids"])
    close(denoising.references, (tensors if scale == 0.4 else noisy)["query_box_unsigmoid"])
    close(denoising.contents[:, :10], tensors["query_label_first_group"])
    assert torch.equal(denoising.mask, tensors["attn_mask"].bool())
    assert (denoising.count, denoising.groups) == (int(tensors["pad_size"]), int(tensors["num_dn_group"]))


def test_decoder(tiny, outputs):
    tensors = golden("dino_decoder")
    (dn_logits, logits), (dn_boxes, boxes) = split(outputs.logits, 200), split(outputs.boxes, 200)
    close(torch.stack(logits), tensors["logits"])
    close(torch.stack(boxes), tensors["boxes"])
    close(torch.stack(dn_logits)[:, :, :40], tensors["dn_logits_first40"])
    close(torch.stack(dn_boxes)[:, :, :40], tensors["dn_boxes_first40"])
    with torch.no_grad():
        maps, levels = tiny.levels(features(SHAPES), PADDING)
        memory = tiny.transformer.encode(maps, levels)
        start = outputs.guesses.references
        decoder = tiny.transformer.decoder
        decoded = decoder(tiny.transformer.tgt_embed.weight.expand(2, -1, -1), start, memory, levels)
        place = start.sigmoid() * levels.ratios[:, :1].repeat(1, 1, 2)
        sine = sine_of_boxes(place, 32)
    close(torch.stack(decoded.references), tensors["references_matching"])
    close(decoder.norm(torch.stack(decoded.states)), tensors["hs_matching"])
    close(sine, tensors["query_sine_layer0_matching"])
    close(decoder.ref_point_head(sine), tensors["query_pos_layer0_matching"])


def test_matching(outputs):
    tensors = golden("dino_matching")
    sets = {f"aux{i}": (outputs.logits[i][:, 200:], outputs.boxes[i][:, 200:]) for i in range(2)}
    sets["final"] = (outputs.logits[2][:, 200:], outputs.boxes[2][:, 200:])
    sets["interm"] = (outputs.guesses.logits, outputs.guesses.references.sigmoid())
    for name, (logits, boxes) in sets.items():
        pairs = match(logits, boxes, targets())
        for image, target in enumerate(targets()):
            close(matching_cost(logits[image], boxes[image], target), tensors[f"cost_{name}_image{image}"])
            assert torch.equal(torch.stack(pairs[image]), tensors[f"match_{name}_image{image}"])


def test_losses_and_gradients(tiny):
    tensors = golden("dino_losses_grads")
    maps = [level.requires_grad_() for level in features(SHAPES)]
    tiny.zero_grad()
    losses = tiny.published_losses(tiny.predict(maps, PADDING, targets(), draws()), targets())
    known = {name: tensors[name] for name in tensors if name.startswith(tuple(f"loss_{kind}" for kind in WEIGHTS))}
    assert set(losses) == set(known)
    for name, loss in losses.items():
        close(loss, known[name])
    total = torch.stack(list(tiny.losses(maps, PADDING, targets(), draws()).values())).sum()
    close(total, tensors["total"])
    total.backward()
    close(maps[2].grad, tensors["grad_feature2"])
    close(maps[1].grad[1, ::4], tensors["grad_feature1_image1_every4ch"])
    close(maps[0].grad[0, :2], tensors["grad_feature0_image0_ch0_2"])
    ours = {published_names(name, 3)[0]: parameter.grad for name, parameter in tiny.named_parameters()}
    for key in (key for key in tensors if key.startswith("grad:")):
        gradient = ours[key.removeprefix("grad:")]
        close(gradient[::8] if gradient.numel() > 3000 else gradient, tensors[key])


def test_inference(tiny):
    tensors = golden("dino_inference")
    with torch.no_grad():
        logits, boxes = tiny.eval()(features(SHAPES), PADDING)
    tiny.train()
    close(logits, tensors["pred_logits"])
    close(boxes, tensors["pred_boxes"])
    corners, scores, labels = best_detections(logits, boxes, 30)
    close(scores, tensors["scores"])
    assert torch.equal(labels, tensors["labels"])
    sides = tensors["target_sizes_hw"].flip(1).repeat(1, 2)
    close(corners * sides[:, None], tensors["boxes"], atol=1e-2)


def test_an_image_without_objects(tiny):
    """It is all background, and its slots among the denoising queries stay empty."""
    objects = [targets()[0], {"labels": torch.zeros(0, dtype=torch.long), "boxes": torch.zeros(0, 4)}]
    outputs = tiny.predict(features(SHAPES), PADDING, objects)
    assert outputs.denoising.references[1].eq(0).all()
    assert outputs.denoising.contents[1].eq(0).all()
    losses = tiny.published_losses(outputs, objects)
    assert all(torch.isfinite(loss) for loss in losses.values())
    nothing = tiny.published_losses(tiny.predict(features(SHAPES), PADDING, objects[1:] * 2), objects[1:] * 2)
    assert all(loss == 0 for name, loss in nothing.items() if "_dn" in name or "bbox" in name)


def test_removed_cells_stay_in_the_ranking():
    """With nearly as many queries as cells some of the padding are chosen; their boxes are the whole image."""
    made = network(queries=400)
    with torch.no_grad():
        maps, levels = made.levels(features(SHAPES), PADDING)
        guesses = made.transformer.guess(made.transformer.encode(maps, levels), levels)
    _, removed = cell_proposals(levels)
    chosen = guesses.references.isinf().all(-1)
    assert chosen.any(1).tolist() == [True, True]
    assert removed.sum(1).ge(chosen.sum(1)).all()
    assert guesses.references[chosen].sigmoid().eq(1).all()
    assert flatten(maps).shape[1] == 426


def test_boxes_outside_of_the_image_stay():
    box = torch.tensor([[[0.05, 0.5, 0.4, 0.4]]])
    corners, _, _ = best_detections(torch.zeros(1, 1, 1), box, 300)
    close(corners, box_convert(box, "cxcywh", "xyxy"))
