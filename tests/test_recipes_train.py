"""Every recipe is built and takes two steps, at reduced size: with `fastitpn_nano`, small pictures and small heads.

Recipes that differ in numbers alone, such as epochs and rates, are run once.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from tiny_runs import words

from fastitpn.cli.main import main
from fastitpn.runs.run import Run

ROOT = Path(__file__).parents[1]
NUMBERS = {"model", "px", "max_px", "multi_scale", "batch", "accumulate", "devices", "nodes", "steps", "epochs"} | {
    *(
        "warmup_steps",
        "warmup_epochs",
        "lr",
        "min_lr",
        "layer_decay",
        "drop_path",
        "betas",
        "weight_decay",
        "clip_grad",
    ),
    *("eval_every_epochs", "checkpoint_every", "log_every", "grad_checkpointing", "crop_scale", "scale_range"),
}
SMALL: dict[str, Any] = {
    **{"model": "fastitpn_nano", "batch": 2, "accumulate": 1, "devices": 1, "nodes": 1, "steps": 2, "workers": 0},
    **{"warmup_steps": 0, "device": "cpu", "log_every": 1, "epochs": None, "warmup_epochs": None},
}
DETECTORS = {
    "dino": {"queries": 8, "layers": 1, "denoising": 4},
    "maskdino": {"width": 32, "queries": 8, "denoising": 4},
}
HEADS = {"upernet": {"width": 16}, "maskdino": DETECTORS["maskdino"]}


def kind(recipe: Path) -> tuple[str, str]:
    """The verb of a recipe, and what is left of it without numbers that change no part of the network."""
    command = re.search(r"^#   command +fastitpn (.*?) recipe=", recipe.read_text(encoding="utf-8"), re.M)
    assert command
    settings = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    settings["mask"] = settings.get("mask", {}).get("kind")
    settings["teacher"] = settings.get("teacher", {}) | {"name": str(settings.get("teacher", {}).get("name"))[:4]}
    return command[1], repr(sorted((k, repr(v)) for k, v in settings.items() if k not in NUMBERS))


def recipes() -> list[Any]:
    """One recipe of each kind; its verb beside it."""
    kinds = {kind(recipe): recipe for recipe in sorted((ROOT / "recipes").glob("*.yaml"))}
    return [pytest.param(verb, recipe, id=recipe.stem) for (verb, _), recipe in kinds.items()]


def settings_of(verb: str, recipe: Path, fixtures: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, Any]:
    """Keys that make the run small."""
    content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    if verb == "pretrain":
        small = {"data": fixtures.getfixturevalue("scenes").unlabelled, "px": 64}
        if content["teacher"]["name"].startswith("timm:"):
            torch.manual_seed(0)
            torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
            small |= {"teacher": "timm:test_vit", "teacher_weights": tmp_path / "vit.pth"}
        return small
    small = {"scratch": True}
    if verb == "finetune classify":
        scenes = fixtures.getfixturevalue("scenes")
        return {**small, "data": scenes.train, "val": scenes.val, "px": 32}
    if verb == "finetune detect":
        sizes = {"px": 64, "max_px": 96, **({"multi_scale": "48,64"} if "multi_scale" in content else {})}
        keys = DETECTORS.get((content["detector"] if isinstance(content["detector"], dict) else {}).get("name"), {})
        keys = keys or {"regions": 16}
        parts = {f"detector.{key}": value for key, value in keys.items()}
        return {**small, **sizes, **parts, "data": fixtures.getfixturevalue("detect_scenes")}
    data = "panoptic_scenes" if content.get("panoptic") else "segment_scenes"
    keys = HEADS.get((content["head"] if isinstance(content["head"], dict) else {}).get("name"), {})
    parts = {f"head.{key}": value for key, value in keys.items()}
    return {**small, **parts, "data": fixtures.getfixturevalue(data), "px": 64, "reduce_zero_label": False}


@pytest.mark.parametrize(("verb", "recipe"), recipes())
def test_two_steps(verb: str, recipe: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    keys = {**SMALL, **settings_of(verb, recipe, request, tmp_path), "out": tmp_path / "run"}
    assert main([*verb.split(), f"recipe={recipe}", *words(**keys)]) == 0
    run = Run(tmp_path / "run")
    assert run.complete
    losses = [row["loss"] for row in run.history if row["split"] == "train"]
    assert len(losses) == 2
    assert torch.isfinite(torch.tensor(losses)).all()
