"""What detectors and segmentation heads of DETR's kind share: queries that look at feature maps and are matched."""
