"""Semantic and panoptic segmentation: heads on the pyramid, losses, inference on images of any size, figures."""
