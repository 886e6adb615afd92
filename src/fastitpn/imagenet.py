"""How the published models see an image: ImageNet's colours and the evaluation's crop."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue in 0 to 1, which is subtracted."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviations of the same, divided by."""

CROP_ASPECT = (3 / 4, 4 / 3)
"""Least and largest width over height of random crops in training."""


def crop_share(px: int) -> float:
    """Share of the shorter side that an evaluation of `px` px keeps: 0.875 below 384 px, all of it from there on."""
    return 0.875 if px < 384 else 1.0
