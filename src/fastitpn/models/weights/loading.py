"""Loading weights into a model, with a verdict: nothing is skipped silently."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.backbone import FastITPN
from fastitpn.models.initialization import initialize
from fastitpn.models.layers.norm import set_norm_eps
from fastitpn.models.pyramid import Pyramid
from fastitpn.models.weights.file import LEARNED_BY_ACCELERATION, PRETRAINING_ONLY, WeightsFile, read_weights
from fastitpn.models.weights.fitting import adapt, check_choices, mean_position
from fastitpn.models.weights.heads import load_head, read_head
from fastitpn.models.weights.itpn_names import relative_side
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.models.weights.report import LoadReport

FAMILIES = {"fastitpn": "Fast-iTPN", "itpn": "iTPN or HiViT"}
"""Names of the families, for people."""
FRESH_LAYERS = ("head.", "fc_norm.")
"""Layers that belong to a classifier, not to pre-training: they may start fresh."""
EXPERTS = r"stages\.2\.blocks\.(\d+)\.mlp\.(?:(?:gate|value|fc2|slot)_|hidden_norm|slots)"
"""Parameters of a block with experts, see `experts.SoftExperts`."""
_LAST_STAGES = ("stages.", "pos_embed", "cls_token", "registers", "rel_pos_bias.", "norm.")


def load_weights(
    model: nn.Module,
    source: str | Path | Mapping[str, Any] | WeightsFile,
    *,
    strict: bool = True,
    key: str | None = None,
    prefix: str | None = None,
    blocks: str | None = None,
    first_kernel: str = "halfcopy",
    class_token: str | None = None,
    fresh_pyramid: bool = False,
) -> LoadReport:
    """Load published or own weights into a model.

    Handles published classifier and pre-training files (under any key and prefix, in one file or several; fp16 or
    fp32), the checkpoints of trackers and detectors that have a Fast-iTPN inside, our checkpoints and run
    directories, another input size (the position table is resized as published), other class
    counts (the head starts fresh), another number of input channels, and a pyramid of other widths (the model's
    pyramid takes the file's). A detector such as DINO also takes the published weights of its head, with or without a
    trunk, and a trunk without a head.

    Args:
        model: A `FastITPN`, a pre-training model, or a network with a head whose published names it knows.
        source: A file, a run directory, "published:base" (or another name of a published file that
            `fastitpn weights get` fetched), a state dict, or what `read_weights` made of one.
        strict: Raise unless the report is `ok`. Then nothing in the model has changed.
        key: Key that the tensors are under, such as "model_ema", where a file has several networks.
        prefix: What their names begin with, such as "backbone".
        blocks: Blocks of stage 3 to take, such as "1-6", counted from 1; None takes all.
        first_kernel: How a model with more input channels takes the first kernel of 3: "halfcopy" repeats it, divided
            by the number of times (images of equal channels give what they gave); "copy" repeats it; "random" puts it
            first, and the others keep their start values.
        class_token: What a model with a class token does with a file that has none: "fresh", the token keeps its start
            values and gets no position (SUTrack); "mean", the mean of the file's positions is the token and its
            position (CSTrack); None refuses the file.
        fresh_pyramid: A model with a pyramid keeps its start values there if the file has none, such as HiViT's.

    Returns:
        The report; print it.

    Raises:
        InputError: The file cannot be read, belongs to another architecture, or (`strict`) leaves something open.
    """
    published_names = getattr(model, "published_names", None)
    if published_names is not None and not isinstance(source, WeightsFile):
        head = read_head(source, published_names(), key)
        if head is not None:
            return load_head(
                model, head, strict=strict, load_trunk=lambda rest: load_weights(_trunk(model), rest, strict=strict)
            )
    file = source if isinstance(source, WeightsFile) else read_weights(source, key=key, prefix=prefix, blocks=blocks)
    report, values, pyramid = plan_loading(
        model, file, first_kernel=first_kernel, class_token=class_token, fresh_pyramid=fresh_pyramid
    )
    if strict and not report.ok:
        raise InputError(
            f"the weights do not fit the model: {report.verdict}",
            where=file.source,
            expected=explain(file, report),
            fix="build the model these weights belong to, or load_weights(..., strict=False) for the part that fits",
        )
    trunk = _trunk(model)
    if pyramid is not None:
        trunk.pyramid = pyramid
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
    return report


def plan_loading(
    model: nn.Module,
    file: WeightsFile,
    *,
    first_kernel: str = "halfcopy",
    class_token: str | None = None,
    fresh_pyramid: bool = False,
) -> tuple[LoadReport, dict[str, Tensor], Pyramid | None]:
    """Decide what goes where, without touching the model; the options are those of `load_weights`.

    Returns:
        The report; parameter name to value; a new pyramid of the file's widths if the model's has others.

    Raises:
        InputError: The file belongs to another architecture, or there is no such option.
    """
    trunk = _trunk(model)
    check_choices(first_kernel, class_token)
    _check_architecture(trunk, file)
    pyramid = _pyramid_of_file(trunk, file)
    wanted = {name.removeprefix(BACKBONE): (name, p.shape) for name, p in model.named_parameters()}
    if pyramid is not None:
        prefix = BACKBONE if trunk is not model else ""
        wanted = {k: v for k, v in wanted.items() if not k.startswith("pyramid.")}
        wanted |= {f"pyramid.{k}": (f"{prefix}pyramid.{k}", p.shape) for k, p in pyramid.named_parameters()}

    values: dict[str, Tensor] = {}
    unexpected: list[str] = []
    set_aside = dict(file.parts)
    resized: dict[str, str] = {}
    mismatched: dict[str, str] = {}
    if pyramid is not None and trunk.pyramid is not None:
        deeper = "" if file.pyramid_depth == len(trunk.pyramid.refine8) else f" and depth {file.pyramid_depth}"
        resized["pyramid"] = f"to the file's {file.pyramid_hidden} hidden channels{deeper}"
    for name, tensor in file.tensors.items():
        origin = file.origin[name][0]
        if name not in wanted:
            reason = _reason_to_set_aside(name, file, trunk)
            if reason:
                set_aside |= dict.fromkeys(file.origin[name], reason)
            else:
                unexpected += file.origin[name]
            continue
        full_name, shape = wanted[name]
        if tensor.shape != shape:
            if name.startswith("head."):
                set_aside[origin] = f"head of {file.num_classes} classes"
                continue
            if name.startswith(LEARNED_BY_ACCELERATION):
                set_aside[origin] = "learnt by another acceleration, or for other classes"
                continue
            adapted = adapt(name, tensor, shape, trunk, file, first_kernel, class_token)
            if adapted is None:
                mismatched[origin] = f"{list(tensor.shape)} in the file, {list(shape)} in the model"
                continue
            tensor, resized[name] = adapted
        values[full_name] = tensor
    notes, fresh_token = file.notes, ""
    if class_token is not None and "cls_token" in wanted and "cls_token" not in file.tensors:
        fresh_token = wanted["cls_token"][0]
        if class_token == "mean":
            values[fresh_token] = mean_position(file)
            notes = ("the class token is the mean of the file's positions", *notes)
    missing = [full for full, _ in wanted.values() if full not in values]
    is_classifier = file.kind == "classifier"
    decomposed = trunk.relative_position == "decomposed" and relative_side(file.tensors) is not None
    fresh = [
        name
        for name in missing
        if name.startswith("head.")
        or (name.startswith(FRESH_LAYERS) and not is_classifier)
        or (decomposed and ".rel_pos_bias." in name)
        or name == fresh_token
        or name.removeprefix(BACKBONE).startswith(LEARNED_BY_ACCELERATION)
    ]
    if fresh_pyramid and not any(name.startswith("pyramid.") for name in file.tensors):
        fresh += [name for name in missing if name.removeprefix(BACKBONE).startswith("pyramid.")]
    if hasattr(model, "published_names") and not file.has_backbone:  # a trunk alone, for a network with a head
        fresh += [name for name in missing if not name.startswith(BACKBONE)]
    used = {n for n in file.tensors if n in wanted and wanted[n][0] in values}
    report = LoadReport(
        loaded=list(values),
        missing=missing,
        unexpected=unexpected,
        set_aside=set_aside,
        resized=resized,
        mismatched=mismatched,
        fresh=fresh,
        num_tensors=sum(len(names) for names in file.origin.values()),
        num_loaded=sum(len(file.origin[n]) for n in used),
        share=sum(file.tensors[n].numel() for n in used) / file.num_parameters,
        notes=notes,
    )
    return report, values, pyramid


def _trunk(model: nn.Module) -> FastITPN:
    trunk = getattr(model, "backbone", model)
    if not isinstance(trunk, FastITPN):
        raise InputError(
            f"a {type(trunk).__name__} takes no Fast-iTPN weights",
            expected="a FastITPN or a pre-training model",
            fix="load_weights(model.model, ...) for a model that timm made with features_only=True",
        )
    return trunk


def _check_architecture(trunk: FastITPN, file: WeightsFile) -> None:
    depths = tuple(len(list(stage.blocks.children())) for stage in trunk.stages)
    if (trunk.family, trunk.embed_dim, depths) == (file.family, file.embed_dim, file.depths[: len(depths)]):
        return
    whole = file.model is not None and file.depths == ARCHITECTURES[file.model].depths
    theirs = file.model if whole else f"embed_dim={file.embed_dim}, depths={file.depths}"
    ours = f"the model has embed_dim={trunk.embed_dim}, depths={depths}"
    if trunk.family != file.family:
        theirs = f"{theirs} ({FAMILIES[file.family]})"
        ours = f"the model is of another family ({FAMILIES[trunk.family]})"
    raise InputError(
        f"these are weights of {theirs}, {ours}",
        where=file.source,
        expected="weights of the same architecture",
        fix=f"create_model({file.size!r}{'' if whole else f', depths={file.depths}'})" if file.size else None,
    )


def _pyramid_of_file(trunk: FastITPN, file: WeightsFile) -> Pyramid | None:
    """A pyramid of the file's widths, if the model has one of other widths."""
    present = trunk.pyramid
    if present is None or present.is_pruned or file.pyramid_dim is None or file.pyramid_hidden is None:
        return None
    if (present.hidden, len(present.refine8)) == (file.pyramid_hidden, file.pyramid_depth):
        return None
    if present.dim != file.pyramid_dim:
        return None  # other channels change what the model's users get: reported as wrong shapes
    weight = present.output16.mlp.fc1.weight
    pyramid = Pyramid(
        trunk.embed_dim,
        present.dim,
        file.pyramid_hidden,
        file.pyramid_depth,
        bias=trunk.family == "fastitpn",
        pool=present.output32.pool,
        device=weight.device,
        dtype=weight.dtype,
    )
    set_norm_eps(pyramid, trunk.norm_eps)
    initialize(pyramid, "finetune", **trunk.start_values)
    return pyramid.train(trunk.training).requires_grad_(weight.requires_grad)


def _reason_to_set_aside(name: str, file: WeightsFile, trunk: FastITPN) -> str | None:
    if name.startswith(PRETRAINING_ONLY) or (name.startswith("norm.") and file.kind == "pre-training"):
        return "used in pre-training only"
    if name.startswith("pyramid.") and trunk.pyramid is not None and trunk.pyramid.is_pruned:
        return "levels of the pyramid that this model was pruned of"
    if name.startswith("pyramid.") and trunk.pyramid is None:
        return "pyramid, which this model is built without (pyramid=True)"
    if len(trunk.stages) < len(file.depths) and name.startswith(_LAST_STAGES):
        return "stages that this model was pruned of"
    if name.startswith("head.") and name not in ("head.weight", "head.bias"):
        return "head of another task, such as segmentation"
    if file.has_backbone and not file.origin[name][0].startswith(BACKBONE):
        return "part of another network, which this model is built without"
    if ".rel_pos_bias." in name and trunk.relative_position == "decomposed":
        return "relative positions of another kind"
    if name.startswith(LEARNED_BY_ACCELERATION):
        return "learnt by an acceleration, which this model is built without"
    if name == "cls_token" and file.client is not None:
        return "class token, which this model is built without"
    if name.startswith(FRESH_LAYERS):
        return "classifier, which this model is built without"
    return None


def _holes(file: WeightsFile) -> list[tuple[int, int]]:
    """Stage and number, both from 1, of the blocks that a file leaves out before its last one."""
    matches = (re.match(r"stages\.(\d)\.blocks\.(\d+)\.", name) for name in file.tensors)
    present = {(int(match[1]) + 1, int(match[2]) + 1) for match in matches if match}
    blocks = ((stage, block) for stage, depth in enumerate(file.depths, 1) for block in range(1, depth + 1))
    return [place for place in blocks if place not in present]


def explain(file: WeightsFile, report: LoadReport) -> str:
    """What the user may have meant: the most likely cause of a report that is not ok."""
    wrong = [name for name in report.missing if name not in report.fresh]
    origins = {block: file.origin[f"stages.2.blocks.{block - 1}.mlp.slots.weight"][0] for block in file.experts}
    lacking = sorted(block for block, name in origins.items() if name in report.unexpected)
    if lacking:
        plain = f"blocks=1-{lacking[0] - 1}, and a model with depths={(*file.depths[:2], lacking[0] - 1)}"
        given = (f"add_experts(model, {block}, {file.experts[block]})" for block in lacking)
        return f"blocks without experts: {plain}; or {', '.join(given)} before loading"
    if any(re.match(EXPERTS, name.removeprefix(BACKBONE)) for name in wrong):
        return "blocks with experts; of other weights they are made by add_experts(model, ...) after loading"
    if holes := _holes(file):
        numbers = ", ".join(f"{block} of stage {stage}" for stage, block in holes)
        before = f"; blocks=1-{holes[0][1] - 1} takes those before" if holes[0][0] == 3 and holes[0][1] > 1 else ""
        return f"every block in the file; it does not have block {numbers}{before}"
    of_file = "\n".join(file.tensors)
    if any(".gamma_" in name for name in wrong) and ".gamma_" not in of_file:
        return "layer scales gamma_1 and gamma_2; weights trained without them need create_model(..., init_values=0)"
    if any(".gamma_" in name for name in report.unexpected) and not any(".gamma_" in name for name in report.loaded):
        return "the file has layer scales: the model needs init_values=0.1, else they are lost"
    if "cls_token" in wrong:
        return "a file with a class token; for another, load_weights(..., class_token='fresh' or 'mean')"
    if any(".rel_pos_bias." in name for name in wrong) and ".rel_pos_bias." not in of_file:
        return "relative positions; weights trained without them need create_model(..., relative_position='off')"
    if any("relative_position" in name or "rel_pos" in name for name in report.unexpected):
        kind = file.arguments().get("relative_position")
        return f"the file has relative positions: the model needs relative_position={kind!r}"
    if "mask_token" in wrong:
        return "a file of pre-training; a classifier's has neither mask token nor pyramid"
    if any("pyramid." in name for name in wrong) and file.pyramid_dim is None:
        return "a file with a pyramid (pre-training weights), or a model without one (pyramid=False)"
    widths = []
    if "patch_embed.proj.weight" in report.mismatched:
        widths.append(f"in_chans={file.in_chans}")
    if any("predictor" in name or "lm_head" in name for name in report.mismatched):
        widths.append(f"teacher_dim={file.teacher_dim}")
    if any("pyramid" in name or "fpn_modules" in name for name in report.mismatched):
        widths.append(f"pyramid_dim={file.pyramid_dim}")
    if widths:
        return f"{' and '.join(widths)}, as in the file"
    if any("fc_norm." in name for name in report.missing) and "norm.weight" in file.tensors:
        return "a file that normalises after pooling; for one that does before, create_model(..., fc_norm=False)"
    if any(name.startswith("norm.") for name in wrong) and "fc_norm.weight" in file.tensors:
        return "a classifier that normalises after pooling: create_model(..., fc_norm=True)"
    return "every parameter of the model in the file, and the other way round"
