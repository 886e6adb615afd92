"""An exported folder is a model: it gives what the checkpoint gives, in its own runtime."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import fastitpn
from fastitpn.application.answers import Answers
from fastitpn.application.config import AppConfig
from fastitpn.application.models import open_model
from fastitpn.benchmarking import benchmark, matmul_peak
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.tasks.loading import load_trained

SQUARE = Image.fromarray(skimage.data.astronaut()).resize((128, 128))
ODD = SQUARE.resize((171, 128))  # 85 x 64 there, which a detector pads to 96 x 64
WIDE = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 341)).resize((192, 128))  # 96 x 64 where px is 64


def about(folder: Path) -> dict:
    return json.loads((folder / "model.json").read_text())


def alike(given, expected) -> bool:
    """Whether two results of one image are the same, to what the gate lets through."""
    if hasattr(expected, "mask"):
        return given.mask.shape == expected.mask.shape and float((given.mask == expected.mask).mean()) >= 0.999
    if hasattr(expected, "instances"):
        pairs = list(zip(given.instances, expected.instances, strict=True))
        assert pairs
        return all(
            ours.name == theirs.name
            and ours.score == pytest.approx(theirs.score, abs=1e-3)
            and ours.box == pytest.approx(theirs.box, abs=0.2)
            for ours, theirs in pairs
        )
    return given.labels == expected.labels and given.scores == pytest.approx(expected.scores, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "form", "keys"),
    [
        ("classifier", "torchscript", {}),
        ("classifier", "torch_export", {"dynamic": "off"}),
        ("classifier", "onnx", {"opset": 17}),
        ("classifier", "openvino", {"dynamic": "off"}),
        ("multilabel", "torchscript", {}),
        ("linear", "torchscript", {}),
        ("mask2former", "torchscript", {"width": 96}),
        ("panoptic", "torchscript", {}),
        ("dino", "torchscript", {}),
        ("maskdino", "torchscript", {"width": 96}),
        ("mask_rcnn", "onnx", {"width": 96}),
        ("mask_rcnn", "openvino", {"width": 96}),
    ],
    ids=str,
)
def test_it_predicts_what_the_checkpoint_predicts(kind, form, keys, made):
    checkpoint, folder = made(kind, form, **keys)
    more, pictures = {}, [WIDE] if "width" in keys else [WIDE, SQUARE, WIDE]
    if about(folder)["task"] == "detect":
        more, pictures = {"min_score": 0.0}, [*pictures, ODD]
    expected = fastitpn.load(checkpoint, device="cpu")(pictures, **more)
    exported = fastitpn.load(folder, device="cpu")(pictures, **more)
    assert type(exported[0]) is type(expected[0])
    assert all(alike(ours, theirs) for ours, theirs in zip(exported, expected, strict=True))


def test_verbs_run_it_in_its_own_runtime(made, tmp_path, monkeypatch, capsys):
    """And nothing of the checkpoint is left: the folder is moved, and the checkpoint is not there."""
    checkpoint, folder = made("classifier", "torchscript")
    data = tmp_path / "data"
    for number, name in enumerate(("sky", "cat", "dog")):
        (data / name).mkdir(parents=True)
        SQUARE.rotate(90 * number).save(data / name / f"{number}.png")
    words = ["device=cpu", "workers=0"]
    assert main(["evaluate", str(checkpoint), str(data), f"out={tmp_path / 'e'}", *words]) == 0
    moved = shutil.copytree(folder, tmp_path / "moved")
    opened = []
    run = type(FORMATS["torchscript"]).open
    monkeypatch.setattr(type(FORMATS["torchscript"]), "open", lambda self, path: opened.append(path) or run(self, path))
    assert main(["evaluate", str(moved), str(data), f"out={tmp_path / 'f'}", *words]) == 0
    first, second = (json.loads((tmp_path / out / "evaluation.json").read_text()) for out in "ef")
    assert second["metrics"] == pytest.approx(first["metrics"], abs=1e-4)
    assert second["confusion_matrix"] == first["confusion_matrix"]
    assert main(["predict", str(moved), str(data), f"out={tmp_path / 'p'}", *words]) == 0
    rows = (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()
    assert {Path(json.loads(row)["path"]).name for row in rows} == {"0.png", "1.png", "2.png"}
    assert opened == [moved / "model.pt"] * 2


@pytest.mark.parametrize("kind", ["linear", "dino"])
def test_images_of_dense_tasks_are_evaluated(kind, made, tmp_path):
    checkpoint, folder = made(kind, "torchscript")
    data, trained = tmp_path / "data", about(folder)["trained"]
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    SQUARE.save(data / "images" / "a.png")
    if kind == "linear":
        Image.fromarray(np.ones((128, 128), np.uint8)).save(data / "masks" / "a.png")
    else:
        kinds = zip(trained["category_ids"], trained["classes"], strict=True)
        box = {"id": 1, "image_id": 1, "category_id": trained["category_ids"][0], "bbox": [9, 9, 50, 50], "area": 2500}
        content = {
            "images": [{"id": 1, "file_name": "images/a.png", "width": 128, "height": 128}],
            "categories": [{"id": number, "name": name} for number, name in kinds],
            "annotations": [{**box, "iscrowd": 0}],
        }
        data = data / "annotations.json"
        data.write_text(json.dumps(content))
    first, second = (
        fastitpn.evaluate(source, data, out=tmp_path / source.name, device="cpu", workers=0).metrics
        for source in (checkpoint, folder)
    )
    assert second == pytest.approx(first, abs=0.1)


def test_a_fixed_batch_is_filled_and_what_fills_it_is_left_out(made):
    checkpoint, folder = made("classifier", "torchscript", batch=2)
    assert about(folder)["input"]["shape"] == [2, 3, 64, 64]
    pictures = [SQUARE.rotate(30 * number) for number in range(5)]
    expected, given = (fastitpn.load(source, device="cpu")(pictures) for source in (checkpoint, folder))
    assert [one.labels for one in given] == [one.labels for one in expected]


def test_what_is_written_down(made):
    checkpoint, folder = made("dino", "torchscript")
    trained = about(folder)["trained"]
    assert (trained["task"], trained["category_ids"], trained["px"], trained["max_px"]) == ("detect", [3, 5, 8], 64, 96)
    assert (about(folder)["runtime"], about(folder)["input"]["dynamic"]) == ("torchscript", "all")
    assert not {"weights", "training", "config"} & trained.keys()
    described, known = (json.dumps(load_trained(source).about.to_dict()) for source in (folder, checkpoint))
    assert described == known


class TestSizes:
    """A graph for one size."""

    def test_an_image_of_another_size_is_named_with_ways_on(self, made):
        _, folder = made("linear", "torchscript", dynamic="off")
        with pytest.raises(InputError, match="has 96x64 px here, and this exported graph accepts only 64x64") as caught:
            fastitpn.load(folder)(WIDE)
        assert str(caught.value.fix).startswith("inference=slide to look through windows of its size, fit=stretch")
        _, folder = made("dino", "torchscript", dynamic="batch")
        with pytest.raises(InputError, match="has 96x64 px here") as caught:
            fastitpn.load(folder)(WIDE)
        assert str(caught.value.fix).startswith("fit=stretch")

    def test_windows_of_its_size_are_what_the_checkpoint_sees(self, made, tmp_path):
        checkpoint, folder = made("linear", "torchscript", dynamic="off")
        WIDE.save(tmp_path / "a.png")
        masks = []
        for source in (checkpoint, folder):
            results = fastitpn.predict(
                source, tmp_path / "a.png", inference="slide", out=tmp_path / "p", device="cpu", workers=0
            )
            masks.append(results[0].mask)
        assert np.array_equal(*masks)

    def test_stretched(self, made):
        checkpoint, folder = made("dino", "torchscript", dynamic="batch")
        [given] = fastitpn.load(folder, fit="stretch")(WIDE, min_score=0.0)
        assert given.size == WIDE.size
        assert len(given.instances) == 12 * 3
        _, folder = made("linear", "torchscript", dynamic="off")
        [given], [square] = (fastitpn.load(folder, fit="stretch")(image) for image in (WIDE, WIDE.resize((128, 128))))
        seen = Image.fromarray(square.mask).resize(WIDE.size, Image.Resampling.NEAREST)
        assert (given.mask == np.asarray(seen)).mean() > 0.9
        with pytest.raises(InputError, match="fit=stretch: not used for a checkpoint"):
            fastitpn.load(checkpoint, fit="stretch")


def test_what_differs_from_a_checkpoint_is_said(made, tmp_path):
    _, folder = made("classifier", "torchscript")
    with pytest.raises(InputError, match="has the acceleration off, which cannot be switched to fast") as caught:
        fastitpn.load(folder, "fast")
    assert caught.value.fix == "export it again: fastitpn export CHECKPOINT acceleration=fast"
    fastitpn.load(folder, "off")
    with pytest.raises(InputError, match="this is an exported model: a graph") as caught:
        fastitpn.export("onnx", folder, out=tmp_path / "a")
    assert caught.value.expected == "the run or the checkpoint that was exported"
    for key in ("compile", "reuse"):
        with pytest.raises(InputError, match=f"{key}=true: not used for an exported folder"):
            fastitpn.predict(folder, folder, out=tmp_path / "b", **{key: True})


class TestChanged:
    """Folders that are not what was exported."""

    @pytest.fixture
    def folder(self, made, tmp_path):
        return shutil.copytree(made("classifier", "torchscript")[1], tmp_path / "a")

    def test_another_file(self, folder, capsys):
        with (folder / "model.pt").open("ab") as file:
            file.write(b"\0")
        assert main(["predict", str(folder), str(folder)]) == 2
        error = capsys.readouterr().err
        assert "this file was changed after the export: its checksum is another than in model.json" in error
        assert f"where:    {folder / 'model.pt'}" in error
        assert "fix:      export it again" in error

    def test_no_file(self, folder):
        (folder / "model.pt").unlink()
        with pytest.raises(InputError, match="a file of this export is missing"):
            fastitpn.load(folder)

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda about: about.pop("sha256"), "exported by another version of fastitpn, which wrote no checksum"),
            (lambda about: about.pop("format"), r"model\.json of this folder cannot be read: KeyError"),
            (lambda about: about.update(runtime="tpu"), "there is no format 'tpu'"),
            (lambda about: about.update(trained=None), "it cannot predict by itself"),
        ],
    )
    def test_another_description(self, folder, change, text):
        content = about(folder)
        change(content)
        (folder / "model.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=text):
            fastitpn.load(folder)

    def test_no_json(self, folder):
        (folder / "model.json").write_text("{")
        with pytest.raises(InputError, match=r"model\.json of this folder cannot be read: JSONDecodeError"):
            fastitpn.load(folder)

    def test_a_file_of_another_runtime(self, folder):
        content = about(folder) | {"runtime": "onnx"}
        (folder / "model.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="the exported file cannot be opened"):
            fastitpn.load(folder)


def test_the_page_shows_it(made, tmp_path):
    """With the acceleration that it has, of which nothing can be changed."""
    checkpoint, folder = made("classifier", "torchscript", acceleration="fast")
    SQUARE.save(tmp_path / "a.png")
    answers = Answers.of(open_model(AppConfig(checkpoint=folder, device="cpu")))
    assert (answers.choices, answers.keep_ratio("fast")) == (["fast"], None)
    assert answers.model.facts[-1] == "by torchscript"
    answer = answers.answer(tmp_path / "a.png", "fast", 0.5, 0.0)
    [expected] = fastitpn.load(checkpoint, "fast", device="cpu")(tmp_path / "a.png")
    assert [share.name for share in answer.shown.shares] == list(expected.labels)
    assert answer.acceleration.name == "fast"
    assert answer.timing.ms == answer.timing.plain_ms
    assert answer.tokens == []


def test_benchmark_measures_it_beside_its_network(made, tmp_path, monkeypatch):
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((64, 64, 64),))
    monkeypatch.setattr(benchmark, "MemoryMeter", lambda conditions: MemoryMeter(Conditions(device="mps")))
    _, folder = made("classifier", "torchscript", acceleration="fast")
    keys = {"device": "cpu", "workers": 0, "rounds": 1, "threads": 1, "out": tmp_path / "b"}
    rows = fastitpn.benchmark(checkpoint=folder, **keys).rows
    assert [row.acceleration for row in rows] == ["off", "fast", "fast, torchscript"]
    assert [row.px for row in rows] == [64] * 3
    assert rows[0].gflops > rows[1].gflops == rows[2].gflops
    assert all(row.p50_ms > 0 and row.problem is None for row in rows)
    with pytest.raises(InputError, match="has the acceleration fast, which cannot be switched to balanced"):
        fastitpn.benchmark(checkpoint=folder, acceleration=("balanced",), **keys)
