"""The example beside an ONNX file runs with onnxruntime and Pillow alone, and does what `fastitpn predict` does."""

import ast
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.pixel_range import PixelRange
from fastitpn.data.images.reading import Reading
from fastitpn.exporting.example import example_script
from fastitpn.exporting.examples.picture import read_picture
from fastitpn.exporting.formats.registry import FORMATS

ALLOWED = {"numpy", "PIL", *sys.stdlib_module_names}  # numpy comes with every runtime
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "torchscript": "torch", "torch_export": "torch"}


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


@pytest.mark.parametrize("form", RUNTIMES)
@pytest.mark.parametrize("task", ["classify", "segment", "detect", "features"])
def test_it_is_short_and_needs_nothing_else(task, form):
    path = Path(fastitpn.__file__).parent / "exporting" / "examples" / f"{task}.py"
    text = path.read_text()
    script = example_script(path, FORMATS[form])
    assert "opening" not in script
    tree = ast.parse(script)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - ALLOWED == {RUNTIMES[form]}
    assert len([line for line in text.splitlines()[1:] if line and not line.startswith(("import", "from"))]) <= 20


def write(path: Path, kind: str) -> Path:
    """A picture of 6x4 px, of the kinds that people have."""
    ramp = np.arange(24).reshape(4, 6)
    if kind == "12 bits":
        Image.fromarray((ramp * 170).astype(np.uint16)).save(path)
    elif kind == "12 bits in colour":
        values = np.stack([ramp * 170, ramp * 100, ramp * 7 + 3], -1).astype(">u2")
        tiff = np.frombuffer(values.tobytes(), np.uint8)
        return deep_png(path, 6, 4, tiff.tobytes())
    elif kind == "floats":
        Image.fromarray((ramp / 24).astype(np.float32)).save(path)
    elif kind == "transparent":
        Image.fromarray(np.stack([ramp * 10] * 4, -1).astype(np.uint8), "RGBA").save(path)
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.stack([ramp * 10] * 3, -1).astype(np.uint8)).save(path, exif=exif)
    return path


def deep_png(path: Path, width: int, height: int, values: bytes) -> Path:
    """A PNG in colours of 16 bits, which Pillow reads and does not write."""
    rows = b"".join(b"\0" + values[row * width * 6 : (row + 1) * width * 6] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


@pytest.mark.parametrize(
    ("kind", "suffix", "text"),
    [
        ("12 bits", ".png", "12bit"),
        ("12 bits", ".tiff", "full"),
        ("12 bits", ".png", "500-3000"),
        ("12 bits in colour", ".png", "12bit"),
        ("12 bits in colour", ".png", "full"),
        ("floats", ".tiff", "full"),
        ("floats", ".tiff", "float255"),
        ("transparent", ".png", None),
        ("turned", ".png", None),
    ],
)
def test_a_picture_is_read_as_in_the_training(tmp_path, kind, suffix, text):
    path = write(tmp_path / f"a{suffix}", kind)
    extent = PixelRange.parse(text) if text else None
    about = {}
    if extent is not None:
        values = {"black": extent.low, "white": extent.high, "cut": extent.cut, "white_float": extent.white_float}
        about = {"image_range": values}
    expected = read_image(path, how=Reading(range=extent) if extent else None)
    assert np.array_equal(np.asarray(read_picture(path, about)), np.asarray(expected))
    assert np.ptp(np.asarray(expected)) > 5 or text == "float255"


def test_a_classifier_names_what_predict_names(classifier_onnx, short_classifier_run, picture):
    [expected] = fastitpn.load(short_classifier_run.directory, device="cpu")(picture)
    lines = run(classifier_onnx, picture)
    shown = [line.removeprefix(f"{picture} ").rsplit(" ", 1) for line in lines]
    assert [name for name, _ in shown] == list(expected.labels[:3])
    assert [float(score) for _, score in shown] == pytest.approx(expected.scores[:3], abs=2e-4)


def test_a_segmentation_network_writes_a_mask(segmenter_onnx, short_segmenter_run, picture):
    run(segmenter_onnx, picture)
    with Image.open(picture.with_suffix(".mask.png")) as mask, Image.open(picture) as image:
        assert (mask.size, mask.mode) == (image.size, "P")
        labels = np.asarray(mask)
    assert labels.max() < len(
        short_segmenter_run.best_checkpoint and fastitpn.load(short_segmenter_run.directory).classes
    )


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
