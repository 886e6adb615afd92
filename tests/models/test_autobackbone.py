"""The models in transformers, which can only be given a name: hence the `_fpn` aliases."""

from pathlib import Path
from typing import Any

import pytest
import torch
from published import nano
from transformers import (
    AutoBackbone,
    TimmBackbone,
    TimmBackboneConfig,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

from fastitpn.errors import InputError
from fastitpn.models.weights.official_names import to_official_names


def pyramid_config(**changes: object) -> TimmBackboneConfig:
    return TimmBackboneConfig(backbone="fastitpn_nano_fpn", use_pretrained_backbone=False, **changes)


@torch.no_grad()
@pytest.mark.parametrize("levels", [[0, 1, 2, 3, 4], [1, 3], [2]])
def test_a_backbone_gives_the_levels_of_the_pyramid(levels: list[int]) -> None:
    backbone = AutoBackbone.from_config(pyramid_config(out_indices=levels)).eval()
    ours = nano(pyramid=True)
    backbone._backbone.model.load_state_dict(ours.state_dict(), strict=False)  # pruned: it has fewer parameters
    assert backbone.channels == [64] * len(levels)
    images = torch.randn(2, 3, 64, 96)
    expected = ours.pyramid_features(images)
    feature_maps = backbone(images).feature_maps
    assert len(feature_maps) == len(levels)
    for feature_map, level in zip(feature_maps, levels, strict=True):
        torch.testing.assert_close(feature_map, expected[level])
        assert feature_map.shape == (2, 64, -(-64 // 2 ** (level + 2)), -(-96 // 2 ** (level + 2)))


def test_a_segmentation_head_trains_on_it_and_no_parameter_is_idle() -> None:
    config = UperNetConfig(
        backbone_config=pyramid_config(out_indices=[0, 1, 2, 3]),
        hidden_size=16,
        num_labels=3,
        pool_scales=[1, 2],
        auxiliary_in_channels=64,
        auxiliary_channels=8,
    )
    model = UperNetForSemanticSegmentation(config)
    output = model(torch.randn(2, 3, 64, 96), labels=torch.randint(3, (2, 64, 96)))
    assert output.logits.shape == (2, 3, 64, 96)
    output.loss.backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


@torch.no_grad()
def test_a_classifier_by_name() -> None:
    model = TimmWrapperForImageClassification(TimmWrapperConfig(architecture="fastitpn_nano", num_labels=7))
    assert model(torch.randn(1, 3, 64, 64)).logits.shape == (1, 7)


FORMS: list[dict[str, Any]] = [
    {"pretrained_cfg_overlay": {"file": "FILE"}},
    {"checkpoint_path": "FILE"},
    {"backbone_kwargs": {"checkpoint_path": "FILE"}},
    {"use_pretrained_backbone": True, "backbone_kwargs": {"pretrained_cfg_overlay": {"file": "FILE"}}},
]


def with_file(value: Any, file: str) -> Any:
    if isinstance(value, dict):
        return {key: with_file(inner, file) for key, inner in value.items()}
    return file if value == "FILE" else value


@pytest.mark.parametrize("keys", FORMS)
def test_weights_that_the_configuration_asks_for_are_loaded(keys: dict[str, Any], tmp_path: Path) -> None:
    """transformers itself stores such keys, and leaves the backbone random."""
    torch.manual_seed(0)
    ours, file = nano(pyramid=True, img_size=64), str(tmp_path / "a.pt")
    torch.save({"model": to_official_names(ours.state_dict())}, file)
    config = TimmBackboneConfig(backbone="fastitpn_nano_fpn", out_indices=[0, 1, 2], **with_file(keys, file))
    backbone = AutoBackbone.from_config(config)
    for name in ("stages.2.blocks.5.mlp.fc2.weight", "pyramid.output8.mlp.fc1.weight", "patch_embed.proj.weight"):
        assert torch.equal(backbone._backbone.model.state_dict()[name], ours.state_dict()[name])
    Path(file).unlink()
    with pytest.raises(InputError, match="no such weights file"):
        AutoBackbone.from_config(config)
    with torch.device("meta"):
        assert AutoBackbone.from_config(config)._backbone.model.patch_embed.proj.weight.is_meta


def test_pretrained_backbones_that_are_not_here() -> None:
    config = TimmBackboneConfig(backbone="fastitpn_nano", use_pretrained_backbone=True)
    with pytest.raises(InputError, match="no file is published for fastitpn_nano"):
        AutoBackbone.from_config(config)
    with pytest.raises(InputError, match="no file is published for fastitpn_nano"):
        TimmBackbone.from_pretrained("fastitpn_nano")
