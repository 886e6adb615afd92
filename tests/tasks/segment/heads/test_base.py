"""Heads: shapes, what they are equal to, gradients, losses that leave pixels out."""

import copy

import pytest
import torch
import torch.nn.functional as F

from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.panoptic_codes import thing_code
from fastitpn.tasks.segment.heads.base import pixel_cross_entropy
from fastitpn.tasks.segment.heads.maskdino_network import objects_of
from fastitpn.tasks.segment.heads.registry import HEADS

CHANNELS = (8, 8, 8, 8, 8)
SMALL = {
    "linear": {},
    "upernet": {"width": 12, "auxiliary_width": 6},
    "maskdino": {"width": 32, "queries": 7, "encoder_layers": 1, "decoder_layers": 2, "denoising": 4, "points": 64},
    "mask2former": {"width": 32, "queries": 7, "encoder_layers": 1, "decoder_layers": 3, "points": 64},
}


def maps(height: int = 64, width: int = 96, batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 8, -(-height // s), -(-width // s), generator=generator) for s in (4, 8, 16, 32, 64)]


def build(name: str, num_classes: int = 5):
    torch.manual_seed(1)
    return HEADS[name].build(CHANNELS, num_classes, **SMALL[name])


@pytest.mark.parametrize("name", HEADS)
class TestEvery:
    @pytest.mark.parametrize("size", [(64, 96), (32, 48), (80, 112)])
    def test_it_gives_log_probabilities_at_a_quarter(self, name, size):
        head = build(name).eval()
        with torch.no_grad():
            result = head.log_probabilities(head(maps(*size)))
        assert result.shape == (2, 5, size[0] // 4, size[1] // 4)
        torch.testing.assert_close(result.exp().sum(1), torch.ones(2, size[0] // 4, size[1] // 4))

    def test_every_parameter_learns(self, name):
        head = build(name).train()
        masks = torch.randint(0, 5, (2, 64, 96), dtype=torch.uint8)
        losses = head.losses(head(maps()), masks)
        losses["loss"].backward()
        assert all(torch.isfinite(loss) for loss in losses.values())
        for key, parameter in head.named_parameters():
            assert parameter.grad is not None, key
        assert any(key.startswith(head.class_layers) for key in head.state_dict())

    def test_masks_that_are_left_out_altogether_give_no_nan(self, name):
        head = build(name).train()
        losses = head.losses(head(maps()), torch.full((2, 64, 96), IGNORE, dtype=torch.uint8))
        losses["loss"].backward()
        assert torch.isfinite(losses["loss"])

    def test_a_copy_is_the_same(self, name):
        """As the moving average makes one."""
        head = build(name).eval()
        with torch.no_grad():
            one, two = (one.log_probabilities(one(maps())) for one in (head, copy.deepcopy(head)))
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ["linear", "upernet"])
class TestLogits:
    def test_what_is_left_out_is_not_learnt(self, name):
        head = build(name).eval()
        masks = torch.full((2, 64, 96), IGNORE, dtype=torch.uint8)
        masks[:, :8] = 3
        one = head.losses(head(maps()), masks)["loss"]
        outputs = head(maps())
        outputs["logits"][:, :, 8:] += 10 * torch.randn(2, 5, 8, 24)
        torch.testing.assert_close(head.losses(outputs, masks)["loss"], one)


def test_masks_that_are_left_out_altogether_give_no_loss_and_no_nan():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = pixel_cross_entropy(logits, torch.full((1, 16, 16), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


def test_the_loss_is_the_mean_over_the_pixels_that_count():
    logits, masks = torch.randn(2, 3, 16, 16), torch.randint(0, 3, (2, 16, 16), dtype=torch.uint8)
    masks[0] = IGNORE
    expected = F.cross_entropy(logits[1:], masks[1:].long())
    torch.testing.assert_close(pixel_cross_entropy(logits, masks), expected)


def test_the_linear_head_is_one_linear_layer_over_all_levels():
    head = build("linear").eval()
    levels = maps()[:3]
    size = levels[0].shape[-2:]
    stacked = torch.cat(
        [
            F.interpolate(norm(level), size=size, mode="bilinear")
            for norm, level in zip(head.norms, levels, strict=True)
        ],
        dim=1,
    )
    weight = torch.cat([layer.weight for layer in head.classifiers], dim=1)
    expected = F.conv2d(stacked, weight, head.classifiers[0].bias)
    torch.testing.assert_close(head(maps())["logits"], expected, atol=1e-5, rtol=1e-5)


def test_upernet_leaves_out_channels_before_its_classifiers_in_training_alone():
    """With all the weight on one channel, leaving out half of them leaves 0 or twice the logit, of whole maps."""
    torch.manual_seed(0)
    maps = [torch.randn(8, channels, 16 >> level, 16 >> level) for level, channels in enumerate(CHANNELS)]
    head = HEADS["upernet"].build(CHANNELS, 5, width=12, auxiliary_width=6, dropout=0.5)
    for part in (head.decode, head.auxiliary):
        torch.nn.init.zeros_(part.classifier.weight)
        torch.nn.init.ones_(part.classifier.weight[:, 0])
        torch.nn.init.ones_(part.classifier.bias)
        inputs = torch.ones(64, part.classifier.in_channels, 2, 2)
        assert part.classifier.eval()(inputs).unique().tolist() == [2.0]
        learnt = part.classifier.train()(inputs)
        assert sorted(learnt.unique().tolist()) == [1.0, 3.0]
        assert (learnt == learnt[:, :, :1, :1]).all()
    names = HEADS["upernet"].build(CHANNELS, 5, width=12, auxiliary_width=6).state_dict().keys()
    assert head.state_dict().keys() == names
    assert "decode.classifier.weight" in names
    assert head(maps)["logits"].shape[:2] == (8, 5)


def test_upernet_has_its_auxiliary_head_in_training_alone():
    head = build("upernet")
    assert set(head.train()(maps())) == {"logits", "auxiliary"}
    assert set(head.eval()(maps())) == {"logits"}
    losses = head.losses(head.train()(maps()), torch.zeros(2, 64, 96, dtype=torch.uint8))
    torch.testing.assert_close(losses["loss"], losses["main_loss"] + 0.4 * losses["auxiliary_loss"])
    bare = HEADS["upernet"].build(CHANNELS, 5, width=12, auxiliary_weight=0.0).train()
    assert bare.auxiliary is None
    assert set(bare(maps())) == {"logits"}


class TestMask2Former:
    def test_scores_are_those_of_transformers(self):
        """Softmax of the classes without the last one, times the sigmoid of the masks, summed over the queries."""
        head = build("mask2former").eval()
        with torch.no_grad():
            outputs = head(maps())
            ours = head.log_probabilities(outputs)
        classes, masks = outputs["classes"][-1].softmax(-1)[..., :-1], outputs["masks"][-1].sigmoid()
        scores = torch.stack([(classes[:, q, :, None, None] * masks[:, q, None]) for q in range(7)]).sum(0)
        torch.testing.assert_close(ours.exp(), scores / scores.sum(1, keepdim=True), atol=2e-6, rtol=1e-4)

    def test_start_values_are_those_of_transformers(self):
        """Its own way to give them passes over the deformable attention of a class like ours."""
        attention = build("mask2former").network.pixel_decoder.encoder.layers[0].self_attn
        assert attention.sampling_offsets.bias[:8].tolist() == [1, 0, 2, 0, 3, 0, 4, 0]
        assert (attention.sampling_offsets.weight == 0).all()

    def test_every_layer_is_supervised(self):
        head = build("mask2former")
        outputs = head(maps())
        assert len(outputs["classes"]) == len(outputs["masks"]) == 4
        losses = head.losses(outputs, torch.randint(0, 5, (2, 64, 96), dtype=torch.uint8))
        assert set(losses) == {"loss", "loss_cross_entropy", "loss_mask", "loss_dice"}
        parts = [loss for name, loss in losses.items() if name != "loss"]
        torch.testing.assert_close(losses["loss"], torch.stack(parts).sum())

    def test_a_perfect_answer_has_little_loss(self):
        head = build("mask2former", num_classes=3)
        masks = torch.zeros(1, 64, 96, dtype=torch.uint8)
        masks[:, :, 48:] = 2
        drawn = torch.stack([(masks[0] == label).float() * 40 - 20 for label in (0, 2)])[None, :, ::4, ::4]
        classes = torch.full((1, 2, 4), -20.0)
        classes[0, 0, 0] = classes[0, 1, 2] = 20
        perfect = head.losses({"classes": [classes], "masks": [drawn]}, masks)
        swapped = head.losses({"classes": [classes.flip(1)], "masks": [drawn]}, masks)
        assert perfect["loss"] < 0.5
        assert swapped["loss"] > 10
        labels = head.log_probabilities({"classes": [classes], "masks": [drawn]}).argmax(1)
        assert torch.equal(labels[0].to(torch.uint8), masks[0, ::4, ::4])


class TestCodesOfSegments:
    """What mask2former learns of a panoptic mask."""

    def test_each_thing_is_a_mask(self, monkeypatch):
        head = build("mask2former").train()
        seen = {}
        monkeypatch.setattr(
            head,
            "matched_losses",
            lambda _, masks, labels: seen.update(masks=masks, labels=labels) or {"a": masks[0].sum()},
        )
        codes = torch.full((1, 64, 96), IGNORE, dtype=torch.int32)
        codes[0, :8], codes[0, 8:16], codes[0, 16:20], codes[0, 20:24] = 2, 1 + 256, 1 + 512, IGNORE + 256
        head.losses({}, codes)
        assert seen["labels"][0].tolist() == [2, 1, 1]
        assert seen["masks"][0].sum((1, 2)).tolist() == [8 * 96, 8 * 96, 4 * 96]

    def test_of_stuff_alone_it_is_as_before(self):
        head = build("mask2former").eval()
        with torch.no_grad():
            outputs = head(maps())
            labels = torch.randint(0, 5, (2, 64, 96), generator=torch.Generator().manual_seed(3))
            losses = []
            for dtype in (torch.uint8, torch.int32):
                torch.manual_seed(5)  # the losses look at random points
                losses.append(head.losses(outputs, labels.to(dtype))["loss"])
        torch.testing.assert_close(*losses, rtol=0, atol=0)


class TestMaskDINO:
    def test_a_panoptic_one_chooses_its_queries(self):
        """As published: four levels from fine to coarse, focal loss, and the best cells as queries."""
        head_spec = HEADS["maskdino"]
        head = head_spec.build(CHANNELS, 5, **{**head_spec.panoptic, **SMALL["maskdino"]}).train()
        assert head.predictor.class_embed.out_features == 5
        assert head.pixel_decoder.transformer.level_embed.shape == (4, 32)
        masks = torch.full((2, 64, 96), 3, dtype=torch.int32)
        masks[:, :20, :30], masks[:, 40:, 50:] = thing_code(1, 1), thing_code(1, 2)
        losses = head.losses(head(maps()), masks)
        losses["loss"].backward()
        assert all(parameter.grad is not None for parameter in head.parameters())
        assert set(losses) == {
            "loss",
            *(f"loss_{part}" for part in ("class", "mask", "dice", "box", "giou", "denoising")),
        }

    def test_objects_of_a_mask(self):
        """One for each class or segment, with the box around it; pixels that are left out are none."""
        mask = torch.full((10, 20), IGNORE, dtype=torch.int32)
        mask[2:6, 5:15], mask[8:, :4] = thing_code(1, 1), 3
        objects = objects_of(mask)
        assert objects["labels"].tolist() == [3, 1]
        torch.testing.assert_close(objects["boxes"], torch.tensor([[0.1, 0.9, 0.2, 0.2], [0.5, 0.4, 0.5, 0.4]]))
        assert objects["masks"].sum((1, 2)).tolist() == [8, 40]


def test_weights_of_classes_are_those_of_their_pixels():
    torch.manual_seed(0)
    logits, masks = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8), dtype=torch.uint8)
    masks[0, :4] = IGNORE
    weights = torch.tensor([0.5, 1.0, 4.0])
    expected = F.cross_entropy(logits, masks.long(), weights, ignore_index=IGNORE)
    torch.testing.assert_close(pixel_cross_entropy(logits, masks, weights), expected)
    torch.testing.assert_close(pixel_cross_entropy(logits, masks, torch.ones(3)), pixel_cross_entropy(logits, masks))
    nothing = pixel_cross_entropy(logits, torch.full((2, 8, 8), IGNORE, dtype=torch.uint8), weights)
    assert nothing == 0
