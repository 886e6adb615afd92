"""MaskDINO (Li et al., 2023): one network for boxes, instances, segments and classes of pixels; two tasks have it."""
