"""What `doctor` finds in a data set of images without labels."""

from fastitpn.data.images.folders import image_parts, list_images, read_images
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry


def diagnose(config: DoctorConfig) -> DataSet:
    """Every image; any data has some.

    Raises:
        InputError: There are no images.
    """
    parts = image_parts(config.data)
    if config.val is not None:
        parts = {"train": parts.get("train", config.data), "val": config.val}
    entries = [
        Entry(path=path, part=part)
        for part, place in parts.items()
        for path in (read_images(place) if place.is_file() else list_images(place))
    ]
    return DataSet(form="images", entries=entries)
