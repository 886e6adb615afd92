"""The example beside an ONNX file runs with onnxruntime and Pillow alone, and does what `fastitpn predict` does."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastitpn

ALLOWED = {"numpy", "onnxruntime", "PIL", *sys.stdlib_module_names}  # numpy comes with onnxruntime


def run(folder: Path, *pictures: Path) -> list[str]:
    """Runs the example where there is no other package of ours; the lines that it prints."""
    script = folder / "run.py"
    words = [sys.executable, "-I", str(script), *map(str, pictures)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def picture(scenes, tmp_path) -> Path:
    path = tmp_path / "a.jpg"
    shutil.copy(next(scenes.val.rglob("*.jpg")), path)
    return path


@pytest.mark.parametrize("task", ["classify", "segment", "detect", "features"])
def test_it_is_short_and_needs_nothing_else(task):
    text = (Path(fastitpn.__file__).parent / "exporting" / "examples" / f"{task}.py").read_text()
    tree = ast.parse(text)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= ALLOWED
    assert len([line for line in text.splitlines()[1:] if line and not line.startswith(("import", "from"))]) <= 20


def test_a_classifier_names_what_predict_names(classifier_onnx, classifier_run, picture):
    [expected] = fastitpn.load(classifier_run.directory, device="cpu")(picture)
    lines = run(classifier_onnx, picture)
    shown = [line.removeprefix(f"{picture} ").rsplit(" ", 1) for line in lines]
    assert [name for name, _ in shown] == list(expected.labels[:3])
    assert [float(score) for _, score in shown] == pytest.approx(expected.scores[:3], abs=2e-4)


def test_a_segmentation_network_writes_a_mask(segmenter_onnx, segmenter_run, picture):
    run(segmenter_onnx, picture)
    with Image.open(picture.with_suffix(".mask.png")) as mask, Image.open(picture) as image:
        assert (mask.size, mask.mode) == (image.size, "P")
        labels = np.asarray(mask)
    assert labels.max() < len(segmenter_run.best_checkpoint and fastitpn.load(segmenter_run.directory).classes)


def test_features_of_a_fixed_batch(pyramid_onnx, picture):
    run(pyramid_onnx, picture)
    with np.load(picture.with_suffix(".npz")) as maps:
        assert {name: values.shape[2] for name, values in maps.items()} == {
            "p4": 8,
            "p8": 4,
            "p16": 2,
            "p32": 1,
            "p64": 1,
        }
