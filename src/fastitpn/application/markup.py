"""The parts of the page that are text: what was found, how long it took, and what happened to the tokens."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from matplotlib.colors import to_hex
from PIL import Image

from fastitpn.application.answers import Answer
from fastitpn.application.timing import Timing
from fastitpn.errors import InputError
from fastitpn.inference.drawing import Share
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.reporting.panels import HEAT, Legend, Panel
from fastitpn.reporting.values import format_value, printable

_MOST_SHARES = 10
_QUALITY = 90
_STOPS = 8

STYLE = """
.gradio-container {width: 100% !important; max-width: 1180px !important; margin: 0 auto !important}
.ft-head h1 {font-size: 1.45rem; font-weight: 650; margin: .2rem 0 .5rem; overflow-wrap: anywhere}
.ft-chips {display: flex; flex-wrap: wrap; gap: .4rem}
.ft-chips span {border: 1px solid var(--border-color-primary); border-radius: 999px; padding: .1rem .7rem;
  font-size: .82rem; color: var(--body-text-color-subdued)}
.ft-time {display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; align-items: baseline; margin-bottom: .9rem}
.ft-time b {font-size: 1.7rem; font-weight: 650; font-variant-numeric: tabular-nums}
.ft-time small, .ft-note {color: var(--body-text-color-subdued); font-size: .82rem}
.ft-share {margin: .45rem 0}
.ft-share div {display: flex; justify-content: space-between; gap: 1rem; font-size: .92rem}
.ft-share div span:first-child {overflow-wrap: anywhere}
.ft-share div span:last-child {font-variant-numeric: tabular-nums; color: var(--body-text-color-subdued)}
.ft-bar {height: 6px; border-radius: 3px; background: var(--border-color-primary); overflow: hidden}
.ft-bar i {display: block; height: 100%; border-radius: 3px}
.ft-grid {display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 1rem}
.ft-grid figure {margin: 0}
.ft-grid img {width: 100%; border-radius: 6px; display: block}
.ft-grid figcaption {font-size: .86rem; padding-top: .4rem}
.ft-grid figcaption strong {display: block; font-weight: 600}
.ft-grid figcaption span {display: block; color: var(--body-text-color-subdued)}
.ft-chip {display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .45em}
.ft-scale {height: 8px; border-radius: 4px; margin: .3rem 0 .1rem; position: relative}
.ft-scale i {position: absolute; top: -2px; bottom: -2px; border-left: 2px solid var(--body-text-color)}
.ft-ends {display: flex !important; justify-content: space-between}
.ft-ends i {font-style: normal}
.ft-error {border-left: 4px solid #d64545; padding: .5rem .9rem; background: var(--background-fill-secondary);
  overflow-wrap: anywhere}
.ft-empty {color: var(--body-text-color-subdued); padding: 1.2rem 0; text-align: center}
"""


def head(title: str, facts: Iterable[str]) -> str:
    """The top of the page."""
    chips = "".join(f"<span>{_text(fact)}</span>" for fact in facts)
    return f'<div class="ft-head"><h1>{_text(title)}</h1><div class="ft-chips">{chips}</div></div>'


def empty(text: str) -> str:
    """Where there is nothing yet."""
    return f'<div class="ft-empty">{_text(text)}</div>'


def problem(error: InputError) -> str:
    """What is wrong, and what would be right. Not where: that is a copy of the image in a folder of the page."""
    expected = f"<br><small>expected: {_text(error.expected)}</small>" if error.expected else ""
    return f'<div class="ft-error" role="alert">{_text(error.what)}{expected}</div>'


def summary(answer: Answer) -> str:
    """How long it took, and what was found, but for the picture."""
    shares = answer.shown.shares
    more = len(shares) - _MOST_SHARES
    lines = "".join(map(_share, shares[:_MOST_SHARES]))
    rest = f'<div class="ft-note">and {more} more</div>' if more > 0 else ""
    nothing = empty("no detections") if not shares and "things" in answer.shown.found else ""
    features = grid(answer.shown.panels) if answer.shown.panels else ""
    return _time(answer.timing, answer.acceleration) + lines + rest + nothing + features


def tokens(panels: Sequence[Panel], acceleration: Acceleration) -> str:
    """The pictures of the tokens side by side, below each other on a phone."""
    if not panels:
        why = (
            "All tokens stay with acceleration off." if acceleration.off else "Nothing happens to tokens at this size."
        )
        return empty(why)
    return grid(panels)


def grid(panels: Sequence[Panel]) -> str:
    """Pictures side by side, as many as there is room for."""
    return f'<div class="ft-grid">{"".join(map(_figure, panels))}</div>'


def _time(timing: Timing, acceleration: Acceleration) -> str:
    present = f"<span><b>{format_value(timing.ms)} ms</b> <small>a prediction</small></span>"
    if acceleration.off:
        return f'<div class="ft-time">{present}<span class="ft-note">the plain model</span></div>'
    ratio = f"<span><b>{timing.ratio:.2f}x</b> <small>of the plain model's speed</small></span>"
    note = f"plain: {format_value(timing.plain_ms)} ms; medians of {timing.rounds} in turn, reading not counted"
    return f'<div class="ft-time">{present}{ratio}<span class="ft-note">{note}</span></div>'


def _share(share: Share) -> str:
    return (
        f'<div class="ft-share"><div><span>{_text(share.name)}</span><span>{100 * share.share:.1f} %</span></div>'
        f'<div class="ft-bar"><i style="width:{100 * share.share:.1f}%;background:{_hex(share.color)}"></i></div></div>'
    )


def _figure(panel: Panel) -> str:
    lines = "".join(map(_legend, panel.legend))
    if panel.scale is not None:
        stops = ",".join(to_hex(HEAT(place / (_STOPS - 1))) for place in range(_STOPS))
        mark = "" if panel.scale.mark is None else f'<i style="left:{100 * panel.scale.mark:.1f}%"></i>'
        lines += f'<div class="ft-scale" style="background:linear-gradient(90deg,{stops})">{mark}</div>'
        lines += f'<span class="ft-ends"><i>{_text(panel.scale.low)}</i><i>{_text(panel.scale.high)}</i></span>'
    title = _text(panel.title)
    return (
        f'<figure><img alt="{title}" src="{_data_url(panel.image)}">'
        f"<figcaption><strong>{title}</strong>{lines}</figcaption></figure>"
    )


def _legend(legend: Legend) -> str:
    chip = f'<i class="ft-chip" style="background:{_hex(legend.colour)}"></i>' if legend.colour else ""
    return f"<span>{chip}{_text(legend.text)}</span>"


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _text(text: str) -> str:
    return escape(printable(text))
