"""What a set of weights of this family is: names, sizes, and the arguments of its model, read off the tensors."""

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.weights.blocks import cut, range_of
from fastitpn.models.weights.choice import LEAD, Candidate, Choice, choose
from fastitpn.models.weights.clients import name_client, split_client
from fastitpn.models.weights.itpn_names import is_itpn, relative_side
from fastitpn.models.weights.locating import locate
from fastitpn.models.weights.numbers import check_format, check_numbers, check_storage
from fastitpn.models.weights.official_names import BACKBONE, from_official_names, is_official
from fastitpn.models.weights.reading import read_content, refusal

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
FORMAT = "fastitpn-1"
"""Value of "format" in our own checkpoints."""
_EXPERTS = re.compile(r"stages\.2\.blocks\.(\d+)\.mlp\.slots\.weight")
PRETRAINING_ONLY = (
    "mask_token",
    "merge16.",
    "merge8.",
    "merge4.",
    "predictor.",
    "predictor_hidden.",
    "level_predictors.",
    "trunk_predictor.",
    "auxiliary.",
    "patch_decoder.",
)
LEARNED_BY_ACCELERATION = ("scorers.", "gathering_tokens.")
"""Parts that only some accelerations have: other weights start without them, and other models leave them out."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A set of weights of Fast-iTPN, iTPN or HiViT under our names, and what can be read off their shapes.

    Attributes:
        source: Where they came from, for messages.
        tensors: Name (ours) to tensor (our layout).
        origin: Name (ours) to the names in the file it was made of.
        kind: "pre-training", "classifier" or "trunk".
        model: `fastitpn_base`, ...; None for a size that has no name. Its stage 3 may be longer, where not all blocks
            were taken.
        depths: Blocks of the three stages.
        checkpoint: Everything else in one of our own checkpoints (task, classes, ...), else empty.
        key: Key in the file that the tensors were under; "" for none.
        prefix: What their names began with there.
        parts: Tensor of the file that is not of this trunk to what it is: a part of a larger network, or left out.
        client: Project that the file is from; None for no known one.
        client_tensors: What this client keeps among the trunk's tensors, by its names there: token types, position
            tables, temporal tokens; `pos_embed_template` is the template's part of a table for both images.
        notes: What else there is to say about the file, each a sentence.
    """

    source: str
    tensors: Mapping[str, Tensor]
    origin: Mapping[str, tuple[str, ...]]
    kind: str
    model: str | None
    depths: tuple[int, int, int]
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    prefix: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    client: str | None = None
    client_tensors: Mapping[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def has_backbone(self) -> bool:
        """Whether trunk and pyramid are a part of a larger network."""
        return any(names[0].startswith(BACKBONE) for names in self.origin.values())

    @property
    def family(self) -> str:
        """Which `Architecture.family`."""
        return "itpn" if is_itpn(self.tensors) else "fastitpn"

    @property
    def size(self) -> str | None:
        """Name of the model that `arguments` change: `model`, else one as wide, whose depths they change."""
        same = (n for n, a in ARCHITECTURES.items() if (a.family, a.embed_dim) == (self.family, self.embed_dim))
        return self.model or next(same, None)

    @property
    def embed_dim(self) -> int:
        """Channels of stage 3."""
        return self.tensors["stages.2.merge.reduction.weight"].shape[0]

    @property
    def in_chans(self) -> int:
        """Input channels."""
        return self.tensors["patch_embed.proj.weight"].shape[1]

    @property
    def image_channels(self) -> int:
        """Channels of an image: half of `in_chans` in a tracker whose first kernel is for two."""
        return 3 if self.client is not None and self.in_chans == 6 else self.in_chans

    @property
    def num_tokens(self) -> int:
        """Patches of the position table, without a class token."""
        return self.tensors["pos_embed"].shape[1] - int("cls_token" in self.tensors)

    @property
    def position_side(self) -> int | None:
        """Patches along a side of the position table; None if it is not square."""
        side = round(self.num_tokens**0.5)
        return side if side * side == self.num_tokens else None

    @property
    def px(self) -> int | None:
        """Side of the native (square) input; None if the tables are not square."""
        side = relative_side(self.tensors) or self.position_side
        return None if side is None else side * 16

    @property
    def num_classes(self) -> int:
        """Classes of the head, 0 without one."""
        return self.tensors["head.weight"].shape[0] if "head.weight" in self.tensors else 0

    @property
    def teacher_dim(self) -> int | None:
        """Width of the pre-training prediction."""
        return self.tensors["predictor.weight"].shape[0] if "predictor.weight" in self.tensors else None

    @property
    def auxiliary_dim(self) -> int | None:
        """Width of the second pre-training prediction; None without one."""
        weight = self.tensors.get("auxiliary.predictor.proj.weight")
        return None if weight is None else weight.shape[0]

    @property
    def decoder(self) -> dict[str, int] | None:
        """Arguments of the decoder of a pre-training on pixels, whose number of heads no tensor tells; else None."""
        if "patch_decoder.predictor.weight" not in self.tensors:
            return None
        out_dim, dim = self.tensors["patch_decoder.predictor.weight"].shape
        depth = _count(r"patch_decoder\.blocks\.(\d+)\.", self.tensors)
        return {"decoder_dim": dim, "decoder_depth": depth, "out_dim": out_dim}

    @property
    def pyramid_dim(self) -> int | None:
        """Channels of the pyramid (published: fpn_dim); None without one."""
        weight = self.tensors.get("pyramid.output16.norm.weight")
        return None if weight is None else weight.shape[0]

    @property
    def pyramid_hidden(self) -> int | None:
        """Hidden width of the pyramid's blocks."""
        weight = self.tensors.get("pyramid.output16.mlp.fc1.weight")
        return None if weight is None else weight.shape[0]

    @property
    def pyramid_depth(self) -> int:
        """Refining blocks of each of its levels."""
        return _count(r"pyramid\.refine8\.(\d+)\.", self.tensors)

    @property
    def experts(self) -> dict[int, int]:
        """Block of stage 3, 1 being the first, to its number of experts (`experts.SoftExperts`)."""
        matches = ((_EXPERTS.fullmatch(name), tensor) for name, tensor in self.tensors.items())
        return {int(match[1]) + 1: slots.shape[0] // slots.shape[1] for match, slots in matches if match}

    @property
    def num_parameters(self) -> int:
        """Elements of all tensors."""
        return sum(t.numel() for t in self.tensors.values())

    def arguments(self) -> dict[str, Any]:
        """Arguments of `FastITPN` that build the trunk (and pyramid) these weights belong to."""
        block = "stages.2.blocks.0"
        has = self.tensors.__contains__
        arguments: dict[str, Any] = {"in_chans": self.in_chans}
        if self.size is not None and self.depths != ARCHITECTURES[self.size].depths:
            arguments["depths"] = self.depths
        if self.px is not None:
            arguments["img_size"] = self.px
        if not has(f"{block}.gamma_1"):
            arguments["init_values"] = 0.0  # timm drops arguments that are None
        if has("cls_token"):
            arguments["class_token"] = True
        if has("registers"):
            arguments["num_registers"] = self.tensors["registers"].shape[1]
        if not (has(f"{block}.attn.q_bias") or has(f"{block}.attn.qkv.bias")):
            arguments["qkv_bias"] = False
        if not has(f"{block}.mlp.norm.weight"):
            arguments["sub_norm"] = False
        if not has(f"{block}.mlp.gate.weight"):
            arguments["swiglu"] = False
        if self.family == "itpn":
            arguments |= self._itpn_arguments()
        if self.kind != "pre-training" and has("norm.weight"):
            arguments["fc_norm"] = False
        for kind, table in (("own", f"{block}.attn."), ("shared", ""), ("shared_decoupled", "")):
            leaf = "table_high" if kind == "shared_decoupled" else "table"
            if has(f"{table}rel_pos_bias.{leaf}"):
                arguments["relative_position"] = kind
        if self.pyramid_dim is not None and self.pyramid_hidden is not None:
            arguments["pyramid"] = True
            arguments["pyramid_dim"] = self.pyramid_dim
            arguments["pyramid_depth"] = self.pyramid_depth
            arguments["pyramid_mlp_ratio"] = (self.pyramid_hidden + 0.5) / self.pyramid_dim
        if has("scorers.0.queries"):
            count = _count(r"scorers\.(\d+)\.", self.tensors)
            queries, outputs = (self.tensors[f"scorers.0.{name}"].shape[0] for name in ("queries", "head.weight"))
            arguments["scorers"] = (count, queries, outputs)
        if has("gathering_tokens.values"):
            arguments["gathering_tokens"] = self.tensors["gathering_tokens.values"].shape[0]
        return arguments

    def _itpn_arguments(self) -> dict[str, Any]:
        """What is particular to iTPN and HiViT."""
        block = "stages.2.blocks.0"
        arguments: dict[str, Any] = {
            "init_values": 0.1 if f"{block}.gamma_1" in self.tensors else 0.0,
            "position_resize": ARCHITECTURES[self.size or "itpn_base"].position_resize,
            "relative_position": "off",
        }
        if (hidden := self.tensors.get(f"{block}.mlp.fc1.weight")) is not None:
            arguments["mlp_ratio"] = hidden.shape[0] / self.embed_dim
        decomposed = f"{block}.attn.rel_pos_bias.table_high" in self.tensors
        if decomposed:
            arguments["relative_position"] = "decomposed"
        side = self.position_side
        if side is not None and self.px is not None and side * 16 != self.px:
            arguments["position_px"] = side * 16
        if decomposed or "position_px" in arguments:  # of a detector, or of a segmentation network
            arguments["norm_eps"] = 1e-5
        return arguments


def read_weights(
    source: str | Path | Mapping[str, Any],
    *,
    key: str | None = None,
    prefix: str | None = None,
    blocks: str | None = None,
) -> WeightsFile:
    """Read weights from a file, one of our run directories or a state dict.

    Args:
        source: .pt, .pth, .bin, .ckpt or .safetensors, also in several files with an index; a run directory;
            "published:NAME" of a file that `fastitpn weights get` fetched; or a (nested) state dict.
        key: Key that the tensors are under, such as "model_ema", where the file has several networks.
        prefix: What their names begin with, such as "backbone".
        blocks: Blocks of stage 3 to take, such as "1-6", counted from 1; None takes all.

    Returns:
        The weights under our names.

    Raises:
        InputError: No such file, not readable, not Fast-iTPN weights, or nothing says which of several networks.
    """
    passed_over: tuple[str, ...] = ()
    if isinstance(source, (str, Path)):
        path = locate(Path(source))
        content, name = read_content(path), str(path)
        contained, passed_over = content.value, content.passed_over
    else:
        contained, name = source, "the given state dict"
    checkpoint: dict[str, Any] = {}
    if contained.get("format") == FORMAT:
        if passed_over:  # ours have no objects
            raise refusal(name, passed_over)
        checkpoint = {k: v for k, v in contained.items() if k not in ("weights", "training")}
        contained = {"weights": contained.get("weights") or {}}
    try:
        choice = choose(contained, name, key, prefix)
    except InputError as error:
        notes = _passed_over(passed_over) if error.fix == LEAD else ()
        expected = "; ".join([str(error.expected), *notes])
        raise InputError(error.what, where=name, expected=expected, fix=error.fix) from None
    taken = choice.taken
    if isinstance(source, (str, Path)):
        check_storage(name, taken.tensors)
    check_format(name, taken.tensors)
    check_numbers(name, taken.tensors)
    tensors, origin, parts, client_tensors = _to_our_names(taken, name)
    depth = _count(r"stages\.2\.blocks\.(\d+)\.", tensors)
    if blocks is not None:
        first, last = range_of(blocks, depth, name)
        tensors, origin, left = cut(tensors, origin, first, last)
        parts |= dict.fromkeys(left, f"blocks of stage 3 other than {first}{f'-{last}' if last > first else ''}")
    return _describe(
        name,
        tensors,
        origin,
        depth,
        checkpoint=checkpoint,
        key=taken.key,
        prefix=taken.prefix,
        parts=parts,
        client_tensors=client_tensors,
        client=name_client([*(f"{taken.prefix}{inner}" for inner in taken.tensors), *taken.others]),
        notes=(*_beside(choice), *_passed_over(passed_over)),
    )


def _beside(choice: Choice) -> Iterator[str]:
    """A sentence on the networks that were not taken."""
    if choice.beside:
        others = [f"{place} takes {'the average' if average else 'another'}" for place, average in choice.beside]
        yield f"took {choice.place or 'the network at the top'}; {', '.join(others)}"


def _passed_over(classes: Sequence[str]) -> Iterator[str]:
    """A sentence on objects in the file."""
    if classes:
        more = f" and {len(classes) - 3} more" if len(classes) > 3 else ""
        yield f"passed over, and not run: objects of {', '.join(classes[:3])}{more}"


def _to_our_names(
    taken: Candidate, name: str
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]], dict[str, str], dict[str, Tensor]]:
    """Tensors and their names in the file, by our names; what the file has beside them; and a client's tensors."""
    inside, others, outer = dict(taken.tensors), dict(taken.others), ""
    if not is_official(inside) and taken.prefix.endswith(BACKBONE):  # parts of our own networks stand beside it
        outer = taken.prefix.removesuffix(BACKBONE)
        inside = {f"{BACKBONE}{inner}": tensor for inner, tensor in inside.items()}
        inside |= {k.removeprefix(outer): others.pop(k) for k in list(others) if k.startswith(outer)}
    names = dict.fromkeys(_part_of(k, taken.prefix) for k in others)
    parts = dict.fromkeys(others, f"other parts of the network ({', '.join(names)})")
    client = split_client(inside)
    parts |= client.parts
    if is_official(client.trunk):
        try:
            tensors, origin = from_official_names(client.trunk)
        except InputError as error:
            project = name_client([*client.trunk, *parts])
            what = error.what if project is None else f"{error.what}, in a checkpoint of {project}"
            raise InputError(what, where=name, expected=error.expected, fix=LEAD) from None
    else:
        tensors = {k.removeprefix(BACKBONE): tensor for k, tensor in client.trunk.items()}
        origin = {k.removeprefix(BACKBONE): (k,) for k in client.trunk}
    computed = set(client.trunk) - {k for names in origin.values() for k in names}
    parts |= dict.fromkeys(sorted(computed), "indices of relative positions, which the model makes itself")
    if "pos_embed" in origin and client.table != "pos_embed":
        origin["pos_embed"] = (client.table,)
    return tensors, origin, parts, client.tensors


def _part_of(name: str, prefix: str) -> str:
    """The part of a network that a tensor is in, the first that the prefix of another does not have."""
    words, taken = name.split("."), prefix.split(".")
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(words, taken, strict=False)))
    return ".".join(words[: shared + 1])


def _describe(
    name: str, tensors: Mapping[str, Tensor], origin: Mapping[str, tuple[str, ...]], depth: int, **about: Any
) -> WeightsFile:
    """What tensors are; of stage 3 the file has as many blocks as `depth` says."""
    wanted = ("patch_embed.proj.weight", "stages.2.merge.reduction.weight", "pos_embed")
    absent = [key for key in wanted if key not in tensors]
    if absent:
        examples = ", ".join(names[0] for names in list(origin.values())[:3])
        raise InputError(
            f"these weights are not whole: {', '.join(absent)} is not there",
            where=name,
            expected=f"the tensors of a whole trunk; found {examples}, ...",
            fix=LEAD,
        )

    n1, n2, n3 = (_count(rf"stages\.{i}\.blocks\.(\d+)\.", tensors) for i in range(3))
    depths = (n1, n2, n3)
    embed_dim = tensors["stages.2.merge.reduction.weight"].shape[0]
    family = "itpn" if is_itpn(tensors) else "fastitpn"
    whole = (family, embed_dim, (n1, n2, depth))
    same = [n for n, a in ARCHITECTURES.items() if (a.family, a.embed_dim, a.depths) == whole]
    scaled = "stages.2.blocks.0.gamma_1" in tensors
    model = next((n for n in same if bool(ARCHITECTURES[n].init_values) == scaled), same[0] if same else None)
    if any(k.startswith(PRETRAINING_ONLY) for k in tensors):
        kind = "pre-training"
    else:
        kind = "classifier" if "head.weight" in tensors else "trunk"
    return WeightsFile(source=name, tensors=tensors, origin=origin, kind=kind, model=model, depths=depths, **about)


def _count(pattern: str, tensors: Mapping[str, Tensor]) -> int:
    """Number of blocks: one more than the highest number that the pattern finds in a name."""
    return 1 + max((int(m[1]) for name in tensors if (m := re.match(pattern, name))), default=-1)
