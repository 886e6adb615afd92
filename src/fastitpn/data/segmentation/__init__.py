"""Images with masks: semantic and panoptic segmentation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"images": ["MaskFolders", "MaskedImages", "segmentation_images", "segmentation_split"]}
)
