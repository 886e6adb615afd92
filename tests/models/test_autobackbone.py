"""The models in transformers, which can only be given a name: hence the `_fpn` aliases."""

import pytest
import torch
from published import nano
from transformers import (
    AutoBackbone,
    TimmBackboneConfig,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)


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
