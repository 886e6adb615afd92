"""What the numbers and colours of masks mean, decided by all masks of a data set together, and said where it is odd."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses
from fastitpn.data.segmentation.mask_files import MaskContent, is_gray, packed
from fastitpn.data.segmentation.masks import MaskReader
from fastitpn.errors import InputError

BINARY = (0, 255)
"""Background and thing, as most programs that draw masks of one thing save them; with 16 bits, 255 is 65535."""
_GRAYS, _SHARE_OF_EDGES = 16, 0.2
"""Numbers between black and white, and their share of the pixels at most, that make smoothed edges."""


def settle(contents: Sequence[MaskContent], classes: SegmentationClasses) -> tuple[MaskReader, list[str]]:
    """How to read the masks of a data set, and what to say of it.

    Args:
        contents: What the masks hold.
        classes: As far as they are known.

    Raises:
        InputError: The masks hold 0 and 255 alone, and nobody says what these are.
    """
    reader, lines = MaskReader.of(classes), []
    colors: Counter[int] = Counter()
    for content in contents:
        colors.update(content.colors)
    if _palettes_differ(contents, classes):
        of_palettes = Counter(color for content in contents for color in content.palette.values())
        if known := _colors(of_palettes, classes, reader):
            reader = replace(reader, palette_as_colors=True, colors=known)
        elif all(map(is_gray, of_palettes)):
            reader = replace(reader, palette_as_colors=True)
        if reader.palette_as_colors:
            lines.append("the palettes of the masks are in different orders: their colours count, not their numbers")
    if known := _colors(colors, classes, reader):
        reader = replace(reader, colors=known)
        lines.append("masks by their colours" + ("" if _given(classes) else ", which are those of Pascal VOC"))
    numbers = _numbers(contents, reader)
    if reader.values or classes.reduce_zero_label or not all(map(is_gray, colors)):
        return reader, lines
    white = max(numbers, default=0)
    if white >= IGNORE and set(numbers) <= {0, white}:
        reader = _binary(reader, classes, white, lines)
    elif not classes.names:
        _check_edges(numbers)
    return reader, lines


def _check_edges(numbers: Counter[int]) -> None:
    """Raises for masks of black and white things whose edges were smoothed: their grays are no classes."""
    between = [number for number in numbers if number not in BINARY]
    share = sum(numbers[number] for number in between) / max(1, numbers.total())
    if len(between) >= _GRAYS and share <= _SHARE_OF_EDGES and all(numbers[number] for number in BINARY):
        raise InputError(
            f"the masks hold 0, 255 and {len(between)} numbers between them in {share:.1%} of the pixels: these are no "
            "classes, but edges that were smoothed when the masks were resized or saved as JPEG",
            expected="masks whose pixels are the numbers of their classes, and names for them",
            fix="save them again without smoothing, such as mask.point(lambda value: 255 * (value > 127)) in Pillow",
        )


def _binary(reader: MaskReader, classes: SegmentationClasses, white: int, lines: list[str]) -> MaskReader:
    if classes.ignore_is_given:
        return reader
    if len(classes.names) == 2:
        first, second = classes.names
        alone = f"the masks hold only 0 and {white}: 0 is {first}, {white} is {second}"
        lines.append(f"{alone}; ignore_index={white} leaves {white} out")
        return replace(reader, values=(0, white))
    if classes.names:
        return reader
    raise InputError(
        f"the masks hold only 0 and {white}"
        + (", and 255 is left out: so they hold fewer than two classes" if white == IGNORE else ""),
        expected="names for both, or the number of each class",
        fix=f"masks.values=0,{white} if {white} is the second class; or name both in classes.yaml: "
        "names: [background, object]",
    )


def _numbers(contents: Sequence[MaskContent], reader: MaskReader) -> Counter[int]:
    """Pixels by number, of masks that hold numbers or gray colours."""
    numbers: Counter[int] = Counter()
    for content in contents:
        counts = content.as_colors() if reader.palette_as_colors and content.palette else content.colors
        if not counts:
            numbers.update(content.numbers)
        elif not reader.colors:
            numbers.update({color & 255: pixels for color, pixels in counts.items() if is_gray(color)})
    return numbers


def _colors(counts: Mapping[int, int], classes: SegmentationClasses, reader: MaskReader) -> dict[int, int]:
    """Label of each colour; nothing if the colours are to be taken for gray numbers, or are not known."""
    if not counts:
        return {}
    given = _given(classes)
    if given and set(counts) <= set(given):
        return given
    if all(map(is_gray, counts)):
        return {}
    of_voc = {packed(voc_color(number)): number for number in range(256)}
    if not given and set(counts) <= set(of_voc):
        labels = {color: reader.label_of(number) for color, number in of_voc.items()}
        return {color: label for color, label in labels.items() if label is not None}
    return given


def _given(classes: SegmentationClasses) -> dict[int, int]:
    """Label of each colour that a file gives to a class, or to no class."""
    labels = {packed(color): IGNORE for color in classes.ignore_colors}
    colors = [packed(color) for color in classes.palette if color is not None and classes.palette.count(color) == 1]
    places = {packed(color): place for place, color in enumerate(classes.palette) if color is not None}
    return labels | {color: places[color] for color in colors}  # one of two classes tells nothing


def _palettes_differ(contents: Sequence[MaskContent], classes: SegmentationClasses) -> bool:
    """Whether a colour has several places in the palettes of masks, or a class of this colour has another number."""
    palettes = [content.palette for content in contents if content.palette]
    if any(len(set(palette.values())) < len(palette) for palette in palettes):
        return False  # whose colours do not tell classes apart
    pairs = {pair for palette in palettes for pair in palette.items()}
    if len({color for _, color in pairs}) < len(pairs):
        return True
    given, first = _given(classes), int(classes.reduce_zero_label)
    known = [(number, given[color]) for number, color in pairs if color in given]
    return 0 < len(known) == len(pairs) and any(label not in (number - first, IGNORE) for number, label in known)


def voc_color(number: int) -> tuple[int, int, int]:
    """The colour of a number in Pascal VOC's palette: its bits, spread over the channels."""
    parts = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            parts[channel] |= (number >> (3 * place + channel) & 1) << (7 - place)
    return parts[0], parts[1], parts[2]
