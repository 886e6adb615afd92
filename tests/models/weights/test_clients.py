"""Checkpoints as the trackers and detectors that build on Fast-iTPN save them: every one gets the right verdict.

Their layouts (name to shape) are stored; the files are written with fewer channels and two blocks of stage 3.
"""

import collections
import contextlib
import json
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import GOLDEN
from torch import Tensor

from fastitpn.models.backbone import FastITPN
from fastitpn.models.experts import add_experts
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.loading import load_weights, plan_loading
from fastitpn.tasks.inspection import inspect

State = dict[str, Tensor]
LAYOUTS: dict[str, tuple[str, str, tuple[int, int, int], int, int]] = {
    "sutrack_b224": ("SUTrack", "encoder.body.", (3, 3, 24), 566, 224),
    "sutrack_t224": ("SUTrack", "encoder.body.", (1, 1, 12), 282, 224),
    "mcitrack_b224": ("MCITrack", "encoder.body.", (3, 3, 24), 565, 224),
    "mcitrack_t224": ("MCITrack", "encoder.body.", (1, 1, 12), 281, 224),
    "uetrack_base": ("UETrack", "encoder.body.", (1, 1, 6), 158, 224),
    "uetrack_tiny": ("UETrack", "encoder.body.", (1, 1, 2), 74, 224),
    "cstrack_256": ("CSTrack or ATCTrack", "backbone.", (3, 3, 24), 566, 256),
    "dutrack_256": ("DUTrack", "backbone.", (3, 3, 24), 565, 256),
    "aqatrack_256": ("AQATrack", "backbone.", (4, 4, 20), 301, 256),
    "rotated_fast_itpn_t": ("Rotated_fast_itpn", "backbone.", (1, 1, 12), 281, 1024),
    "rotated_fast_itpn_b": ("Rotated_fast_itpn", "backbone.", (3, 3, 24), 565, 1024),
}
"""Layout to project, prefix of the trunk, blocks of its stages, tensors of it that a Fast-iTPN has, px of its table."""
WIDTH = 16
"""Channels of stage 3 in the files."""


def layout(name: str) -> dict[str, list[int]]:
    return json.loads((GOLDEN / "clients" / "layouts" / f"{name}.json").read_text())


def reduced(name: str, *, whole: bool = False) -> State:
    """A network of a layout with 16 channels; unless whole, with two blocks of stage 3 and little beside the trunk."""
    shapes, prefix = layout(name), LAYOUTS[name][1]
    scale = 4 * shapes[f"{prefix}patch_embed.proj.weight"][0] // WIDTH
    blocks = re.compile(rf"{re.escape(prefix)}blocks\.(\d+)\.")
    numbers = {key: int(match[1]) for key in shapes if (match := blocks.match(key))}
    first = 1 + max(number for key, number in numbers.items() if key.endswith("reduction.weight"))
    last = max(numbers.values())
    generator = torch.Generator().manual_seed(0)
    beside: collections.Counter[str] = collections.Counter()
    state: State = {}
    for key, shape in shapes.items():
        if not key.startswith(prefix):
            part = ".".join(key.split(".")[:2])
            beside[part] += 1
            if whole or beside[part] == 1:
                state[key] = torch.zeros([1] * len(shape), dtype=torch.float16 if ".clip." in key else None)
            continue
        place = numbers.get(key, first)
        if not whole and place == last:
            key = key.replace(f"blocks.{last}.", f"blocks.{first + 1}.")
        elif not whole and place > first:
            continue
        rows = 2 if "pos_embed" in key and len(shape) == 3 else 0  # axes that are no channels
        small = [size // scale if axis >= rows and size >= 4 * scale else size for axis, size in enumerate(shape)]
        state[key] = torch.randn(small, generator=generator)
    return state


# ------------------------------------------------------------------ the forms in which they are saved


@contextlib.contextmanager
def classes(*names: str) -> Iterator[list[Any]]:
    """Classes of projects that are not installed where the file is read."""
    made, modules = [], []
    for name in names:
        *path, class_name = name.split(".")
        modules += [".".join(path[:end]) for end in range(1, len(path) + 1)]
        for module in modules:
            sys.modules.setdefault(module, types.ModuleType(module))
        kind = type(class_name, (dict,) if class_name == "EasyDict" else (), {"__module__": modules[-1]})
        setattr(sys.modules[modules[-1]], class_name, kind)
        made.append(kind)
    try:
        yield made
    finally:
        for module in modules:
            sys.modules.pop(module, None)


def tracker_checkpoint(net: State) -> Iterator[dict[str, Any]]:
    names = ("settings.Settings", "local.EnvironmentSettings", "stats.AverageMeter")
    with classes(*(f"lib.train.admin.{name}" for name in names), "easydict.EasyDict") as made:
        settings, environment, meter, easy = (kind() for kind in made)
        environment.__dict__.update(workspace_dir="/data/work", lasot_dir="/data/lasot")
        easy.update(COCO=True, LASOT=type(easy)(use=False))
        settings.__dict__.update(env=environment, batchsize=32, use_nlp=easy, scale_jitter_factor={"search": 0.5})
        meter.__dict__.update(val=np.float64(0.3), avg=0.4, sum=None, count=12)
        yield {
            "epoch": 180,
            "actor_type": "Actor",
            "net_type": "Net",
            "net": net,
            "net_info": None,
            "constructor": None,
            "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]},
            "stats": collections.OrderedDict(train=collections.OrderedDict({"Loss/total": meter}), val=None),
            "settings": settings,
        }


def mmengine_checkpoint(net: State) -> Iterator[dict[str, Any]]:
    with classes("mmengine.logging.HistoryBuffer") as made:
        buffer = made[0]()
        buffer.__dict__.update(_log_history=np.ones(3), _count_history=np.ones(3), _max_length=10)
        yield {
            "meta": {"epoch": 12, "cfg": "model = dict()", "dataset_meta": {"CLASSES": ("plane", "ship")}},
            "state_dict": net,
            "message_hub": {"log_scalars": {"train/loss": buffer}},
            "optimizer": {"state": {}, "param_groups": []},
            "param_schedulers": [{"last_step": 3}],
        }


def as_trained(name: str, net: State, path: Path, **how: Any) -> None:
    for content in (mmengine_checkpoint if name.startswith("rotated") else tracker_checkpoint)(net):
        torch.save(content, path, **how)


FORMS: dict[str, Callable[[str, State, Path], None]] = {
    "as trained": as_trained,
    "old format": lambda name, net, path: as_trained(name, net, path, _use_new_zipfile_serialization=False),
    "in parallel, tensors alone": lambda name, net, path: torch.save(
        {"net": {f"module.{key}": tensor for key, tensor in net.items()}}, path
    ),
    "trunk alone": lambda name, net, path: torch.save(
        {k.removeprefix(LAYOUTS[name][1]): t for k, t in net.items() if k.startswith(LAYOUTS[name][1])}, path
    ),
}


def build(file: Any) -> FastITPN:
    sizes = {"family": file.family, "embed_dim": WIDTH, "depths": file.depths, "num_heads": 1}
    model = FastITPN(**sizes, num_classes=0, **file.arguments())
    for block, count in file.experts.items():
        add_experts(model, block, count)
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_files_as_they_are_saved(name: str, form: str, tmp_path: Path) -> None:
    """44 files: the project is named, every tensor is loaded or set aside with a reason, and no other."""
    client, prefix, *_ = LAYOUTS[name]
    net = reduced(name)
    FORMS[form](name, net, tmp_path / "x.pth")
    file = read_weights(tmp_path / "x.pth")
    alone = form == "trunk alone"
    assert file.client == ("SUTrack or MCITrack" if alone and client in ("SUTrack", "MCITrack") else client)
    assert ("passed over, and not run" in str(file.notes)) == (form in ("as trained", "old format"))
    model = build(file)
    report = load_weights(model, file)
    assert report.ok
    assert report.share == 1
    assert report.missing == []
    assert report.mismatched == {}
    assert_all_told(net, prefix, file, alone)
    kernel = net[f"{prefix}patch_embed.proj.weight"].flatten(1)
    assert torch.equal(model.patch_embed.proj.weight.flatten(1), kernel)


def assert_all_told(net: State, prefix: str, file: WeightsFile, alone: bool = False) -> None:
    """What is not loaded is told, and the other way round."""
    told = {name.removeprefix("module.") for name in file.parts} - {"pos_embed (template)"}
    used = {name for names in file.origin.values() for name in names}
    inside = {name.removeprefix(prefix) for name in net if name.startswith(prefix)}
    outside = set() if alone else {name for name in net if not name.startswith(prefix)}
    assert told | used == inside | outside
    assert not told & used


@pytest.mark.parametrize("name", LAYOUTS)
def test_whole_layouts(name: str) -> None:
    """Every name of a released network, with few channels."""
    client, prefix, depths, used, px = LAYOUTS[name]
    net = reduced(name, whole=True)
    file = read_weights({"net": net})
    assert (file.client, file.depths, file.px) == (client, depths, px)
    assert_all_told(net, prefix, file)
    report, _, _ = plan_loading(build(file), file)
    assert report.ok
    assert report.num_loaded == used


@pytest.mark.parametrize("name", ["sutrack_t224", "uetrack_tiny", "dutrack_256", "aqatrack_256", "rotated_fast_itpn_t"])
def test_inspect_names_the_project(name: str, tmp_path: Path) -> None:
    client, *_ = LAYOUTS[name]
    FORMS["as trained"](name, reduced(name), tmp_path / "x.pth")
    inspection = inspect(tmp_path / "x.pth")
    assert f"in a checkpoint of {client}" in inspection.what
    [verdict] = inspection.verdicts
    assert verdict.ok, verdict
    assert ("add_experts(model, 2, 2)" in verdict.model) == (client == "UETrack")


def test_tensors_of_the_client_are_given_on() -> None:
    """Tables and tokens that the encoder has no place for, for a tracker that has."""
    net = reduced("sutrack_t224")
    file = read_weights({"net": net})
    table = net["encoder.body.pos_embed"]
    assert torch.equal(file.tensors["pos_embed"][:, 1:], table[:, :196])
    assert torch.equal(file.client_tensors["pos_embed_template"], table[:, 196:])
    assert torch.equal(file.client_tensors["search_token"], net["encoder.body.search_token"])
    net = reduced("cstrack_256")
    file = read_weights({"net": net})
    model = build(file)
    load_weights(model, file)
    rows = torch.cat([net["backbone.pos_embed"][:, :1], net["backbone.pos_embed_x"]], 1)
    assert torch.equal(model.pos_embed, rows)
    assert torch.equal(file.client_tensors["pos_embed_z"], net["backbone.pos_embed_z"])
    assert file.origin["pos_embed"] == ("pos_embed_x",)
