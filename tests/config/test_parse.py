from pathlib import Path

import pytest

from fastitpn.config import build, parse
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.timm_encoder import TimmKeys
from fastitpn.tasks.classify.config import ClassifyConfig, ClassifyPredictConfig
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.pretrain.config import PretrainConfig


def message(config_class, *words: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(config_class, words)
    return str(caught.value)


def test_words_become_typed_values():
    config = parse(
        PretrainConfig, ["data=photos", "lr=1e-4", "px=256", "betas=0.9,0.95", "compile=yes", "clip_grad=none"]
    )
    assert config.data == Path("photos")
    assert (config.lr, config.px, config.betas, config.compile, config.clip_grad) == (
        1e-4,
        256,
        (0.9, 0.95),
        True,
        None,
    )


def test_a_value_may_hold_an_equals_sign():
    assert parse(PretrainConfig, ["data=runs/lr=3/x"]).data == Path("runs/lr=3/x")


def test_the_later_of_two_words_wins():
    assert parse(PretrainConfig, ["data=a", "lr=1", "lr=2"]).lr == 2


def test_shorthand_beside_nested_keys():
    config = parse(PretrainConfig, ["data=a", "teacher=timm:vit", "teacher.weights=t.pt", "mask=0.5"])
    assert config.teacher == TimmKeys(name="timm:vit", weights=Path("t.pt"))
    assert config.mask.ratio == 0.5
    assert config == parse(PretrainConfig, ["data=a", "teacher.name=timm:vit", "teacher.weights=t.pt", "mask.ratio=.5"])


def test_positional_words():
    config = parse(ClassifyPredictConfig, ["runs/lr=1/last.ckpt", "top_k=3", "photo.jpg"])
    assert (config.checkpoint, config.source, config.top_k) == (Path("runs/lr=1/last.ckpt"), Path("photo.jpg"), 3)
    assert parse(PredictConfig, ["checkpoint=a", "source=b"]) == parse(PredictConfig, ["a", "b"])


def test_a_positional_word_too_many():
    text = message(PredictConfig, "run", "a.jpg", "b.jpg")
    assert "b.jpg: expected key=value; checkpoint and source are given already" in text


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("lr=-1", "lr: expected a number greater than 0 or auto, got '-1'"),
        ("batch=two", "batch: expected a whole number of at least 1 or auto, got 'two'"),
        (
            "px=100",
            "px: expected a whole number of at least 32, a multiple of 16 or several of them, separated by commas, "
            "got '100'; did you mean 96 or 112?",
        ),
        ("px=10", "got '10'; did you mean 32?"),
        ("loss=cosin", "loss: expected cosine or smooth_l1, got 'cosin'; did you mean cosine?"),
        ("precision=bf16", "got 'bf16'; did you mean bf16-mixed?"),
        ("compile=maybe", "compile: expected true or false, got 'maybe'"),
        ("model=", "model: expected text, got no value"),
        ("epoch=3", "epoch: unknown key; did you mean epochs?"),
        ("tacher=ema", "tacher: unknown key; did you mean teacher?"),
        ("recipes=x.yaml", "recipes: unknown key; did you mean recipe?"),
        ("zebra=3", "zebra: unknown key\n"),
        ("--lr=3", "--lr=3: keys have no dashes; type lr=3"),
        ("--warmup", "--warmup: keys have no dashes; type warmup_epochs=VALUE"),
        ("photos", "photos: expected key=value\n"),
        ("compile", "compile: expected key=value; type compile=VALUE"),
    ],
)
def test_errors_say_what_was_expected(word: str, text: str):
    assert text in message(PretrainConfig, "data=a", word) + "\n"


def test_a_folder_without_its_key_is_named_as_data():
    assert "photos/mine: expected key=value; type data=photos/mine" in message(ClassifyConfig, "photos/mine")
    assert "photos/mine: expected key=value\n" in message(ClassifyConfig, "data=my", "photos/mine") + "\n"


@pytest.mark.parametrize(
    ("given", "meant"),
    [("tensorbord", "tensorboard"), ("csv,wandbb", "csv,wandb"), ("csv, ml-flow", "csv,mlflow"), ("zebra,csv", None)],
)
def test_words_between_commas_are_named_if_near(given, meant):
    hint = f"; did you mean {meant}?" if meant else f"got {given!r}\n"
    assert hint in message(ClassifyConfig, "data=a", f"logger={given}")


def test_a_single_error_is_one_sentence_and_what_to_type():
    assert message(PretrainConfig, "data=a", "lr=-1") == (
        "lr: expected a number greater than 0 or auto, got '-1'\n  fix:      fastitpn pretrain --help lists every key"
    )


def test_all_errors_at_once():
    text = message(ClassifyConfig, "lr=-1", "epoch=3", "compile", "mixup=x", "betas=1")
    assert text.startswith("6 errors in the configuration:\n")
    for key in ("lr", "epoch", "compile", "mixup", "betas", "data"):
        assert f"\n  - {key}: " in text
    assert "data: required, but not given; expected a path" in text
    assert text.endswith("fastitpn finetune classify --help lists every key")


@pytest.mark.parametrize("words", [("epochs=3", "steps=5"), ("warmup_epochs=1", "warmup_steps=2")])
def test_alternatives_exclude_each_other(words):
    first, second = (word.split("=")[0] for word in words)
    assert f"{first}: expected only one of {first} and {second}, got both" in message(PretrainConfig, "data=a", *words)


def test_keys_are_checked_against_each_other():
    assert "min_lr: expected at most lr, which is 0.001, got 0.1" in message(
        PretrainConfig, "data=a", "lr=1e-3", "min_lr=0.1"
    )
    assert "crop_scale: expected smallest,largest up to 1, got 0.9,0.2" in message(
        PretrainConfig, "data=a", "crop_scale=0.9,0.2"
    )


def test_build_takes_python_values():
    teacher = TimmKeys(name="timm:vit", px=196)
    config = build(PretrainConfig, {"data": Path("a"), "teacher": teacher, "mask": {"exact": True}, "steps": 7})
    assert config.teacher == teacher
    assert config.mask.exact
    assert (config.steps, config.epochs) == (7, None)
    assert build(PretrainConfig, {"data": "a", "teacher": "ema", "mask.ratio": 0.3}).mask.ratio == 0.3


def test_build_reports_all_errors_too():
    with pytest.raises(InputError) as caught:
        build(PretrainConfig, {"lr": "fast", "teacher": {"nam": "ema"}})
    text = str(caught.value)
    assert "lr: expected a number greater than 0 or auto, got 'fast'" in text
    assert "teacher.nam: unknown key; did you mean teacher.name?" in text
    assert "data: required" in text


def test_build_lets_keys_win_over_the_recipe(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("data: a\nlr: 0.5\nbatch: 8\n")
    config = build(PretrainConfig, {"lr": 0.25, "recipe": recipe})
    assert (config.data, config.lr, config.batch) == (Path("a"), 0.25, 8)
