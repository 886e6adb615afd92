"""Each detector learns two pictures by heart: the loss falls, and the objects are found."""

import pytest
import torch

from fastitpn.tasks.detect.scores import encode_masks
from fastitpn.tasks.detect.task import score

STEPS = {"mask_rcnn": 60, "faster_rcnn": 60, "cascade_mask_rcnn": 45, "dino": 60, "mask2former": 75, "maskdino": 100}
RATE = 3e-3


def learn(model, images, targets, steps):
    """The losses of all steps."""
    history = []
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.01, fused=True)
    torch.manual_seed(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 10) * (1 - step / steps)
        optimizer.zero_grad()
        losses = model.train().losses(images, targets)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        history.append(losses["loss"].item())
    return history


@pytest.mark.parametrize(("name", "acceleration"), [*((name, "off") for name in STEPS), ("mask_rcnn", "balanced")])
def test_two_pictures_by_heart(create, pictures, classes, name, acceleration):
    images, targets = pictures
    model = create(name, whole_trunk=acceleration != "off")  # of two blocks the tokens leave the first
    model.backbone.set_acceleration(acceleration)
    history = learn(model, images, targets, STEPS[name])
    assert sum(history[-5:]) < 0.5 * sum(history[:5])
    batch = {
        "image": images,
        "image_id": [11, 5],
        "size": [tuple(image.shape[-2:]) for image in images],
        "boxes": [target["boxes"] for target in targets],
        "labels": [target["labels"] for target in targets],
        "crowd": [torch.zeros(2, dtype=torch.bool)] * 2,
        "area": [target["masks"].sum((1, 2)).float() for target in targets],
        "masks": [encode_masks(target["masks"]) for target in targets],
    }
    figures = score([batch], model.eval(), classes).figures()
    assert figures["box_ap50"] > 90
    assert figures["box_ap"] > 60
    assert ("mask_ap" in figures) == model.has_masks
    if model.has_masks:
        assert figures["mask_ap50"] > 90
