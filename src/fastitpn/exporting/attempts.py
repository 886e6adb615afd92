"""Ways to quantise a graph, the fastest one first: what loses too much is tried with more of it left in fp32."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.exporting.subject import Subject

Names = Callable[[str], bool]
"""Whether an operation belongs to a part, by the path of its module and its own name, joined by dots."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A way to quantise a graph.

    Attributes:
        kept: Parts that stay in fp32, for people.
        names: Which operations these are.
        static: Whether scales of activations are those of the calibration; else every input has its own, which is
            closer to fp32.
    """

    kept: tuple[str, ...] = ()
    names: tuple[Names, ...] = ()
    static: bool = True

    def keeps(self, name: str) -> bool:
        """Whether an operation of a graph stays in fp32; the two exporters join the parts of names differently."""
        dotted = name.replace("/", ".").lstrip(".")
        return any(has(dotted) for has in self.names)

    def in_words(self) -> str:
        """For people."""
        scales = "" if self.static else " with scales for each input"
        return f"int8{scales}{', ' + ' and '.join(self.kept) + ' in fp32' if self.kept else ''}"


def attempts(format_: ExportFormat, subject: Subject, *, calibrated: bool) -> Iterator[Attempt]:
    """From all of a graph to its middle.

    Args:
        format_: What the graph is in.
        subject: The model.
        calibrated: Whether there are images to take scales from.
    """
    path = next(name for name, module in subject.network.named_modules() if module is subject.backbone)
    trunk = f"network.{path}."
    steps: tuple[tuple[str, Names | None], ...] = (
        ("the head", _outside(trunk) if subject.whole is not None else None),
        ("the pyramid", _under(f"{trunk}pyramid") if subject.backbone.pyramid is not None else None),
        ("the first layer", _under(f"{trunk}patch_embed")),
        ("stages 1 and 2", _under(f"{trunk}stages.0", f"{trunk}stages.1")),
        ("attention", lambda name: ".attn." in name),
    )
    kept: list[str] = []
    names: list[Names] = []
    if calibrated:
        yield Attempt()
        for part, has in steps:
            if has is not None:
                kept, names = [*kept, part], [*names, has]
                yield Attempt(kept=tuple(kept), names=tuple(names))
    if format_.dynamic_int8:
        yield Attempt(static=False)
        yield (
            Attempt(static=False, kept=tuple(kept), names=tuple(names))
            if kept
            else Attempt(static=False, kept=("the head",), names=(_outside(trunk),))
        )


def _outside(trunk: str) -> Names:
    """The head: what is not of the backbone, and the backbone's own classifier."""
    classifier = _under(f"{trunk}head", f"{trunk}fc_norm")
    return lambda name: not name.startswith(trunk) or classifier(name)


def _under(*modules: str) -> Names:
    prefixes = tuple(f"{module}." for module in modules)
    return lambda name: name.startswith(prefixes)
