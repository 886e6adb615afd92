"""A folder that timm and transformers load: `config.json`, `model.safetensors` and a model card.

Of a trained model it also has what this package needs to load all of it; timm takes the backbone of such a folder.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.description import write_json
from fastitpn.exporting.folder import export_folder
from fastitpn.exporting.model_card import model_card
from fastitpn.exporting.network import Network, PyramidLevels, TrunkMap
from fastitpn.exporting.parity import TOLERANCES, ParityError, compare
from fastitpn.exporting.pictures import find_pictures
from fastitpn.exporting.quality import measure_quality
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import PATCH, Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.files import write_text
from fastitpn.imagenet import crop_share
from fastitpn.listing import children
from fastitpn.runs.hub_folder import BACKBONE_FILE, write_hub_folder
from fastitpn.runs.trained_model import open_checkpoint

CONFIG, CARD = "config.json", "README.md"
_NOT_STORED = ("num_classes", "in_chans", "pyramid", "weight_init", "drop_rate", "drop_path_rate", "proj_drop_rate")
"""Arguments that timm and transformers pass themselves, that the name says, or that only training needs."""


def write_hub(config: ExportConfig, subject: Subject) -> Path:
    """Write the folder, load it with timm and, if it has a whole model, with this package, and compare.

    Raises:
        InputError: The data or the folder is wrong, or timm has no name for this pyramid.
        ParityError: What is loaded is not the model.
    """
    pruned = subject.backbone.pyramid is not None and subject.backbone.pyramid.is_pruned
    network = subject.network
    if subject.whole is not None and not subject.is_classifier:
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
    with export_folder(config.out) as folder:
        left_out: tuple[str, ...] = () if subject.is_classifier else ("head.",)
        left_out += ("pyramid.",) if pruned else ()
        tensors = {
            name: value.detach().contiguous()
            for name, value in subject.backbone.state_dict().items()
            if not name.startswith(left_out)
        }
        if subject.is_whole:
            content = {**subject.training, "acceleration": subject.backbone.acceleration.to_dict()}
            write_hub_folder(folder, content, tensors)
            _check_hub_folder(folder, content)
        else:
            save_file(tensors, folder / BACKBONE_FILE, metadata={"format": "pt"})
        write_json(folder / CONFIG, hub_config(subject))
        run = _loaded(folder, network)
        parity = compare(network, run, pictures, shapes)
        parity.check(TOLERANCES["fp32"])
        measured = config.data is not None and network is subject.network
        quality = measure_quality(subject, run, pictures, shapes) if measured else None
        card = model_card(config.out.resolve().name, subject, parity, quality)
        write_text(folder / CARD, card)
    what = "it" if network is subject.network else "its backbone"
    say(f"timm loads {what}: differs from the model by {parity.difference:.1e} relative (on {parity.pictures})")
    if subject.is_whole:
        say(f"fastitpn loads all of it: fastitpn predict {shlex.quote(str(config.out))} IMAGES")
    files = ", ".join(sorted(path.name for path in children(config.out)))
    say(f"written: {config.out} ({files})")
    return config.out


def hub_config(subject: Subject) -> dict[str, Any]:
    """Content of `config.json` as timm writes it, and as transformers takes it for its `timm_wrapper`.

    timm's `save_config_for_hf` does not do: what it writes changes with its version. 1.0.26 names the model without its
    pyramid; 1.0.31 also states a licence of the weights, adds arguments that only this process had (`weight_init`), and
    refuses a classifier that is written without its head.
    """
    backbone, arguments = subject.backbone, dict(subject.model["arguments"])
    num_classes = backbone.num_classes if subject.is_classifier else 0
    height, width = subject.px
    has_pyramid = backbone.pyramid is not None and not backbone.pyramid.is_pruned
    has_pyramid = has_pyramid and not subject.model["name"].endswith("_fpn")
    acceleration = backbone.acceleration.within(backbone.num_attention_blocks, backbone.grid_size).to_dict()
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
            "crop_pct": crop_share(width),
            "crop_mode": "center",
            "mean": list(subject.mean),
            "std": list(subject.std),
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
    }
    if subject.classes is not None:
        content["label_names"] = list(subject.classes)
    if subject.whole is not None:
        content |= subject.whole.describe_for_transformers()
    return content


def _check_hub_folder(folder: Path, content: Mapping[str, Any]) -> None:
    """Every tensor as it was.

    Raises:
        ParityError: Some are not.
    """
    written, expected = open_checkpoint(folder).content["weights"], content["weights"]
    if written.keys() != expected.keys() or not all(torch.equal(written[name], expected[name]) for name in expected):
        raise ParityError("the folder does not give back the tensors of the checkpoint, so nothing was written")


def _loaded(folder: Path, network: Network) -> Runner:
    """What timm makes of a folder, run as the network is."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    twin = type(network)(model)
    return lambda images: list(twin(images))
