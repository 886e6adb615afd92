"""What `doctor` finds in a data set of images without labels."""

from fastitpn.data.images.folders import list_images, part_folders
from fastitpn.data.images.lists import read_list
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Entry


def diagnose(config: DoctorConfig) -> DataSet:
    """Every image; any data has some.

    Raises:
        InputError: There are no images.
    """
    entries = [
        Entry(path=path, part=part)
        for part, place in part_folders(config.data, config.val).items()
        for path in (read_list(place) if place.is_file() else list_images(place))
    ]
    return DataSet(form="images", entries=entries)
