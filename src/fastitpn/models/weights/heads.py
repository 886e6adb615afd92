"""Published weights of heads, such as DINO's: into a network that knows their names, with or without their trunk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.models.weights.reading import read_content
from fastitpn.models.weights.report import LoadReport

Names = Mapping[str, tuple[str, ...]]
"""Parameters of a network, by the names that a published file has for each: a shared one has several."""
_KEYS = ("model", "state_dict", "module")
_PREFIX = "module."
TRUNK = "patch_embed.proj.weight"
"""How the name of a tensor ends that a file with a Fast-iTPN inside has."""
_MARKS = ("label_enc.weight", "sem_seg_head.predictor.label_enc.weight")
"""Names of a tensor that every published head has."""
_INPUT = "input_proj."


@dataclass(frozen=True, kw_only=True)
class HeadWeights:
    """The head of a published file.

    Attributes:
        source: Where it is from, for messages.
        tensors: Tensors of the head, by published name.
        rest: All others.
    """

    source: str
    tensors: dict[str, Tensor]
    rest: dict[str, Tensor]

    @property
    def has_trunk(self) -> bool:
        """Whether there is a Fast-iTPN beside the head."""
        return any(name.endswith(TRUNK) for name in self.rest)


def has_head(source: Path, key: str | None = None) -> bool:
    """Whether a file has a published head, of whatever network.

    Raises:
        InputError: It cannot be read.
    """
    return read_head(source, {"": _MARKS}, key) is not None


def read_head(source: str | Path | Mapping[str, Any], names: Names, key: str | None = None) -> HeadWeights | None:
    """Find a published head.

    Args:
        source: File or state dict, perhaps nested.
        names: Those of the head that is looked for.
        key: Key that the tensors are under, where a file has several networks.

    Returns:
        None if nothing in it has such names.

    Raises:
        InputError: The file cannot be read.
    """
    if isinstance(source, (str, Path)):
        if not Path(source).is_file():
            return None  # a run directory, or nothing: said elsewhere
        content: Mapping[str, Any] = read_content(Path(source)).value
    else:
        content = source
    wanted = {published for several in names.values() for published in several}
    for inside in [content.get(key)] if key else [content, *(content.get(name) for name in _KEYS)]:
        if not isinstance(inside, Mapping):
            continue
        tensors = {str(k).removeprefix(_PREFIX): v for k, v in inside.items() if isinstance(v, Tensor)}
        if wanted & tensors.keys():
            head = {name: tensor for name, tensor in tensors.items() if name in wanted}
            rest = {name: tensor for name, tensor in tensors.items() if name not in wanted}
            where = "the given state dict" if content is source else str(source)
            return HeadWeights(source=where, tensors=head, rest=rest)
    return None


def published_state(model: nn.Module) -> dict[str, Tensor]:
    """Tensors of a network's head under their published names, which the published code would load.

    Args:
        model: With `published_names`.
    """
    named: Any = model
    parameters = dict(model.named_parameters())
    return {
        published: parameters[name].detach()
        for name, several in named.published_names().items()
        for published in several
    }


def load_head(
    model: nn.Module,
    head: HeadWeights,
    *,
    strict: bool,
    load_trunk: Callable[[Mapping[str, Tensor]], LoadReport],
    start_fresh: tuple[str, ...] = (),
) -> LoadReport:
    """Fill the head of a network, and its trunk if there is a Fast-iTPN beside the head.

    Args:
        model: With `published_names`, and `class_layers`: how the names of those parameters begin that depend on the
            classes.
        head: What was read.
        strict: Raise unless all of it fits. Then nothing in the model has changed.
        load_trunk: Loads the tensors beside the head into the trunk.
        start_fresh: How the names of those parameters begin that may start fresh where the file has others, such as
            for other classes. With any, the published input layer is not loaded where the model has another.

    Raises:
        InputError: It does not fit.
    """
    named: Any = model
    names: Names = named.published_names()
    parameters = dict(model.named_parameters())
    values, mismatched = _values(head, names, {name: parameters[name].shape for name in names})
    missing = [name for name in names if name not in values]
    fresh = [name for name in missing if name.startswith(start_fresh)] if start_fresh else []
    if strict and (wrong := [name for name in missing if name not in fresh]):
        _refuse(head, names, mismatched, wrong, named.class_layers)
    of_fresh = {published for name in fresh for published in names[name]} & head.tensors.keys()
    aside = dict.fromkeys(of_fresh, "for other classes, or for the maps of another backbone")
    if start_fresh:
        inputs = [name for name in head.rest if name.startswith(_INPUT)]
        aside |= dict.fromkeys(inputs, "the published input, which this model has none of")
        rest = {name: tensor for name, tensor in head.rest.items() if name not in aside}
        head = replace(head, rest=rest)
    if head.has_trunk:
        trunk = _of_network(load_trunk(head.rest))
    else:
        trunk = _no_trunk(head, [name for name in parameters if name not in names])
    if strict and trunk.unexpected:
        raise InputError(
            f"the model has no place for {', '.join(trunk.unexpected[:3])}",
            where=head.source,
            expected="a model with all parts of the head, such as the published neck",
            fix="neck='published', or load_weights(..., strict=False) for the part that fits",
        )
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
    used = {published for name in values for published in names[name]} & head.tensors.keys()
    sizes = {name: tensor.numel() for name, tensor in {**head.rest, **head.tensors}.items()}
    num_inputs = len(aside.keys() - head.tensors.keys())
    of_trunk = trunk.share * sum(sizes[name] for name in head.rest)
    return replace(
        trunk,
        loaded=[*trunk.loaded, *values],
        missing=[*trunk.missing, *missing],
        mismatched={**trunk.mismatched, **{k: v for k, v in mismatched.items() if k not in aside}},
        fresh=[*trunk.fresh, *fresh],
        set_aside={**trunk.set_aside, **aside},
        num_tensors=trunk.num_tensors + len(head.tensors) + num_inputs,
        num_loaded=trunk.num_loaded + len(used),
        share=(of_trunk + sum(sizes[name] for name in used)) / sum(sizes.values()),
    )


def _values(
    head: HeadWeights, names: Names, shapes: Mapping[str, torch.Size]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Parameter to its tensor; and tensors of another shape to what that is."""
    values: dict[str, Tensor] = {}
    mismatched: dict[str, str] = {}
    for name, several in names.items():
        present = [published for published in several if published in head.tensors]
        if not present:
            continue
        tensor = head.tensors[present[0]]
        different = [published for published in present if not torch.equal(head.tensors[published], tensor)]
        if different:
            raise InputError(
                f"{different[0]} is not the same as {present[0]}",
                where=head.source,
                expected="a head that all layers of the decoder share, as published",
            )
        if tensor.shape == shapes[name]:
            values[name] = tensor
        else:
            mismatched[present[0]] = f"{list(tensor.shape)} in the file, {list(shapes[name])} in the model"
    return values, mismatched


def _refuse(
    head: HeadWeights, names: Names, mismatched: Mapping[str, str], missing: list[str], class_layers: tuple[str, ...]
) -> None:
    """Raise: say what of a head does not fit."""
    absent = [names[name][0] for name in missing if not mismatched.keys() & set(names[name])]
    wrong = [f"{name} is {shapes}" for name, shapes in mismatched.items()] + [f"{name} is not there" for name in absent]
    of_classes = all(name.startswith(class_layers) for name in missing) and not absent
    more = f", and {len(wrong) - 2} more" if len(wrong) > 2 else ""
    raise InputError(
        f"the head is for {'other classes' if of_classes else 'a model of other sizes'}: {'; '.join(wrong[:2])}{more}",
        where=head.source,
        expected="a model for as many classes" if of_classes else "a model that has the head's sizes",
        fix="load_weights(..., strict=False) loads the part that fits, and initialises the rest randomly",
    )


def _of_network(trunk: LoadReport) -> LoadReport:
    """The report of a trunk, with the names that its parameters have in the network."""
    return replace(
        trunk,
        loaded=[f"{BACKBONE}{name}" for name in trunk.loaded],
        missing=[f"{BACKBONE}{name}" for name in trunk.missing],
        fresh=[f"{BACKBONE}{name}" for name in trunk.fresh],
    )


def _no_trunk(head: HeadWeights, parameters: list[str]) -> LoadReport:
    """What becomes of a file that has a head and no Fast-iTPN."""
    reasons = {"backbone": "another backbone", "criterion": "weights of its loss"}
    aside = {name: reason for name in head.rest if (reason := reasons.get(name.split(".")[0]))}
    return LoadReport(
        loaded=[],
        missing=parameters,
        unexpected=[name for name in head.rest if name not in aside],
        set_aside=aside,
        resized={},
        mismatched={},
        fresh=parameters,
        num_tensors=len(head.rest),
        num_loaded=0,
        share=0.0,
        notes=("the file has only a head: trunk and pyramid keep their values",),
    )
