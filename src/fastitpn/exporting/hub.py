"""A folder that timm and transformers load: `config.json`, `model.safetensors` and a model card.

Of a trained model it also has what this package needs to load all of it; timm takes the backbone of such a folder.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors.torch import save_file

import fastitpn
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.description import CROP_PCT, CROP_PCT_BELOW_PX, write_json
from fastitpn.exporting.folder import new_folder
from fastitpn.exporting.network import Classify, Detect, Network, PyramidLevels, Segment, TrunkMap
from fastitpn.exporting.parity import TOLERANCES, Parity, ParityError, compare
from fastitpn.exporting.pictures import find_pictures
from fastitpn.exporting.quality import measure_quality
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import PATCH, Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.reporting.charts import metric_title
from fastitpn.runs.acceleration import trained_acceleration
from fastitpn.runs.hub_folder import write_whole
from fastitpn.runs.trained_model import open_checkpoint

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_NOT_STORED = ("num_classes", "in_chans", "pyramid", "weight_init", "drop_rate", "drop_path_rate", "proj_drop_rate")
"""Arguments that timm and transformers pass themselves, that the name says, or that only training needs."""
_KINDS = {
    "classify": ("image classifier", "image-classification"),
    "segment": ("segmentation network", "image-segmentation"),
    "detect": ("detector", "object-detection"),
}
"""By task: in words, and as the hub calls it."""
_IN_PERCENT = ("top", "knn_", "miou", "mean_", "pixel_", "box_", "mask_")
_SETTINGS = ("model", "px", "epochs", "steps", "batch", "lr", "weight_decay", "layer_decay", "seed")


def write_hub(config: ExportConfig, subject: Subject) -> Path:
    """Write the folder, load it with timm and, if it is whole, with this package, and compare.

    Raises:
        InputError: The data or the folder is wrong, or timm has no name for this pyramid.
        ParityError: What is loaded is not the model.
    """
    pruned = subject.backbone.pyramid is not None and subject.backbone.pyramid.is_pruned
    network = subject.network
    if isinstance(network, Segment | Detect):
        network = TrunkMap(subject.backbone) if pruned else PyramidLevels(subject.backbone)
    elif isinstance(network, PyramidLevels) and pruned:
        raise InputError(
            "the pyramid of this model was made without its finest levels, for which timm has no name",
            where="part",
            expected="whole or trunk",
            fix="part=trunk",
        )
    pictures = find_pictures(config, subject)
    shapes = Shapes(size=subject.px)
    with new_folder(config.out) as folder:
        left_out: tuple[str, ...] = () if isinstance(network, Classify) else ("head.",)
        left_out += ("pyramid.",) if pruned else ()
        tensors = {
            name: value.detach().contiguous()
            for name, value in subject.backbone.state_dict().items()
            if not name.startswith(left_out)
        }
        if subject.is_whole:
            content = {**subject.training, "acceleration": subject.backbone.acceleration.to_dict()}
            write_whole(folder, content, tensors)
            _check_whole(folder, content)
        else:
            save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        write_json(folder / CONFIG, hub_config(subject))
        run = _loaded(folder, network)
        parity = compare(network, run, pictures, shapes)
        parity.check(TOLERANCES["fp32"])
        measured = config.data is not None and network is subject.network
        quality = measure_quality(subject, run, pictures, shapes) if measured else None
        card = _card(config.out.resolve().name, subject, parity, quality)
        (folder / CARD).write_text(card, encoding="utf-8")
    what = "it" if network is subject.network else "its backbone"
    print(f"timm loads {what}: differs from the model by {parity.difference:.1e} relative (on {parity.pictures})")
    if subject.is_whole:
        print(f"fastitpn loads all of it: fastitpn predict {shlex.quote(str(config.out))} IMAGES")
    files = ", ".join(sorted(path.name for path in config.out.iterdir()))
    print(f"written: {config.out} ({files})", flush=True)
    return config.out


def hub_config(subject: Subject) -> dict[str, Any]:
    """Content of `config.json` as timm writes it, and as transformers takes it for its `timm_wrapper`."""
    backbone, arguments = subject.backbone, dict(subject.model["arguments"])
    num_classes = backbone.num_classes if subject.task == "classify" else 0
    height, width = subject.px
    has_pyramid = backbone.pyramid is not None and not backbone.pyramid.is_pruned
    has_pyramid = has_pyramid and not subject.model["name"].endswith("_fpn")
    acceleration = backbone.acceleration.to_dict()
    kept = {name: value for name, value in arguments.items() if name not in _NOT_STORED}
    kept |= {part: acceleration[part] for part in ("migration", "gathering") if acceleration[part] is not None}
    content: dict[str, Any] = {
        "architecture": subject.model["name"] + ("_fpn" if has_pyramid else ""),
        "num_classes": num_classes,
        "num_features": backbone.num_features,
        "model_args": kept,
        "pretrained_cfg": {
            "num_classes": num_classes,
            "input_size": [3, height, width],
            "fixed_input_size": False,
            "pool_size": [height // PATCH, width // PATCH],
            "interpolation": "bicubic",
            "crop_pct": CROP_PCT if width < CROP_PCT_BELOW_PX else 1.0,
            "crop_mode": "center",
            "mean": list(subject.mean),
            "std": list(subject.std),
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    if subject.classes is not None:
        content["label_names"] = list(subject.classes)
    return content


def _check_whole(folder: Path, content: Mapping[str, Any]) -> None:
    """Every tensor as it was.

    Raises:
        ParityError: Some are not.
    """
    found, expected = open_checkpoint(folder).content["weights"], content["weights"]
    if found.keys() != expected.keys() or not all(torch.equal(found[name], expected[name]) for name in expected):
        raise ParityError("the folder does not give back the tensors of the checkpoint, so nothing was written")


def _loaded(folder: Path, network: Network) -> Runner:
    """What timm makes of a folder, run as the network is."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    twin = type(network)(model)  # type: ignore[call-arg]
    return lambda images: list(twin(images))


def _card(name: str, subject: Subject, parity: Parity, quality: dict[str, Any] | None) -> str:
    classifies = subject.task == "classify"
    about_a_head = subject.training.get("task") != "pretrain"
    metrics = {} if about_a_head and not subject.is_whole else subject.training.get("metrics") or {}
    figures: list[tuple[str, str, str]] = []
    if quality is not None:
        figures.append((_title(quality["metric"]), f"{quality['file']:.2f} %", quality["images"]))
    figures += [
        (_title(key), f"{value:.2f} %" if key.startswith(_IN_PERCENT) else f"{value:.4g}", _on(subject))
        for key, value in metrics.items()
        if isinstance(value, int | float)
    ]
    figures.append(("largest relative difference, timm to fastitpn", f"{parity.difference:.1e}", parity.pictures))
    wrapper = "TimmWrapperForImageClassification" if classifies else "TimmWrapperModel"
    variable = "classifier" if classifies else "encoder"
    template = Environment(loader=PackageLoader("fastitpn.exporting", "."), undefined=StrictUndefined).get_template(
        "model_card.md.j2"
    )
    return template.render(
        front_matter=yaml.safe_dump(
            _front_matter(name, subject, quality, metrics), sort_keys=False, allow_unicode=True
        ),
        title=name,
        sentence=f"A Fast-iTPN {_KINDS.get(subject.task, ('backbone for features', ''))[0]}:",
        whole=subject.is_whole,
        head=subject.head,
        model=subject.model["name"],
        millions=round(sum(p.numel() for p in subject.backbone.parameters()) / 1e6, 1),
        version=fastitpn.__version__,
        classes=", ".join(subject.classes) if subject.classes is not None and len(subject.classes) <= 20 else "",
        figures=figures,
        training=_training(subject),
        px=f"{subject.px[0]} x {subject.px[1]} px",
        mean=list(subject.mean),
        std=list(subject.std),
        acceleration=subject.backbone.acceleration.describe(),
        classes_of_transformers=f"AutoBackbone, TimmBackboneConfig, {wrapper}",
        lines_of_transformers=f'{variable} = {wrapper}.from_pretrained("FOLDER").eval()',
        out_indices=list(range(len(subject.backbone.feature_info))),
    )


def _front_matter(
    name: str, subject: Subject, quality: dict[str, Any] | None, metrics: dict[str, Any]
) -> dict[str, Any]:
    """What the hub reads of a card."""
    task = _KINDS.get(subject.task, ("", "image-feature-extraction"))[1]
    content: dict[str, Any] = {"library_name": "timm", "pipeline_tag": task, "tags": [task, "timm", "transformers"]}
    if subject.is_whole:
        content["tags"].append("fastitpn")
    top1, on = (quality["file"], quality["images"]) if quality else (metrics.get("top1"), _on(subject))
    if subject.task == "classify" and top1 is not None:
        result = {
            "task": {"type": task},
            "dataset": {"type": "imagefolder", "name": on},
            "metrics": [{"type": "accuracy", "name": "top-1", "value": round(top1, 2)}],
        }
        content["model-index"] = [{"name": name, "results": [result]}]
    return content


def _training(subject: Subject) -> str:
    """What is worth knowing of the settings; paths stay private."""
    settings = subject.training.get("config", {})
    shown = [f"{key} {settings[key]}" for key in _SETTINGS if settings.get(key) is not None]
    teacher = settings.get("teacher") or {}
    if isinstance(teacher, dict) and str(teacher.get("name", "")).startswith(("timm:", "ema")):
        shown.append(f"teacher {teacher['name']}")
    return ", ".join(shown)


def _on(subject: Subject) -> str:
    trained, now = trained_acceleration(subject.training, subject.source), subject.backbone.acceleration
    note = "" if trained == now else f", with acceleration {trained.name}"
    return f"the validation images of the training, step {subject.training.get('step', '?')}{note}"


def _title(metric: str) -> str:
    return {"top1": "top-1", "top5": "top-5"}.get(metric) or metric_title(metric)
