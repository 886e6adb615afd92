"""MaskDINO agrees with the published one at every stage, in a small form with weights that a rule makes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published_heads import CANVAS, SIZES, close, features, fill, golden
from torchvision.ops import box_convert

from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS
from fastitpn.tasks.detr.denoising import Draws
from fastitpn.tasks.detr.levels import Levels, flatten
from fastitpn.tasks.detr.position import inverse_sigmoid
from fastitpn.tasks.detr.proposals import best_cells, cell_proposals
from fastitpn.tasks.maskdino.boxes import boxes_around
from fastitpn.tasks.maskdino.inference import Instances, instances, resize_masks, semantic_scores
from fastitpn.tasks.maskdino.losses import WEIGHTS, all_losses, match, matching_cost
from fastitpn.tasks.maskdino.network import MaskDINONetwork, MaskDINOSettings, published_names
from fastitpn.tasks.maskdino.points import sample, unsure_points
from fastitpn.tasks.maskdino.predictor import EPS, Predictions
from fastitpn.tasks.segment.panoptic import segments_of

TINY = {
    "channels": (16, 24, 40, 56),
    "width": 64,
    "mask_width": 48,
    "heads": 4,
    "encoder_hidden": 96,
    "decoder_hidden": 80,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "queries": 12,
    "denoising": 8,
    "points": 32,
}
FORMS = {"instance": {}, "semantic": {"two_stage": False, "box_start": "no", "no_object": True}}
SHAPES = [(16, 32, 40), (24, 16, 20), (40, 8, 10), (56, 4, 5)]
WANTED = [(96, 108), (50, 80)]
"""Height and width of the original images."""
SETS = ["final", "aux0", "aux1", "aux2"]


def network(form, **changes):
    made = MaskDINONetwork(5, MaskDINOSettings(**{**TINY, **FORMS.get(form, {}), **changes}))
    fill(made, lambda name: published_names(name, 3)[0])
    return made.train()


def targets(form):
    tensors, made = golden(f"maskdino_matching_{form}"), []
    for place, (height, width) in enumerate(SIZES):
        packed = tensors[f"target_masks_packed_{place}"].numpy()
        masks = torch.zeros(len(packed), *CANVAS)
        masks[:, :height, :width] = torch.from_numpy(np.unpackbits(packed, axis=-1, count=width)).float()
        boxes = tensors[f"target_boxes_xyxy_px_{place}"] / torch.tensor([width, height, width, height])
        boxes = box_convert(boxes, "xyxy", "cxcywh")
        close(boxes, tensors[f"targets_boxes_normalised_{place}"])
        made.append({"labels": tensors[f"target_labels_{place}"], "boxes": boxes, "masks": masks})
    return made


def draws(form):
    tensors = golden(f"maskdino_denoising_{form}")
    kept = (tensors["draw_label_p"], tensors["draw_new_label"], torch.zeros(0, 4), tensors["draw_box"])
    return Draws(*kept)


class Replayed:
    """The points of the stored losses, in the order in which they are asked for."""

    def __init__(self, form):
        matching, learning = golden(f"maskdino_matching_{form}"), golden(f"maskdino_losses_{form}")
        names = [*SETS, *(["interm"] if form == "instance" else [])]
        self.matching = [matching[f"points_{name}_image{image}"] for name in names for image in range(2)]
        kept = [learning.get(f"points_{name}{part}") for name in names for part in ("", "_dn")]
        self.learning = [points for points in kept if points is not None]

    def to_match(self, device):
        return self.matching.pop(0)

    def to_learn(self, logits):
        return self.learning.pop(0)


@pytest.fixture(scope="module", params=list(FORMS))
def form(request):
    return request.param


@pytest.fixture(scope="module")
def made(form):
    """The network, and all that it predicts in training."""
    built = network(form)
    with torch.no_grad():
        encoded = built.pixel_decoder(features(SHAPES))
        predicted = built.predictor(*encoded, built.denoiser(targets(form), draws(form)))
    return built, encoded, predicted


def test_boxes_around_masks():
    tensors = golden("maskdino_boxes_from_masks")
    masks = tensors["masks"].bool()
    height, width = masks.shape[-2:]
    sides = torch.tensor([width, height, width, height])
    for kind in ("bitmask", "mask2box"):
        boxes = boxes_around(masks, kind)
        close(boxes, tensors[kind])
        shares = box_convert(boxes, "xyxy", "cxcywh") / sides
        close(inverse_sigmoid(shares, EPS), tensors[f"reference_{kind}"])
    close(inverse_sigmoid(tensors["inverse_sigmoid_x"], EPS), tensors["inverse_sigmoid_y"])


def test_unsure_points():
    tensors = golden("maskdino_point_sampling")
    logits = tensors["logits"][:, 0]
    points = unsure_points(logits, tensors["draw_candidates"], tensors["draw_random"])
    close(points, tensors["points"])
    close(sample(logits, points)[:, None], tensors["sampled"])


def test_pixel_decoder():
    tensors = golden("maskdino_pixel_decoder")
    with torch.no_grad():
        levels, pixels = network("instance").pixel_decoder(features(SHAPES))
    close(levels[0], tensors["level0"])
    close(levels[1][:, ::4], tensors["level1_every4ch"])
    close(levels[2][:, ::8], tensors["level2_every8ch"])
    close(pixels[:, ::8, ::2, ::2], tensors["mask_features_every8ch_every2px"])


def test_two_stage():
    tensors, built = golden("maskdino_two_stage_instance"), network("instance")
    predictor = built.predictor
    with torch.no_grad():
        maps, pixels = built.pixel_decoder(features(SHAPES))
        levels, memory = Levels.whole(maps[::-1]), flatten(maps[::-1])
        proposals, removed = cell_proposals(levels)
        encoded = predictor.enc_output_norm(predictor.enc_output(memory.masked_fill(removed[..., None], 0)))
        logits = predictor.class_embed(encoded)
        start = predictor.start(memory, levels, pixels)
    close(proposals, tensors["proposals_unsigmoid"])
    close(logits.amax(-1), tensors["class_max"])
    assert torch.equal(best_cells(logits, 12), tensors["topk_index"])
    close(start.guesses.logits, tensors["interm_logits"])
    close(start.guesses.boxes, tensors["interm_boxes"])
    close(start.guesses.masks[..., ::4, ::4], tensors["interm_masks_every4"], atol=5e-5)
    for kind in ("bitmask", "mask2box"):
        close(boxes_around(start.guesses.masks > 0, kind), tensors[f"box_from_{kind}_px"])
    close(start.references, tensors["decoder_reference_unsigmoid"])
    close(start.contents, tensors["decoder_content"])


def test_denoising(form, made):
    tensors, (built, _, (_, _, denoising)) = golden(f"maskdino_denoising_{form}"), made
    known = torch.cat([target["labels"] for target in targets(form)]).repeat(2)
    assert torch.equal(built.noise.labels(known, draws(form)), tensors["noised_label_ids"])
    close(denoising.references, tensors["query_box_unsigmoid"])
    assert torch.equal(denoising.mask, tensors["attn_mask"].bool())
    assert (denoising.count, denoising.groups) == (int(tensors["pad_size"]), int(tensors["scalar"]))


def test_decoder(form, made):
    tensors, (_, _, (predictions, _, _)) = golden(f"maskdino_decoder_{form}"), made
    logits, boxes, masks = (torch.stack(parts) for parts in zip(*predictions, strict=True))
    close(logits[:, :, 8:], tensors["logits"])
    close(boxes[:, :, 8:], tensors["boxes"])
    close(masks[:, :, 8:, ::4, ::4], tensors["masks_every4"], atol=5e-5)
    close(logits[:, :, :8], tensors["dn_logits"])
    close(boxes[:, :, :8], tensors["dn_boxes"])
    close(masks[-1, :, :8, ::8, ::8], tensors["dn_masks_last_every8"], atol=5e-5)


def test_matching(form, made):
    tensors, (_, _, (predictions, guesses, _)) = golden(f"maskdino_matching_{form}"), made
    sets = {f"aux{layer}": predictions[layer].part(slice(8, None)) for layer in range(3)}
    sets["final"] = predictions[3].part(slice(8, None))
    if guesses is not None:
        sets["interm"] = guesses
    for name, predicted in sets.items():
        for image, target in enumerate(targets(form)):
            points = tensors[f"points_{name}_image{image}"]
            parts = matching_cost(Predictions(*(part[image] for part in predicted)), target, points)
            weighted = torch.stack([WEIGHTS[part] * cost for part, cost in parts.items()]).sum(0)
            close(weighted, tensors[f"cost_{name}_image{image}"])
            if (name, image) == ("final", 0):
                for part, key in (("mask", "mask"), ("dice", "dice"), ("bbox", "l1")):
                    close(parts[part], tensors[f"part_{key}_final_image0"])
    points = Replayed(form)
    for image, pair in enumerate(match(sets["final"], targets(form), points)):
        assert torch.equal(torch.stack(pair), tensors[f"match_final_image{image}"])


def test_losses_and_gradients(form):
    tensors, built = golden(f"maskdino_losses_{form}"), network(form)
    maps = [level.requires_grad_() for level in features(SHAPES)]
    predicted = built.predictor(*built.pixel_decoder(maps), built.denoiser(targets(form), draws(form)))
    losses = all_losses(*predicted, targets(form), Replayed(form), no_object=form == "semantic")
    assert set(losses) == {name for name in tensors if name.startswith("loss_")}
    for name, loss in losses.items():
        close(loss, tensors[name])
    total = torch.stack([WEIGHTS[name.split("_")[1]] * loss for name, loss in losses.items()]).sum()
    close(total, tensors["total"])
    total.backward()
    close(maps[3].grad, tensors["grad_res5"], atol=5e-5)
    close(maps[0].grad[0, 0], tensors["grad_res2_image0_ch0"], atol=5e-5)
    close(maps[1].grad[1, :2], tensors["grad_res3_image1_ch0_2"], atol=5e-5)
    ours = {published_names(name, 3)[0]: parameter.grad for name, parameter in built.named_parameters()}
    for key in (key for key in tensors if key.startswith("grad:")):
        gradient = ours[key.removeprefix("grad:")]
        close(gradient[::8] if gradient.numel() > 3000 else gradient, tensors[key], atol=1e-4, rtol=1e-4)


def predicted(form, **changes):
    """What the network predicts of its last layer, and its masks in the padded size."""
    built = network(form, **changes).eval()
    with torch.no_grad():
        predictions = built(features(SHAPES))
    return predictions


def one_image(best):
    return Instances(*(part[0] for part in best))


def test_inference_of_instances():
    tensors, predictions = golden("maskdino_inference_instance"), predicted("instance")
    for image, size in enumerate(SIZES):
        packed = tensors[f"masks_packed_{image}"].numpy()
        wanted = WANTED[image]
        masks = resize_masks(predictions.masks[image], CANVAS, size, wanted)
        best = one_image(instances(predictions.logits[image][None], masks[None], 8))
        order = best.scores.argsort(descending=True)
        close(best.scores[order], tensors[f"scores_{image}"])
        assert torch.equal(best.labels[order], tensors[f"classes_{image}"])
        factor = torch.tensor([wanted[i] * CANVAS[i] / size[i] for i in (1, 0)]).repeat(2)
        boxes = box_convert(predictions.boxes[image], "cxcywh", "xyxy") * factor
        close(boxes[best.queries[order]], tensors[f"boxes_{image}"], atol=1e-2)
        expected = torch.from_numpy(np.unpackbits(packed, axis=-1, count=wanted[1])).bool()
        assert ((masks[best.queries[order]] > 0) ^ expected).sum() <= 3


def test_inference_of_classes():
    tensors, predictions = golden("maskdino_inference_semantic"), predicted("semantic")
    masks = F.interpolate(predictions.masks, size=CANVAS, mode="bilinear")
    scores = semantic_scores(predictions.logits, masks, no_object=True)
    for image, (height, width) in enumerate(SIZES):
        resized = F.interpolate(scores[image : image + 1, :, :height, :width], size=WANTED[image], mode="bilinear")[0]
        close(resized[:, ::4, ::4], tensors[f"sem_seg_every4_{image}"])
        assert (resized.argmax(0) != tensors[f"argmax_{image}"]).sum() <= 3


def test_inference_of_segments():
    tensors, predictions = golden("maskdino_inference_panoptic"), predicted("instance", box_start="no")
    things = [True, False, True, False, False]
    for image, size in enumerate(SIZES):
        masks = resize_masks(predictions.masks[image], CANVAS, size, WANTED[image])
        logits = predictions.logits[image]
        codes, segments = segments_of(logits, masks, WANTED[image], things, least_visible=0.1)
        expected, known = tensors[f"panoptic_{image}"].numpy(), tensors[f"segments_{image}"].tolist()
        assert len(segments) == len(known)
        for number, thing, label in known:
            cells = codes[expected == number]
            code = np.bincount(cells).argmax()
            assert (code & LABEL_BITS, things[label]) == (label, bool(thing))
            assert ((codes == code) ^ (expected == number)).sum() <= 3
        classes = semantic_scores(logits, masks, no_object=False)
        close(classes[:, ::4, ::4], tensors[f"sem_seg_every4_{image}"])
        best = one_image(instances(logits[None], masks[None], 100))
        of_things = torch.tensor(things)[best.labels]
        close(best.scores[of_things].max(), tensors[f"instance_scores_{image}"].max())
