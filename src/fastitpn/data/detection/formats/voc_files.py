"""Where Pascal VOC's XML files and their images are, and which part they are of."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.parts import by_part, part_of
from fastitpn.data.text_files import decode, read_text
from fastitpn.listing import children, matching, walk

_KINDS = ("Main", "Segmentation", "Layout", ".")
_IMAGES = ("JPEGImages", "images", "Images", "imgs", "img")
_ANNOTATIONS = ("annotations", "annotation", "xmls", "xml")
_HEAD_BYTES = 4096
_MOST_TRIED = 20


def xml_files(data: Path) -> Iterator[Path]:
    """The XML files in a folder and its sub-folders, hidden ones left out, in alphabetical order."""
    for folder, folders, files in walk(data):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__", "@")))
        yield from (Path(folder, name) for name in sorted(files) if _is_xml(name))


def has_voc_files(data: Path) -> bool:
    """Whether one of the first XML files of a folder is of this format, and not of another tool."""
    return any(_is_voc(file) for file, _ in zip(xml_files(data), range(_MOST_TRIED), strict=False))


def files_by_part(data: Path) -> dict[str, list[Path]]:
    """XML files by the part's name: by the lists of ImageSets, else by folders that are named after a part.

    XML files that a list names may be missing; those that no list names are told. Data sets that lie side by side, as
    VOC2007 and VOC2012 do, count as one.
    """
    below = () if _lists(data) else matching(data, "*/ImageSets", "*/*/ImageSets")
    inside = [folder.parent for folder in below]
    if inside := [folder for folder in inside if _lists(folder)]:
        say(f"taken together: {', '.join(folder.name for folder in inside)}")
        of_folders = [files_by_part(folder) for folder in inside]
        names = dict.fromkeys(name for parts in of_folders for name in parts)
        return {name: [file for parts in of_folders for file in parts.get(name, ())] for name in names}
    files, lists = list(xml_files(data)), _lists(data)
    parts: dict[str, list[Path]] = {}
    if not lists:
        for file in files:
            of_path = map(part_of, file.relative_to(data).parts[:-1])
            parts.setdefault(next(filter(None, of_path), ""), []).append(file)
        return parts
    known = _by_name(files, data)
    for part, list_file in lists.items():
        lines = [line.strip() for line in read_text(list_file).splitlines() if line.strip()]
        listed = [_of_line(line, known, data / "Annotations") for line in lines]
        if part == "test" and not any(file in known.values() for file in listed):
            say(f"none of the {len(lines)} names of {list_file.name} has an XML file: there is no part test")
            continue
        parts[part] = listed
    if unlisted := len(set(files) - {file for listed in parts.values() for file in listed}):
        say(f"{unlisted} XML {'file is' if unlisted == 1 else 'files are'} in no list of ImageSets: not used")
    return parts


@dataclass(kw_only=True)
class ImageFinder:
    """Finds the image of an XML file: by the name of that, else by the name in it.

    Attributes:
        data: Folder of the data set.
        stems: Names of all XML files, without the extension.
        stale: How many files name another image than the one of their own name.
    """

    data: Path
    stems: frozenset[str]
    stale: int = 0
    _folders: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)
    _places: dict[Path, NamedFiles] = field(default_factory=dict)

    def find(self, file: Path, named: str) -> Path:
        """The image of an XML file, which is not there if neither name leads to one.

        Args:
            file: The XML file.
            named: Name of the image in it; may be empty.
        """
        named = named.replace("\\", "/")
        name = nfc(named.rsplit("/", 1)[-1])
        if file.parent not in self._places:
            self._places[file.parent] = NamedFiles(self._candidates(file.parent))
        places = self._places[file.parent]
        for folder in places.folders:
            if paths := self._images(folder).get(nfc(file.stem)):
                path = next((path for path in paths if nfc(path.name) == name), paths[0])
                self.stale += nfc(path.stem) not in (name, Path(name).stem) and bool(name)
                return path
        by_name = places.find(named) if named else None
        if by_name is None:
            return (places.folders[1:] or places.folders)[0] / (named or f"{file.stem}.jpg")
        # an image that has an XML file of its own is not that of another
        others = by_name.stem != file.stem and by_name.stem in self.stems
        return by_name.with_name(f"{file.stem}{by_name.suffix}") if others else by_name

    def lines(self) -> Iterator[str]:
        """What to say of images that were found by other names than are written."""
        if self.stale:
            yield f"{self.stale} XML files name another image than that of their file name, which is used"
        yield from filter(None, (places.line() for places in self._places.values()))

    def images_without_files(self) -> int:
        """How many images are in the folders that were looked in, and have no XML file."""
        return sum(
            path.suffix.lower() in EXTENSIONS and path.stem not in self.stems and path.name not in self.stems
            for by_name in self._folders.values()
            for path in {path for paths in by_name.values() for path in paths}
        )

    def _candidates(self, folder: Path) -> list[Path]:
        """Where images of a folder's XML files may be: in it, in those called images with its sub-folders, or above."""
        bases = [base for base in (folder, *folder.parents) if base.is_relative_to(self.data)]
        above = [self.data.parent] if self.data.name.lower() in _ANNOTATIONS else []
        called = [
            place
            for base in (*bases, *above)
            for name in _IMAGES
            for place in (base.joinpath(name, *folder.relative_to(base).parts[1:]), base / name)
        ]
        return list(dict.fromkeys([folder, *filter(Path.is_dir, called), *bases]))

    def _images(self, folder: Path) -> dict[str, list[Path]]:
        """The images of a folder by their names, with and without the extension."""
        if folder not in self._folders:
            by_name: dict[str, list[Path]] = {}
            for path in sorted(children(folder)):
                if path.suffix.lower() in EXTENSIONS and not path.name.startswith("."):
                    for name in (nfc(path.stem), nfc(path.name)):
                        by_name.setdefault(name, []).append(path)
            self._folders[folder] = by_name
        return self._folders[folder]


def _lists(data: Path) -> dict[str, Path]:
    """The lists of the parts; trainval is the part train where there is no other."""
    for kind in _KINDS:
        files = matching(data / "ImageSets" / kind, "*.txt")
        lists = by_part(files, where=data / "ImageSets" / kind)
        both = [file for file in files if file.stem.lower() == "trainval"]
        if both and "train" not in lists:
            lists = {"train": both[0], **{part: file for part, file in lists.items() if part != "val"}}
        if lists:
            return lists
    return {}


def _by_name(files: Sequence[Path], data: Path) -> dict[str, Path]:
    """XML files by their paths from Annotations on, without the extension; by name alone where no other has it."""
    counts = Counter(file.stem for file in files)
    by_path = {Path(*file.relative_to(data).parts[1:]).with_suffix("").as_posix(): file for file in files}
    return {file.stem: file for file in files if counts[file.stem] == 1} | by_path


def _of_line(line: str, known: Mapping[str, Path], annotations: Path) -> Path:
    """The XML file of a line of a list: a name, perhaps with an extension, or with 1, 0 or -1 behind it."""
    line = line.replace("\\", "/")
    first, _, rest = line.partition("/")
    line = rest if first in (*_IMAGES, annotations.name) else line
    names = (line, *line.rsplit(maxsplit=1)[:1], line.rsplit(".", 1)[0])
    name = next((name for name in names if name in known), names[1])
    return known.get(name, annotations / f"{name}.xml")


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml") and not name.startswith(".")


def _is_voc(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        text = head if b"<annotation" in head else decode(head)[0].encode()
    except (OSError, UnicodeError):
        return False
    return any(text.find(b"<annotation" + end) >= 0 for end in (b">", b" ", b"\n", b"\r", b"\t", b"/"))
