"""The script that trains on photographs of others."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import real_data
from benchmarks.harness.options import start
from fastitpn.config import parse
from fastitpn.tasks.registry import TASKS


@pytest.mark.parametrize("name", real_data.ARMS)
def test_the_keys_are_those_of_the_task(name):
    _, task, keys, figures = real_data.ARMS[name]
    config = TASKS.keys_of(task).train(data=Path("a"), **real_data.SHARED, **_heads(task, keys))
    assert not config.problems()
    known = {metric.name for metric in TASKS.spec(task).all_metrics}
    assert set(figures) <= known


def _heads(task: str, keys: dict) -> dict:
    """Keys whose values the command line would make objects of."""
    words = [f"{name}={value}" for name, value in keys.items() if isinstance(value, str)]
    for part in ("head", "detector"):
        if isinstance(nested := keys.get(part), dict):
            words += [f"{part}={nested['name']}"]
            words += [f"{part}.{key}={value}" for key, value in nested.items() if key != "name"]
    parsed = parse(TASKS.keys_of(task).train, ["data=a", *words])
    return {name: getattr(parsed, name) if isinstance(value, str | dict) else value for name, value in keys.items()}


def test_each_data_set_is_trained_once_and_measured_on_both_parts(tmp_path, monkeypatch):
    trained, measured = [], []

    def finetune(task, **keys):
        trained.append((task, keys["data"], keys["epochs"]))
        return SimpleNamespace(best_checkpoint=keys["out"] / "best.ckpt")

    def evaluate(checkpoint, data, *, split, out, **keys):
        measured.append((checkpoint.parent.name, split))
        return SimpleNamespace(metrics={"miou": 10.0 * len(measured), "pixel_accuracy": 90.0})

    monkeypatch.setattr(real_data.fastitpn, "finetune", finetune)
    monkeypatch.setattr(real_data.fastitpn, "evaluate", evaluate)
    out = tmp_path / "figures.json"
    words = [f"camvid={tmp_path}", f"work={tmp_path / 'work'}", f"out={out}", "seeds=0", "device=cpu", "workers=0"]
    start(real_data.Options, real_data.run, words)
    start(real_data.Options, real_data.run, words)
    assert trained == [("segment", tmp_path, 12)]
    assert measured == [("camvid", "val"), ("camvid", "test")]
    [row] = json.loads(out.read_text())["rows"]
    assert row == {
        "data": "camvid",
        "seed": 0,
        "epochs": 12,
        "val_miou": 10.0,
        "val_pixel_accuracy": 90.0,
        "test_miou": 20.0,
        "test_pixel_accuracy": 90.0,
    }
