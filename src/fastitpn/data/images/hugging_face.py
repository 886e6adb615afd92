"""Data sets that Hugging Face's `save_to_disk` wrote."""

from pathlib import Path
from typing import Any

from PIL import Image

from fastitpn.data.images.decode import decode_image, read_image
from fastitpn.data.images.image_source import ImageSource, SourceKind
from fastitpn.data.images.reading import Reading
from fastitpn.data.parts import part_of
from fastitpn.errors import InputError
from fastitpn.listing import matching


class HuggingFaceImages(ImageSource):
    """The images of such a folder; of several splits `train`.

    Args:
        folder: Folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote.

    Raises:
        InputError: The package `datasets` is missing, the folder is damaged, or has no images.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            import datasets
        except ImportError as error:
            raise InputError(
                "this is a Hugging Face data set, and the package to read it is not installed",
                where=folder,
                expected="the package datasets",
                fix="pip install 'fastitpn[datasets]'",
            ) from error
        try:
            images: Any = datasets.load_from_disk(str(folder))
        except MemoryError:
            raise
        except Exception as error:  # of arrow and of the package, each of its own kind
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"this data set cannot be read: {reason}",
                where=folder,
                expected="what save_to_disk wrote",
                fix="write it again",
            ) from error
        if isinstance(images, datasets.DatasetDict):
            images = images[_split_to_train_on(list(images), folder)]
        columns = [name for name, feature in images.features.items() if isinstance(feature, datasets.Image)]
        if not columns or not len(images):
            raise InputError(
                f"no images in this data set; its columns are {', '.join(images.features)}",
                where=folder,
                expected="a column of the type datasets.Image",
                fix='dataset.cast_column("image", datasets.Image()).save_to_disk(...)',
            )
        self._column = columns[0]
        # Undecoded, so that damaged files are reported as everywhere else.
        self._images = images.select_columns(self._column).cast_column(self._column, datasets.Image(decode=False))

    def __len__(self) -> int:
        return len(self._images)

    @property
    def files(self) -> list[Path]:
        """The tables of the data set."""
        return matching(self._folder, "**/*.arrow")

    def name(self, index: int) -> str:
        """The image's row, for messages."""
        return f"row {index}"

    def read(self, index: int, *, min_px: int | None = None, how: Reading | None = None) -> Image.Image:
        """The image in RGB."""
        cell = self._cell(index)
        if cell["bytes"] is None:
            return read_image(cell["path"], min_px=min_px, how=how)
        return decode_image(cell["bytes"], where=self._where(index), min_px=min_px, how=how)

    def content(self, index: int) -> bytes:
        """The bytes in the row, or of the file that it names."""
        cell = self._cell(index)
        return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()

    def _cell(self, index: int) -> Any:
        cell = self._images[int(index)][self._column]
        if cell is None:
            fix = "dataset.filter(...) it out"
            raise InputError("there is no image in this row", where=self._where(index), fix=fix)
        return cell

    def _where(self, index: int) -> str:
        return f"{self._folder}, row {index}, column {self._column}"


def _split_to_train_on(names: list[str], folder: Path) -> str:
    """The split that is named after train; else one that is named after no part."""
    for part in ("train", None):
        if name := next((name for name in names if part_of(name) == part), None):
            return name
    raise InputError(
        f"there is no split train in this data set, but {' and '.join(names)}",
        where=folder,
        expected="images to train on",
        fix=f'dataset["{names[0]}"].save_to_disk(...) and give that folder, to train on these',
    )


def _is_hugging_face(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()


KIND = SourceKind(recognise=_is_hugging_face, open=HuggingFaceImages)
