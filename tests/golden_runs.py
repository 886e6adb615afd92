"""Short runs of every kind, reduced to digests: what a change of the layout must leave as it was, bit by bit.

Bits differ between processors and versions of PyTorch, so both sides are run on one machine:

    git worktree add ../before REVISION
    PYTHONPATH=../before/src python tests/golden_runs.py before.json
    PYTHONPATH=src python tests/golden_runs.py after.json --compare before.json

It uses the public functions alone, so that the same file runs with both.
"""

import argparse
import hashlib
import html
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

import fastitpn
from fastitpn.data.scenes import build_scenes

STEPS = 20
TRAINING: dict[str, Any] = {
    "model": "fastitpn_nano",
    "px": 64,
    "batch": 4,
    "steps": STEPS,
    "warmup_steps": 2,
    "log_every": 1,
    "checkpoint_every": 10,
    "workers": 0,
    "device": "cpu",
    "precision": "32-true",
}
SEGMENT = {
    "segment_linear": {"head": "linear"},
    "segment_upernet": {"head": "upernet"},
    "segment_mask2former": {"head": "mask2former", "head_width": 32, "queries": 12},
}
PANOPTIC = {"head": "mask2former", "head_width": 32, "queries": 12, "panoptic": True}
DETECT = {
    "detect_mask_rcnn": {"detector": "mask_rcnn"},
    "detect_faster_rcnn": {"detector": "faster_rcnn"},
    "detect_cascade_mask_rcnn": {"detector": "cascade_mask_rcnn"},
    "detect_dino": {"detector": "dino", "queries": 20, "layers": 1},
    "detect_mask2former": {"detector": "mask2former", "queries": 12, "layers": 1},
}
EXPORTS = ("classify", "segment_linear", "segment_upernet", "detect_faster_rcnn", "detect_dino", "pretrain_ema")
TIMED = ("images_per_s", "data_wait_ratio", "memory_mib")


def main() -> int:
    """Run all, write the digests, and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="where to write the digests")
    parser.add_argument("--compare", type=Path, help="digests of the other side")
    parser.add_argument("--only", default="", help="kinds of runs whose names begin so")
    options = parser.parse_args()
    torch.set_num_threads(1)
    out, other = options.out.absolute(), options.compare and options.compare.absolute()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        digests = run_all(options.only)
    out.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")
    if other is None:
        return 0
    before = json.loads(other.read_text())
    before = {name: value for name, value in before.items() if name.startswith(options.only)}
    different = list(differences(before, digests))
    print("\n".join(different) or f"identical: {sum(map(len, digests.values()))} digests of {len(digests)} runs")
    return 1 if different else 0


def run_all(only: str = "") -> dict[str, dict[str, Any]]:
    """The digests of every run whose name begins with `only`; the pre-training that others start from is always run."""
    data = build_scenes(Path("data"), unlabelled=24, train_per_class=6, val_per_class=2, classes=3, px=(56, 80))
    forms: dict[str, Any] = {"segment": (10, 5), "panoptic": (10, 5), "detect": (10, 5)}
    for form, count in forms.items():
        build_scenes(Path(form), forms=(form,), classes=4, px=(64, 80), **{form: count})
    segment, panoptic, detect = (Path(form) / form for form in forms)
    start = fastitpn.pretrain(data=data.unlabelled, out="pretrain_ema", **TRAINING)
    result: dict[str, dict[str, Any]] = {"pretrain_ema": _run(start)}

    def add(name: str, run: Callable[[], Any], *more: Callable[[Any], dict[str, Any]]) -> None:
        if name.startswith(only):
            print(name, file=sys.stderr, flush=True)
            made = run()
            result[name] = _run(made)
            for extra in more:
                result[name] |= extra(made)

    timm_teacher = {"name": "timm:resnet18", "weights": _resnet()}
    add("pretrain_timm", lambda: fastitpn.pretrain(data=data.unlabelled, teacher=timm_teacher, out="timm", **TRAINING))
    level = {"objective": "per_level", "acceleration": "balanced"}
    add("pretrain_per_level", lambda: fastitpn.pretrain(data=data.unlabelled, out="level", **TRAINING, **level))

    def stored() -> Any:
        folder = fastitpn.cache_features(
            data=data.unlabelled, teacher={**timm_teacher, "px": 128}, out="features", device="cpu", workers=0
        )
        keys = {**TRAINING, "teacher": f"features:{folder}"}
        return fastitpn.pretrain(data=data.unlabelled, out="stored", **keys)

    add("pretrain_stored", stored)
    tasks: dict[str, tuple[str, Path, dict[str, Any]]] = {"classify": ("classify", data.train, {"val": data.val})}
    tasks |= {name: ("segment", segment, keys) for name, keys in SEGMENT.items()}
    tasks["segment_panoptic"] = ("segment", panoptic, PANOPTIC)
    tasks |= {name: ("detect", detect, keys) for name, keys in DETECT.items()}
    for name, (task, source, keys) in tasks.items():
        images = data.val if task == "classify" else _val_images(source)
        scored = data.val if task == "classify" else source

        def train(task=task, source=source, keys=keys, name=name) -> Any:  # type: ignore[no-untyped-def]
            keys = {**TRAINING, "defaults": "fixed", "lr": 2e-3, "weights": start.directory, **keys}
            return fastitpn.finetune(task, data=source, out=name, **keys)

        def use(run, name=name, images=images, scored=scored) -> dict[str, Any]:  # type: ignore[no-untyped-def]
            found = {}
            if name in EXPORTS:
                fastitpn.export("onnx", run.directory, out=f"{name}-export", dynamic="off")
                about = json.loads(Path(f"{name}-export/model.json").read_text())
                found["export"] = {key: about[key] for key in sorted(about) if key not in ("source", "versions")}
            shared = {"device": "cpu", "workers": 0, "precision": "32-true"}
            fastitpn.evaluate(run.directory, scored, out=f"{name}-evaluate", **shared)
            found["evaluation"] = json.loads(Path(f"{name}-evaluate/evaluation.json").read_text())
            found["evaluation_report"] = _page(Path(f"{name}-evaluate/report.html"))
            keys = {**shared, **({"min_score": 0.0} if "detect" in name else {})}
            fastitpn.predict(run.directory, images, out=f"{name}-predict", **keys)
            found["predictions"] = _files(Path(f"{name}-predict"))
            return found

        add(name, train, use)
    return result


def _val_images(source: Path) -> Path:
    return next(folder for folder in (source / "images" / "val", source / "val") if folder.is_dir())


def _resnet() -> str:
    import timm

    torch.manual_seed(7)
    torch.save(timm.create_model("resnet18", num_classes=0).state_dict(), "resnet18.pt")
    return "resnet18.pt"


def _run(run: Any) -> dict[str, Any]:
    rows = [{key: value for key, value in row.items() if key not in TIMED} for row in run.history]
    found: dict[str, Any] = {"rows": rows, "metrics": dict(run.metrics), "report": _page(run.directory / "report.html")}
    for path in sorted((run.directory / "checkpoints").iterdir()):
        content = torch.load(path, weights_only=True)
        content.pop("config", None)
        found[path.name] = dict(_leaves(content))
    return found


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}/{key}")
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{name}/{place}")
    elif isinstance(value, Tensor):
        yield name, f"{list(value.shape)} {hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()[:16]}"
    elif not any(timed in name for timed in ("seconds", "waited", *TIMED)):
        yield name, value


def _page(path: Path) -> dict[str, Any]:
    """The words and pictures of a report, without what time and the machine decide."""
    page = re.sub(r"<pre.*?</pre>", " ", path.read_text(), flags=re.DOTALL)  # the settings, whose keys may move
    pictures = re.findall(r"data:image/[^\"')]+", page)
    text = html.unescape(re.sub(r"<(script|style).*?</\1>|<[^>]+>|data:image/[^\"')]+", " ", page, flags=re.DOTALL))
    words = [word for word in text.split() if not re.search(r"\d", word)]
    return {"pictures": [_digest(picture.encode()) for picture in pictures], "words": _digest(" ".join(words).encode())}


def _files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): _digest(path.read_bytes()) for path in sorted(folder.rglob("*.*"))}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def differences(before: Any, after: Any, name: str = "") -> Iterator[str]:
    """Where two nested values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before | after:
            if key not in before or key not in after:
                yield f"{name}/{key}: only {'before' if key in before else 'after'}"
            else:
                yield from differences(before[key], after[key], f"{name}/{key}")
    elif before != after:
        yield f"{name}: {str(before)[:200]} before, {str(after)[:200]} after"


if __name__ == "__main__":
    sys.exit(main())
