"""A folder that timm and transformers load: `config.json`, `model.safetensors` and a model card."""

from pathlib import Path
from typing import Any

import timm
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from safetensors.torch import save_file

import fastitpn
from fastitpn.config.export import ExportConfig
from fastitpn.engine.acceleration import trained_acceleration
from fastitpn.errors import InputError
from fastitpn.exporters.description import CROP_PCT, CROP_PCT_BELOW_PX, write_json
from fastitpn.exporters.folder import new_folder
from fastitpn.exporters.networks import Network, Segment
from fastitpn.exporters.onnx_file import Runner
from fastitpn.exporters.parity import TOLERANCES, Parity, compare
from fastitpn.exporters.pictures import find_pictures
from fastitpn.exporters.quality import measure_quality
from fastitpn.exporters.shapes import PATCH, Shapes
from fastitpn.exporters.subject import Subject

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_NOT_STORED = ("num_classes", "in_chans", "pyramid", "weight_init", "drop_rate", "drop_path_rate", "proj_drop_rate")
"""Arguments that timm and transformers pass themselves, that the name says, or that only training needs."""
_SETTINGS = ("model", "px", "epochs", "steps", "batch", "lr", "weight_decay", "layer_decay", "seed")


def write_hub(config: ExportConfig, subject: Subject) -> Path:
    """Write the folder, load it with timm, and compare.

    Raises:
        InputError: Neither library has a class for such a model, or the folder is wrong.
        ParityError: What timm loads is not the model.
    """
    network = subject.network
    if isinstance(network, Segment):
        raise InputError(
            "timm and transformers have no class for a segmentation network on this backbone",
            where="format",
            expected="its backbone, or another format",
            fix="part=pyramid, or format=onnx",
        )
    pictures = find_pictures(config, subject)
    shapes = Shapes(size=subject.px)
    with new_folder(config.out) as folder:
        classifies = subject.task == "classify"
        tensors = {
            name: value.detach().contiguous()
            for name, value in subject.backbone.state_dict().items()
            if classifies or not name.startswith("head.")
        }
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        write_json(folder / CONFIG, hub_config(subject))
        run = _loaded(folder, network)
        parity = compare(network, run, pictures, shapes)
        parity.check(TOLERANCES["fp32"])
        quality = measure_quality(subject, run, pictures, shapes) if config.data is not None else None
        card = _card(config.out.resolve().name, subject, parity, quality)
        (folder / CARD).write_text(card, encoding="utf-8")
    print(f"timm loads it: differs from the model by {parity.difference:.1e} relative (on {parity.pictures})")
    print(f"written: {config.out} ({CARD}, {CONFIG}, {WEIGHTS})", flush=True)
    return config.out


def hub_config(subject: Subject) -> dict[str, Any]:
    """Content of `config.json` as timm writes it, and as transformers takes it for its `timm_wrapper`."""
    backbone, arguments = subject.backbone, dict(subject.model["arguments"])
    num_classes = backbone.num_classes if subject.task == "classify" else 0
    height, width = subject.px
    has_pyramid = backbone.pyramid is not None and not subject.model["name"].endswith("_fpn")
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


def _loaded(folder: Path, network: Network) -> Runner:
    """What timm makes of a folder, run as the network is."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    twin = type(network)(model)  # type: ignore[call-arg]
    return lambda images: list(twin(images))


def _card(name: str, subject: Subject, parity: Parity, quality: dict[str, Any] | None) -> str:
    classifies = subject.task == "classify"
    about_a_head = subject.training.get("task") != "pretrain"
    metrics = {} if about_a_head and not classifies else subject.training.get("metrics") or {}
    figures: list[tuple[str, str, str]] = []
    if quality is not None:
        figures.append((_title(quality["metric"]), f"{quality['file']:.2f} %", quality["images"]))
    figures += [
        (_title(key), f"{value:.2f} %" if key.startswith(("top", "m", "pixel")) else f"{value:.4g}", _on(subject))
        for key, value in metrics.items()
        if isinstance(value, int | float)
    ]
    figures.append(("largest relative difference, timm to fastitpn", f"{parity.difference:.1e}", parity.pictures))
    wrapper = "TimmWrapperForImageClassification" if classifies else "TimmWrapperModel"
    variable = "classifier" if classifies else "encoder"
    template = Environment(loader=PackageLoader("fastitpn.exporters", "."), undefined=StrictUndefined).get_template(
        "model_card.md.j2"
    )
    return template.render(
        front_matter=yaml.safe_dump(
            _front_matter(name, subject, quality, metrics), sort_keys=False, allow_unicode=True
        ),
        title=name,
        sentence="A Fast-iTPN image classifier:" if classifies else "A Fast-iTPN backbone for features:",
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
    task = "image-classification" if subject.task == "classify" else "image-feature-extraction"
    content: dict[str, Any] = {"library_name": "timm", "pipeline_tag": task, "tags": [task, "timm", "transformers"]}
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
    return {"top1": "top-1", "top5": "top-5", "miou": "mean IoU"}.get(metric, metric.replace("_", " "))
