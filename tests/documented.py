"""What README and docs tell a reader to type, found in their text and made small enough to be run in a test."""

import re
import shlex
import shutil
import tempfile
from pathlib import Path

import pytest
import timm
import torch
import yaml
from PIL import Image
from tiny_runs import TRAINING, words
from tuning_fakes import FakeSpeed
from video_example import moving, write_video

import fastitpn
from fastitpn.benchmarking import benchmark, matmul_peak, timing
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.commands.registry import all_verbs
from fastitpn.commands.verb import Verb
from fastitpn.config.shipped import recipe_file
from fastitpn.data.scenes import build_scenes
from fastitpn.models.weights.published import published_file
from fastitpn.tuning import search, subject

ROOT = Path(__file__).parents[1]
FACTS = yaml.safe_load((ROOT / "docs" / "_site" / "facts.yaml").read_text(encoding="utf-8"))
"""What README and pages both say, and no code knows."""
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
WITHOUT_END = {("app",)}
"""Verbs that only Ctrl-C ends."""
FETCHES = ("weights", "get")
"""The one verb that fetches something."""


def readme_commands() -> list[str]:
    """In the README's order, without the comments behind them."""
    lines = [line for language, block in README_BLOCKS if language != "python" for line in block.splitlines()]
    return [line.split("#")[0].strip() for line in lines if line.startswith("fastitpn ")]


def verb_of(command: str) -> tuple[Verb, list[str]]:
    """Verb and arguments of a command line."""
    _, *arguments = shlex.split(command)
    verb = next(verb for verb in all_verbs() if tuple(arguments[: len(verb.words)]) == verb.words)
    return verb, arguments[len(verb.words) :]


def small(command: str) -> list[str]:
    """A command with keys that make it small; the later of two keys wins."""
    verb, arguments = verb_of(command)
    given = {word.partition("=")[0] for word in arguments}
    keys: dict[str, object] = {}
    if "steps" in verb.config.__dataclass_fields__:
        keys = dict(TRAINING)
        if "weights" in given:
            keys.pop("model")  # that of the weights
    else:
        usual = {"device": "cpu", "workers": 0, **({} if "limit" in given else {"limit": 2})}
        keys = {k: v for k, v in usual.items() if k in verb.config.__dataclass_fields__}
    if verb.words == ("benchmark",):
        keys |= {"px": 32, "rounds": 1}
        keys |= {k: v for k, v in {"peers": "test_vit", "model": TRAINING["model"]}.items() if k in given}
    if verb.words == ("accelerate",):
        keys |= {"px": 32, "minutes": 0.2, "max_loss": 100}
    recipes = [recipe_file(word.removeprefix("recipe=")) for word in arguments if word.startswith("recipe=")]
    taught = [word for word in arguments if word.startswith("teacher=")] or [file.read_text() for file in recipes]
    if any("timm:" in text for text in taught):
        keys |= {"teacher": "timm:test_vit", "teacher_weights": "teacher.pth"}
    return [*verb.words, *arguments, *words(**keys)]


def measure_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `benchmark` and `accelerate` short: few calls of a model, a small product for the peak, and no memory."""
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((64, 64, 64),))
    monkeypatch.setattr(timing, "WARM_UP_CALLS", 1)
    monkeypatch.setattr(timing, "MOST_CALLS", 2)
    monkeypatch.setattr(benchmark, "MemoryMeter", lambda conditions: MemoryMeter(Conditions(device="mps")))
    monkeypatch.setattr(search, "MOST_BRACKETS", 1)
    monkeypatch.setattr(subject, "EagerSpeed", FakeSpeed)  # nothing is faster on so few tokens


def fill_folder(folder: Path, texts: str, scenes, segment_scenes: Path, detect_scenes: Path) -> Path:
    """Put everything into a folder that the commands of README and docs name, small.

    Args:
        folder: An empty one.
        texts: The pages, for the published files of weights that they name.
        scenes: The fixtures of these names.
        segment_scenes: Images with masks.
        detect_scenes: Images with COCO annotations.

    Returns:
        The folder; it is the cache of published files, too, if `FASTITPN_CACHE` says so.
    """
    shutil.copytree(scenes.unlabelled, folder / "photos")
    (folder / "new_photos").mkdir()
    for path in sorted(scenes.unlabelled.iterdir())[:4]:
        shutil.copy(path, folder / "new_photos")
    shutil.copytree(scenes.train, folder / "flowers" / "train")
    shutil.copytree(scenes.val, folder / "flowers" / "val")
    shutil.copytree(segment_scenes, folder / "streets")
    shutil.copytree(detect_scenes, folder / "animals")
    with tempfile.TemporaryDirectory() as made:
        build_scenes(Path(made) / "scenes", forms=("panoptic",), panoptic=(6, 3), classes=4, px=(40, 72))
        shutil.copytree(Path(made) / "scenes" / "panoptic", folder / "coco")
    write_video(folder / "clip.mp4", moving(4))
    write_voc(folder / "voc", sorted(scenes.unlabelled.iterdir())[:3])
    named = {published_file(name).file for name in re.findall(r"published:(\w+)", texts)}
    for name in named | set(re.findall(r"\bfast_itpn_\w+\.pt\b", texts)):
        write_published(folder / name, name.split("_")[2])
    torch.save(timm.create_model("test_vit").state_dict(), folder / "teacher.pth")
    return folder


def write_published(file: Path, size: str) -> None:
    """A file of pre-trained weights with the published names and shapes, all zero."""
    model = fastitpn.create_pretraining_model(f"fastitpn_{size}", teacher_dim=768, device="meta")
    tensors = fastitpn.to_official_names(model.state_dict())
    zeros = {name: torch.zeros(tensor.shape, dtype=torch.float16) for name, tensor in tensors.items()}
    torch.save({"module": zeros}, file)


def write_voc(folder: Path, pictures: list[Path]) -> None:
    """A Pascal VOC data set of one box in each picture, with its mask."""
    for name in ("JPEGImages", "Annotations", "SegmentationObject"):
        (folder / name).mkdir(parents=True)
    box = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    for path in pictures:
        shutil.copy(path, folder / "JPEGImages")
        text = f"<annotation><filename>{path.name}</filename><object><name>dog</name>{box}</object></annotation>"
        (folder / "Annotations" / f"{path.stem}.xml").write_text(text)
        with Image.open(path) as picture:
            mask = Image.new("L", picture.size)
        mask.paste(1, (3, 4, 19, 28))
        mask.save(folder / "SegmentationObject" / f"{path.stem}.png")
