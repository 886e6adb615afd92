"""The published pre-training models of iTPN."""

import torch
from itpn_family import fill_by_rule, stored
from published import assert_golden, randn

from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.pixel_model import create_pixel_model, pixel_loss

SMALL = {"embed_dim": 64, "num_heads": 2, "img_size": 64, "pyramid_dim": 32}


@torch.no_grad()
def test_the_model_with_clip_as_its_teacher_gives_the_published_numbers() -> None:
    model = create_pretraining_model("itpn_base", teacher_dim=24, auxiliary_dim=24, depths=(1, 1, 8), **SMALL).eval()
    fill_by_rule(model)
    numbers = stored("itpnclip_pretrain_tiny")
    images, masked = randn(2, 3, 64, 64), numbers["mask"]
    for level, stride in zip(model.levels(images, masked), (4, 8, 16), strict=True):
        expected = numbers[f"level{stride}"]  # [B, N, h, w, C], cells row by row
        if stride == 4:
            level = level.unflatten(2, (2, 2, 2, 2)).transpose(3, 4).flatten(2, 5)
        assert_golden(level, expected.flatten(2, 3))
    predictions = model.predict(images, masked)
    assert_golden(predictions["merged"], numbers["pred"])
    assert_golden(predictions["auxiliary"], numbers["pred_aux"])
    loss = sum(torch.nn.functional.smooth_l1_loss(p.squeeze(2), numbers["target"]) for p in predictions.values())
    assert_golden(loss, numbers["loss"])


@torch.no_grad()
def test_the_model_of_pixels_gives_the_published_numbers() -> None:
    model = create_pixel_model(
        depths=(1, 1, 2), pyramid_depth=1, decoder_dim=64, decoder_depth=2, decoder_heads=4, **SMALL
    ).eval()
    fill_by_rule(model)
    numbers = stored("itpnpixel_pretrain_tiny")
    images, masked = randn(2, 3, 64, 64), numbers["mask"].bool()
    order = numbers["ids_keep"].argsort(1)  # theirs are in the order that they were drawn in
    for level, stride in zip(model.levels(images, masked), (4, 8, 16), strict=True):
        expected = torch.stack([image[rank] for image, rank in zip(numbers[f"level{stride}"], order, strict=True)])
        if stride == 4:
            level = level.unflatten(2, (2, 2, 2, 2)).transpose(3, 4).flatten(2, 5)
        assert_golden(level, expected.flatten(2, 3))
    predictions = model(images, masked)
    assert_golden(predictions, numbers["pred"])
    assert_golden(pixel_loss(predictions, images, masked), numbers["loss"])
