"""Opens a model with PyTorch."""

import torch


def open_model(path):
    """A function from images to the model's outputs."""
    model = torch.jit.load(path, map_location="cpu")
    return lambda images: [output.numpy() for output in model(torch.from_numpy(images))]
