import pytest

from fastitpn.config.fields import fields_of
from fastitpn.nearest import OTHER_TOOLS, nearest_name
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.pretrain.config import PretrainConfig

NAMES = ["batch", "lr", "min_lr", "epochs", "teacher.weights", "weights", "mask.ratio", "warmup_epochs", "px"]
NAMES += ["ema", "betas", "scratch", "image.max_mpx"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("epoch", "epochs"),
        ("eopchs", "epochs"),
        ("batch_size", "batch"),
        ("learning_rate", "lr"),
        ("img-size", "px"),
        ("teacher_weights", "teacher.weights"),
        ("wieghts", "weights"),
        ("ratio", "mask.ratio"),
        ("warmup", "warmup_epochs"),
        ("eam", "ema"),
        ("zebra", None),
        ("task", None),
        ("cache", None),
        ("amp", None),
        ("lr0", "lr"),
        ("", None),
    ],
)
def test_nearest(wrong: str, right: str | None):
    assert nearest_name(wrong, NAMES) == right


def test_the_names_of_other_tools_lead_to_keys_that_exist():
    known = {**fields_of(PretrainConfig), **fields_of(EvaluateConfig)}
    assert set(OTHER_TOOLS.values()) <= set(known)
    assert not set(OTHER_TOOLS) & set(known)
