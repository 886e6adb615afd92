"""Images with masks: semantic and panoptic segmentation."""
