"""`fastitpn inspect`: what a file of weights holds, and what loading it would do. No code in the file is run."""

import inspect as signatures
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastitpn.console import is_printing, say
from fastitpn.errors import FastITPNError, InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.experts import add_experts
from fastitpn.models.registry import ARCHITECTURES, create_model
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.loading import explain, plan_loading
from fastitpn.models.weights.official_names import is_official
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.pixel_model import create_pixel_model
from fastitpn.reporting.values import printable
from fastitpn.runs.acceleration import trained_acceleration
from fastitpn.tasks.registry import TASKS
from fastitpn.training.setup import check_model

_SHOWN_CLASSES = 8
_HEAD_DIM = 64
_NAMES = {"itpn": "iTPN", "hivit": "HiViT"}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "create_model": create_model,
    "create_pretraining_model": create_pretraining_model,
    "create_pixel_model": create_pixel_model,
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What loading a file into a model would do.

    Attributes:
        model: The call that builds the model.
        ok: Whether `load_weights` would accept it.
        sentence: What would be loaded, skipped, resized, randomly initialised or missing.
        expected: What the model would take in place of a file that does not fit.
    """

    model: str
    ok: bool
    sentence: str
    expected: str = ""

    def __str__(self) -> str:
        return f"{'fits' if self.ok else 'DOES NOT FIT'} {self.model}: {self.sentence}"


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file of weights holds; print it.

    Attributes:
        file: Path of the file that was read.
        what: What it is, in a phrase.
        kind: "pre-training", "classifier" or "trunk".
        published: Whether it has the names of the published files.
        model: Name of the size; None if it has none.
        depths: Blocks of the three stages.
        embed_dim: Channels of the last stage.
        px: Side of the native input; None if it is not square.
        num_tokens: Patches of the position table.
        in_chans: Input channels.
        num_classes: Classes of the head, 0 without one.
        classes: Their names, where the file has them.
        pyramid_dim: Channels of the pyramid; None without one.
        pyramid_hidden: Hidden width of its blocks.
        teacher_dim: Width of the pre-training prediction; None without one.
        dtypes: Number format to number of tensors.
        num_tensors: Tensors in the file.
        num_parameters: Their elements.
        nesting: Key under which the file has them; None if they are at the top.
        prefix: What their names begin with in the file; None if it has their names alone.
        client: Project that the file is from, where its names tell.
        parts: What the file has beside this network, to number of tensors.
        notes: What else there is to say, each a sentence: other networks in the file, objects that were passed over.
        task: In our checkpoints: pretrain, classify or segment.
        step: In our checkpoints: steps of training.
        acceleration: In our checkpoints: what it was trained with, in words.
        verdicts: What loading would do, for each model it is meant for.
        instead: Call of the model that the weights belong to, where they fit none that was asked for.
    """

    file: Path
    what: str
    kind: str
    published: bool
    model: str | None
    depths: tuple[int, int, int]
    embed_dim: int
    px: int | None
    num_tokens: int
    in_chans: int
    num_classes: int
    classes: tuple[str, ...] | None
    pyramid_dim: int | None
    pyramid_hidden: int | None
    teacher_dim: int | None
    dtypes: dict[str, int]
    num_tensors: int
    num_parameters: int
    nesting: str | None
    prefix: str | None
    client: str | None
    parts: dict[str, int]
    notes: tuple[str, ...]
    task: str | None
    step: int | None
    acceleration: str | None
    verdicts: tuple[Verdict, ...]
    instead: str | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Titles and values, as shown."""
        size = f"{self.model or 'no named size'} (blocks {'-'.join(map(str, self.depths))}, width {self.embed_dim})"
        side = f"{self.px} px, " if self.px is not None else ""
        rows = [
            ("file", str(self.file)),
            ("what", self.what),
            ("model", size),
            ("input", f"{side}{self.num_tokens} tokens, {self.in_chans} channels"),
        ]
        if self.num_classes:
            rows.append(("classes", f"{self.num_classes}{self._names()}"))
        if self.pyramid_dim is not None:
            rows.append(("pyramid", f"{self.pyramid_dim} channels, {self.pyramid_hidden} hidden"))
        if self.teacher_dim is not None:
            rows.append(("teacher", f"{self.teacher_dim} channels"))
        if self.acceleration is not None:
            rows.append(("acceleration", self.acceleration))
        formats = ", ".join(name if len(self.dtypes) == 1 else f"{count} {name}" for name, count in self.dtypes.items())
        nesting = f", under {self.nesting!r}" if self.nesting else ""
        prefix = f", prefix {self.prefix!r}" if self.prefix else ""
        rows.append(("tensors", f"{self.num_tensors} ({formats}){nesting}{prefix}"))
        rows.append(("parameters", f"{self.num_parameters:,}"))
        for part, count in self.parts.items():
            rows.append(("not needed", f"{count} tensor{'s' if count > 1 else ''}: {part}"))
        rows += [("note", note) for note in self.notes]
        return [*rows, *(("verdict", str(verdict)) for verdict in self.verdicts)]

    def _names(self) -> str:
        if self.classes is None:
            return ", without names"
        more = ", ..." if len(self.classes) > _SHOWN_CLASSES else ""
        return f": {', '.join(self.classes[:_SHOWN_CLASSES])}{more}"

    def __str__(self) -> str:
        return "\n".join(f"{title:<14}{printable(value)}" for title, value in self.rows())

    def __rich__(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for title, value in self.rows():
            style = "red" if value.startswith("DOES NOT FIT") else "green" if value.startswith("fits ") else ""
            table.add_row(Text(title, "bold"), Text(printable(value), style if title == "verdict" else ""))
        return table


def inspect_and_say(file: str | os.PathLike[str], model: str | None = None, **choice: str | None) -> Inspection:
    """Inspect a file and say what it holds; arguments as of `inspect`.

    Raises:
        InputError: It cannot be read or has no Fast-iTPN weights, or there is no model of that name.
    """
    inspection = inspect(file, model, **choice)
    console = Console()
    if is_printing() and console.is_terminal:
        console.print(inspection)
    else:  # lines for other programs are not wrapped
        say(str(inspection))
    return inspection


def stop_at_misfit(inspection: Inspection, model: str | None) -> None:
    """Raise what ends the command with exit code 1, where a file fits no form of the model that was asked for, or none.

    Raises:
        FastITPNError: It fits none.
    """
    if inspection.verdicts and not any(verdict.ok for verdict in inspection.verdicts):
        expected = inspection.verdicts[-1].expected
        hint = (
            f"; it fits {inspection.instead}" if inspection.instead else f"; expected: {expected}" if expected else ""
        )
        raise FastITPNError(f"{inspection.file} does not fit {model or 'any model'}: see its verdict above{hint}")


def inspect(
    file: str | os.PathLike[str],
    model: str | None = None,
    *,
    key: str | None = None,
    prefix: str | None = None,
    blocks: str | None = None,
) -> Inspection:
    """Say what a file of weights holds.

    Args:
        file: Weights (.pt, .pth, .bin, .ckpt, .safetensors), or a run directory.
        model: Name of the model to compare with; None finds the one that the weights belong to.
        key: Key that the tensors are under, where the file has several networks.
        prefix: What their names begin with, where the file has several networks.
        blocks: Blocks of stage 3 to take, such as "1-6".

    Raises:
        InputError: It cannot be read or has no Fast-iTPN weights, or there is no model of that name.
    """
    weights = read_weights(Path(file).expanduser(), key=key, prefix=prefix, blocks=blocks)
    if model is not None:
        check_model(model.removesuffix("_fpn"))
    verdicts = _verdicts(weights, model)
    fitting = () if any(verdict.ok for verdict in verdicts) else _verdicts(weights, None)
    checkpoint = weights.checkpoint
    classes = checkpoint.get("classes")
    original = {name: weights.tensors[ours] for ours, names in weights.origin.items() for name in names}
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in original.values())
    published = is_official(original)
    return Inspection(
        file=Path(weights.source),
        what=_what(weights, published),
        kind=weights.kind,
        published=published,
        model=weights.model,
        depths=weights.depths,
        embed_dim=weights.embed_dim,
        px=weights.px,
        num_tokens=weights.num_tokens,
        in_chans=weights.in_chans,
        num_classes=weights.num_classes or len(classes or ()),
        classes=None if classes is None else tuple(classes),
        pyramid_dim=weights.pyramid_dim,
        pyramid_hidden=weights.pyramid_hidden,
        teacher_dim=weights.teacher_dim,
        dtypes=dict(dtypes),
        num_tensors=len(original),
        num_parameters=weights.num_parameters,
        nesting=weights.key or None,
        prefix=weights.prefix or None,
        client=weights.client,
        parts=dict(Counter(weights.parts.values())),
        notes=weights.notes,
        task=checkpoint.get("task"),
        step=checkpoint.get("step"),
        acceleration=trained_acceleration(checkpoint, weights.source).describe() if checkpoint else None,
        verdicts=verdicts,
        instead=next((verdict.model for verdict in reversed(fitting) if verdict.ok), None),
    )


def _what(weights: WeightsFile, published: bool) -> str:
    holds = {"pre-training": "pre-training weights", "classifier": "classifier", "trunk": "trunk without a head"}
    what = holds[weights.kind]
    if weights.family == "itpn":
        what += f" of {_NAMES.get((weights.model or '').split('_')[0], 'iTPN or HiViT')}"
    task: Any = weights.checkpoint.get("task")
    if task in TASKS:
        what = TASKS.spec(task).phrase(weights.checkpoint) or what
    if weights.checkpoint:
        step = weights.checkpoint.get("step")
        return f"{what}, a checkpoint of fastitpn (task {task}, step {step})"
    client = f" in a checkpoint of {weights.client}" if weights.client is not None else ""
    return f"{what}{client}, with {'the published names' if published else 'names of fastitpn'}"


def _verdicts(weights: WeightsFile, name: str | None) -> tuple[Verdict, ...]:
    if weights.kind != "pre-training":
        num_classes = {"num_classes": weights.num_classes} if weights.kind == "classifier" else {"num_classes": 0}
        return (_verdict(weights, "create_model", name, num_classes),)
    if (decoder := weights.decoder) is not None:
        return (_verdict(weights, "create_pixel_model", name, decoder), _verdict(weights, "create_model", name, {}))
    teacher = {"teacher_dim": weights.teacher_dim or weights.embed_dim}
    if weights.family == "itpn" and weights.auxiliary_dim is not None:
        teacher["auxiliary_dim"] = weights.auxiliary_dim
    return (
        _verdict(weights, "create_pretraining_model", name, teacher),
        _verdict(weights, "create_model", name, {}),
    )


def _verdict(weights: WeightsFile, function: str, name: str | None, asked: dict[str, Any]) -> Verdict:
    arguments = {**(_arguments(weights, function) if name is None else {}), **asked}
    name = name or weights.model or _nearest_size(weights)
    call = f"{function}({', '.join([repr(name), *(f'{key}={value!r}' for key, value in arguments.items())])})"
    model: Any = _FUNCTIONS[function](name, device="meta", **arguments)
    if getattr(model, "num_attention_blocks", 0) == weights.depths[2]:
        for block, count in weights.experts.items():
            add_experts(model, block, count)
            call += f", then add_experts(model, {block}, {count})"
    try:
        report, _, _ = plan_loading(model, weights)
    except InputError as error:  # another architecture
        return Verdict(model=call, ok=False, sentence=error.what)
    expected = "" if report.ok else explain(weights, report)
    return Verdict(model=call, ok=report.ok, sentence=replace(report, notes=()).verdict, expected=expected)


def _nearest_size(weights: WeightsFile) -> str:
    names = [name for name, architecture in ARCHITECTURES.items() if architecture.family == weights.family]
    return min(names, key=lambda name: abs(ARCHITECTURES[name].embed_dim - weights.embed_dim))


def _arguments(weights: WeightsFile, function: str) -> dict[str, Any]:
    """What builds the model that the weights belong to, without what is the default anyway."""
    defaults = {key: value.default for key, value in signatures.signature(FastITPN).parameters.items()}
    defaults |= vars(ARCHITECTURES[weights.model or _nearest_size(weights)])
    arguments = weights.arguments()
    if defaults["relative_position"] is None:
        defaults["relative_position"] = "off"
    if weights.model is None:
        arguments |= {
            "embed_dim": weights.embed_dim,
            "depths": weights.depths,
            "num_heads": max(1, weights.embed_dim // _HEAD_DIM),
        }
    dim = weights.pyramid_dim
    if dim is not None and weights.pyramid_hidden == int(dim * defaults["pyramid_mlp_ratio"]):
        del arguments["pyramid_mlp_ratio"]
    if weights.family == "itpn" and "position_px" in arguments:  # a published segmentation network's
        arguments |= {"pyramid_pool": "max", "pyramid_joined": True}
    if weights.kind == "pre-training":
        arguments.pop("pyramid", None)  # the pre-training model has one in any case, a classifier needs none
        if function == "create_pixel_model":
            del arguments["relative_position"]  # it has none
        if function == "create_model":
            arguments = {key: value for key, value in arguments.items() if not key.startswith("pyramid")}
    return {key: value for key, value in arguments.items() if value != defaults.get(key)}
