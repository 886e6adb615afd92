"""A training with learned scores and learned gathering tokens, and what can be done with its checkpoint."""

import pytest
import torch
from tiny_runs import FINETUNING, TRAINING

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS

KEYS = {"acceleration": "balanced", "criterion": "learned", "gathering_tokens": "learned", "px": 64}


@pytest.fixture(scope="module")
def run(scenes, pretrained_run, tmp_path_factory):
    keys = {**FINETUNING, **KEYS, "weights": pretrained_run.directory, "steps": 2}
    out = tmp_path_factory.mktemp("learned") / "run"
    return fastitpn.finetune("classify", data=scenes.train, val=scenes.val, out=out, **keys)


def test_the_checkpoint_has_what_was_learnt(run, scenes, tmp_path):
    content = load_checkpoint(run.best_checkpoint)
    assert content["model"]["arguments"]["scorers"] == [1, 1, 3]
    assert content["model"]["arguments"]["gathering_tokens"] == 1
    assert (content["acceleration"]["name"], content["acceleration"]["migration"]["metric"]) == (
        "balanced learned learned",
        "learned",
    )
    assert run.history[0]["scorers"] > 0
    trained = load_trained(run.directory)
    assert trained.acceleration.to_dict() == content["acceleration"]
    assert trained.backbone.scorers[0].queries.shape == (1, trained.backbone.embed_dim)
    assert load_trained(run.directory, "off").acceleration.off
    weights = content["weights"]
    start = torch.load(run.best_checkpoint, weights_only=True)["weights"]
    assert torch.equal(weights["scorers.0.queries"], start["scorers.0.queries"])
    evaluation = fastitpn.evaluate(run.directory, scenes.val, out=tmp_path / "e", device="cpu", workers=0)
    assert 0 <= evaluation.metrics["top1"] <= 100


@pytest.mark.parametrize(
    ("asked", "scorers", "tokens"),
    [({}, [1, 1, 3], 1), ({"acceleration": "fast"}, None, None)],
    ids=["its own", "fast"],
)
def test_another_training_goes_on_with_them_or_without(run, scenes, asked, scorers, tokens):
    spec = TASKS.spec("classify")
    data = {"data": scenes.train, "val": scenes.val, "weights": run.directory, "out": run.directory}
    config = TASKS.keys_of("classify").train(**{**FINETUNING, **data, **asked})
    arguments = spec.build(config, spec.open_data(config)).about.model["arguments"]
    assert (arguments.get("scorers"), arguments.get("gathering_tokens")) == (scorers, tokens)


@pytest.mark.parametrize(("task", "head"), [("segment", {"head": "linear"}), ("detect", {"detector": "dino"})])
def test_dense_tasks_have_a_query_for_each_patch(task, head, segment_scenes, detect_scenes, tmp_path):
    data = segment_scenes if task == "segment" else detect_scenes
    keys = {**TRAINING, **KEYS, **head, "model": "fastitpn_nano", "scratch": True, "data": data, "out": tmp_path / "r"}
    spec, config = TASKS.spec(task), build(TASKS.keys_of(task).train, keys)
    split = spec.open_data(config)
    built = spec.build(config, split)
    assert built.about.model["arguments"]["scorers"] == [1, 16, split.num_classes]
    assert built.backbone.acceleration.migration.metric == "learned"


def test_a_map_that_is_one_window_gathers_nothing(scenes, tmp_path):
    spec = TASKS.spec("classify")
    keys = {**FINETUNING, **KEYS, "scratch": True, "data": scenes.train, "val": scenes.val, "out": tmp_path / "r"}
    config = build(TASKS.keys_of("classify").train, keys)
    task = spec.build(config, spec.open_data(config))
    assert not any(p.requires_grad for p in task.backbone.gathering_tokens.parameters())
    assert all(p.requires_grad for p in task.backbone.scorers.parameters())
    task.backbone.set_input_size(512)
    task.backbone.set_acceleration(task.backbone.acceleration)
    assert all(p.requires_grad for p in task.backbone.gathering_tokens.parameters())


def test_a_criterion_needs_tokens_that_leave(scenes, tmp_path):
    with pytest.raises(InputError, match="criterion=learned: the acceleration off has no migration"):
        fastitpn.finetune(
            "classify", data=scenes.train, scratch=True, criterion="learned", out=tmp_path / "r", **FINETUNING
        )
