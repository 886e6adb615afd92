"""Detection and instance segmentation: detectors on the pyramid, their losses, and COCO's figures."""
