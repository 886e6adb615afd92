"""The published models' stored numbers, and our models with their arguments and weights, for several tests."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.reference import ReferenceClassifier, ReferencePretraining, rule_weights
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.pretraining.model import PretrainingModel
from fastitpn.pretraining.teachers.keys import Student

GOLDEN = Path(__file__).parent / "golden"
INDEX = json.loads((GOLDEN / "INDEX.json").read_text())
TOLERANCE = json.loads((GOLDEN / "TOLERANCE.json").read_text())["suggested"]
CASES = {  # case to our arguments beyond SMALL
    "meanpool": {},
    "nomeanpool": {"fc_norm": False},
    "clstoken_meanpool": {"class_token": True},
    "clstoken_nomeanpool": {"class_token": True, "fc_norm": False},
    "nolayerscale": {"init_values": 0.0},
    "noqkvbias": {"qkv_bias": False},
    "nosubln_gelu_mlp": {"sub_norm": False, "swiglu": False},
    "nosubln_swiglu": {"sub_norm": False},
    "rect64x96": {"img_size": (64, 96)},
    "rel_pos_cls": {"class_token": True, "relative_position": "own"},
    "shared_rel_cls": {"class_token": True, "relative_position": "shared"},
    "shared_decoupled_cls": {"class_token": True, "relative_position": "shared_decoupled"},
}
SMALL: dict[str, Any] = {"embed_dim": 64, "depths": (1, 1, 2), "num_heads": 2, "img_size": 64}
SMALL_PYRAMID: dict[str, Any] = {"pyramid": True, "pyramid_dim": 32, "pyramid_mlp_ratio": 85.5 / 32}


def golden(name: str) -> dict[str, Tensor]:
    """Stored tensors of a case."""
    return load_file(GOLDEN / f"{name}.safetensors")


def layout(size: str, kind: str) -> dict[str, Any]:
    """Names and shapes of a published model: {"n_parameters": int, "entries": {name: shape}}."""
    return json.loads((GOLDEN / "layouts" / f"fast_itpn_{size}_{kind}.json").read_text())


def randn(*shape: int, seed: int = 0) -> Tensor:
    """The stored numbers' input."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_golden(actual: Tensor, expected: Tensor) -> None:
    """Equal within the tolerance measured on the published code."""
    torch.testing.assert_close(
        actual, expected.reshape(actual.shape), atol=TOLERANCE["atol"], rtol=TOLERANCE["rtol"], check_stride=False
    )


def small_model(**changes: Any) -> FastITPN:
    """A FastITPN of the stored numbers' size with fresh weights, in evaluation mode."""
    return FastITPN(**{"num_classes": 10, **SMALL, **changes}).eval()


def reference_classifier(case: str, **changes: Any) -> ReferenceClassifier:
    """The literal reference of a case with its weights."""
    ours = {**SMALL, **CASES[case], **changes}
    mean_pooling, init_values = ours.pop("fc_norm", True), ours.pop("init_values", 0.1)
    model = ReferenceClassifier(num_classes=10, mean_pooling=mean_pooling, init_values=init_values, **ours)
    rule_weights(model)
    return model.eval()


def classifier(case: str, **changes: Any) -> FastITPN:
    """Our model of a case with the published weights under our names."""
    model = small_model(**{**CASES[case], **changes})
    fill(model, reference_classifier(case))
    return model


def reference_pretraining(norm: str = "end", **changes: Any) -> ReferencePretraining:
    """The literal reference of the pre-training model with its weights."""
    model = ReferencePretraining(
        **{"fpn_dim": 32, "fpn_hidden": 85, "teacher_dim": 24, "norm": norm, **SMALL, **changes}
    )
    rule_weights(model)
    return model.eval()


def pretraining_model(norm: str = "end") -> PretrainingModel:
    """Our pre-training model with the published weights under our names."""
    model = small_pretraining_model(norm=norm)
    fill(model, reference_pretraining(norm))
    return model


def small_pretraining_model(*, norm: str = "end", teacher_dim: int = 24, **changes: Any) -> PretrainingModel:
    """A pre-training model of the stored numbers' size with fresh weights, in evaluation mode."""
    arguments = {**SMALL, **SMALL_PYRAMID, "stop_grad_patch_embed": True, "weight_init": "pretrain", **changes}
    trunk = FastITPN(num_classes=0, global_pool="", **arguments)
    return PretrainingModel(trunk, teacher_dim=teacher_dim, norm=norm).eval()


def fill(model: nn.Module, reference: nn.Module) -> None:
    """Give our model the reference's weights: every one of them, and no other."""
    ours, _ = from_official_names(reference.state_dict())
    names = {name.removeprefix("backbone."): name for name in model.state_dict()}
    model.load_state_dict({names[name]: tensor for name, tensor in ours.items()})


def nano(**changes: Any) -> FastITPN:
    """`fastitpn_nano` in evaluation mode, from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model("fastitpn_nano", **changes).eval()


def student(backbone: FastITPN | None = None, *, px: int = 64) -> Student:
    """What a teacher must know of a student; its normalisation is no other's."""
    backbone = nano() if backbone is None else backbone
    return Student(backbone=backbone, px=px, grid=px // 16, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
