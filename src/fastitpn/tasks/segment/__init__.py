"""Semantic segmentation: heads on the pyramid, their losses, inference on images of any size, and figures."""
