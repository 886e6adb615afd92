"""What is attacked: small pictures with labels, checkpoints, a short run, and a command of each verb."""

import sys
from collections.abc import Mapping
from pathlib import Path

TINY = ("model=fastitpn_nano", "px=32", "batch=4", "steps=3", "warmup_steps=0", "workers=0", "device=cpu")

VERBS: Mapping[str, str] = {
    "finetune classify": "finetune classify data={scenes}/classify out={out} defaults=fixed {tiny}",
    "finetune segment": "finetune segment data={scenes}/segment head=linear out={out} {tiny}",
    "pretrain": "pretrain data={scenes}/unlabelled out={out} {tiny}",
    "cache-features": "pretrain cache-features data={scenes}/unlabelled teacher=timm:test_vit "
    "teacher.weights={teacher} teacher.px=64 batch=5 workers=0 device=cpu out={out}",
    "data shard": "data shard data={scenes}/unlabelled out={out}",
    "evaluate": "evaluate {run} {scenes}/classify/val out={out} device=cpu",
    "finetune detect": "finetune detect data={scenes}/detect detector=faster_rcnn out={out} {tiny}",
    "predict classes": "predict {run} {scenes}/unlabelled out={out} device=cpu",
    "predict boxes": "predict {made}/dino.ckpt {scenes}/unlabelled out={out} device=cpu",
    "predict masks": "predict {made}/linear.ckpt {scenes}/unlabelled out={out} device=cpu",
    "visualize tokens": "visualize tokens {run} images={scenes}/unlabelled acceleration=balanced out={out} device=cpu",
    "visualize features": "visualize features {run} images={scenes}/unlabelled out={out} device=cpu",
    "doctor": "doctor {scenes}/classify out={out}",
    "data convert": "data convert data={yolo} out={out}",
    "benchmark": "benchmark {run} px=32 rounds=2 acceleration=off device=cpu out={out}",
    "visualize attention": "visualize attention {run} images={scenes}/unlabelled out={out} device=cpu",
    "report compare": "report compare {run} {run2} out={out}",
    "export onnx": "export {run} format=onnx out={out}",
    "export torch_export": "export {run} format=torch_export out={out}",
    "export torchscript": "export {run} format=torchscript out={out}",
    "export openvino": "export {run} format=openvino out={out}",
    "export hub": "export {run} format=hub out={out}",
    "export official": "export official {run} out={out}/weights.pth",
    "inspect": "inspect {run}",
    "recipes": "recipes",
}


def make_inputs(folder: Path) -> None:
    """Make what the commands take, unless it is there."""
    import shutil

    import timm
    import torch
    from made_models import make_checkpoint

    from fastitpn.cli.main import main as run
    from fastitpn.data.scenes import build_scenes

    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "made").mkdir(parents=True)
    forms = ("classify", "unlabelled", "segment", "detect")
    small = {"unlabelled": 8, "train_per_class": 4, "val_per_class": 2, "classes": 3, "px": (40, 56)}
    build_scenes(folder / "scenes", segment=(6, 3), detect=(6, 3), forms=forms, **small)
    from labels_examples import BOXES

    for name, content in BOXES["yolo with data.yaml"].items():
        (folder / "yolo" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "yolo" / name).write_bytes(content)
    for name in ("dino", "linear", "classifier"):
        make_checkpoint(name, folder / "made")
    torch.save(timm.create_model("test_vit").state_dict(), folder / "teacher.pth")
    for name in ("run", "run2"):
        assert run(words_of("finetune classify", folder, folder / name)) == 0
    assert run(words_of("export onnx", folder, folder / "exported")) == 0
    (folder / "done").touch()


def words_of(verb: str, folder: Path, out: Path) -> list[str]:
    """The words of a verb's command."""
    places = {name: folder / name for name in ("scenes", "made", "yolo", "run", "run2")}
    places |= {"teacher": folder / "teacher.pth", "out": out}
    words = [word for part in VERBS[verb].split() for word in (TINY if part == "{tiny}" else [part])]
    return [word.format(**{name: str(path) for name, path in places.items()}) for word in words]


def main(words: list[str]) -> None:
    """Runs a command, and ends the process as it does."""
    from fastitpn.cli.main import main as run

    sys.exit(run(words))


def shared_inputs(folder: Path) -> Path:
    """The folder of inputs of all classes, beside that of one."""
    return folder.parent / "inputs"
