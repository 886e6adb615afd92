"""The parts a report is made of. Plain data: `report` writes them as HTML, `tables` prints a `Table` on a console."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL.Image import Image

from fastitpn.reporting.pictures import Item


@dataclass(frozen=True)
class Table:
    """Rows under named columns; in the report a click on a column's head sorts by it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    """Strings, numbers, bools or None, one per column."""
    caption: str = ""
    bars: Sequence[str] = ()
    """Columns of values in [0, 1] that the report also draws as a bar."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table '{self.title}': row of {len(row)} cells under {len(self.columns)} columns")
        for name in self.bars:
            if name not in self.columns:
                raise ValueError(f"table '{self.title}': no column '{name}' to draw as bars")


@dataclass(frozen=True)
class Picture:
    """An image, or a drawing from `charts`."""

    title: str
    image: Image | str
    """A PIL image, or the text of one `<svg>` element (trusted: it enters the page as it is)."""
    caption: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.image, str) and not self.image.lstrip().startswith("<svg"):
            raise ValueError(f"picture '{self.title}': a string must be one <svg> element, not {self.image[:40]!r}")


@dataclass(frozen=True)
class Chart:
    """A drawing of numbers, which also lie beside the page: `charts/NAME.png` and `charts/NAME.csv`."""

    title: str
    name: str
    """Of its files, without a suffix."""
    draw: Callable[[], Figure]
    """Makes the figure, inside of `drawing_style`."""
    numbers: Table
    """What is drawn, for the CSV file."""
    caption: str = ""


@dataclass(frozen=True)
class Grid:
    """Several pictures side by side, below each other on a phone."""

    title: str
    pictures: Sequence[Picture]
    caption: str = ""


@dataclass(frozen=True)
class Gallery:
    """Many small images with captions, and marks for right and wrong, that flow with the width of the page."""

    title: str
    items: Sequence[Item]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values, e.g. the environment."""

    title: str
    facts: Mapping[str, object]
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """Prose; an empty line starts a new paragraph."""

    title: str
    text: str


@dataclass(frozen=True)
class Code:
    """Text in a fixed-width font, e.g. the configuration as YAML."""

    title: str
    text: str
    caption: str = ""


Section = Table | Picture | Chart | Grid | Gallery | Facts | Text | Code
