import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from published import SMALL_PYRAMID, assert_golden, golden, nano, pretraining_model, randn, small_model
from torch import nn

from fastitpn.errors import InputError
from fastitpn.models.layers.cells import cells_to_map
from fastitpn.models.pyramid import STRIDES, Pyramid


@torch.no_grad()
@pytest.mark.parametrize("norm", ["end", "trunk_and_end"])
def test_published_levels(norm: str, path: str) -> None:
    expected, model = golden(f"fastmim_recon_tiny_norm_{norm}"), pretraining_model(norm)
    for name, level in zip(("p4", "p8", "p16"), model.levels(randn(2, 3, 64, 64)), strict=True):
        side = {"p4": 16, "p8": 8, "p16": 4}[name]
        assert cells_to_map(level, 4, 4).shape == (2, 32, side, side)
        assert_golden(cells_to_map(level, 4, 4), expected[f"unmasked/{name}"])


@torch.no_grad()
def test_published_feature_maps(path: str) -> None:
    expected, model = golden("fastmim_recon_tiny_norm_end"), pretraining_model("end").backbone
    maps = model.pyramid_features(randn(2, 3, 64, 64))
    names = ("unmasked/p4", "unmasked/p8", "unmasked/p16", "fork_extra/p32_maxpool_k1s2", "fork_extra/p64_maxpool_k1s2")
    for name, feature_map in zip(names, maps, strict=True):
        assert_golden(feature_map, expected[name])


@torch.no_grad()
def test_the_coarse_levels_are_subsampled_at_odd_sizes_too() -> None:
    maps = small_model(**SMALL_PYRAMID).pyramid_features(torch.randn(1, 3, 80, 112))
    for fine, coarse in itertools.pairwise(maps[2:]):
        assert torch.equal(coarse, F.max_pool2d(fine, kernel_size=1, stride=2))


def test_widths_are_the_published_ones() -> None:
    pyramid = Pyramid(512, 256, int(256 * 8 / 3), device="meta")
    shapes = {name: tuple(p.shape) for name, p in pyramid.named_parameters()}
    assert shapes["output4.mlp.fc1.weight"] == (682, 256)
    assert shapes["up8.weight"] == (4 * 256, 512)
    assert isinstance(Pyramid(512, 512, 1024, device="meta").lateral16, nn.Identity)


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
def test_feature_info_tells_the_truth(class_token: bool) -> None:
    model = small_model(pyramid=True, pyramid_dim=48, pyramid_depth=2, class_token=class_token)
    x = torch.randn(2, 3, 64, 128)
    final, maps = model.forward_intermediates(x)
    assert torch.equal(final, model.forward_features(x))
    for info, stride, feature_map in zip(model.feature_info, STRIDES, maps, strict=True):
        assert info["reduction"] == stride
        assert feature_map.shape == (2, info["num_chs"], 64 // stride, 128 // stride)
        assert model.get_submodule(str(info["module"]))
    for theirs, ours in zip(maps, model.pyramid_features(x), strict=True):
        assert torch.equal(theirs, ours)
    channels_last = model.forward_intermediates(x, indices=[0, 4], output_fmt="NHWC", intermediates_only=True)
    assert torch.equal(channels_last[0], maps[0].permute(0, 2, 3, 1))
    assert torch.equal(channels_last[1], maps[4].permute(0, 2, 3, 1))


def test_a_model_without_a_pyramid_says_how_to_get_one() -> None:
    with pytest.raises(InputError, match=r"no pyramid\n.*fix:.*create_model\(\.\.\., pyramid=True\)"):
        small_model().pyramid_features(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("levels", [[0], [1], [2], [4], [0, 2], [1, 3]])
def test_pruning_keeps_the_levels_and_no_unused_parameter(levels: list[int]) -> None:
    model, x = nano(pyramid=True), torch.randn(2, 3, 64, 64)
    maps = model.forward_intermediates(x, intermediates_only=True)
    pruned = copy.deepcopy(model)
    assert pruned.prune_intermediate_layers(levels) == levels
    kept = pruned.forward_intermediates(x, indices=levels, intermediates_only=True)
    torch.testing.assert_close(kept, [maps[i] for i in levels])
    sum(feature_map.sum() for feature_map in kept).backward()
    assert not [name for name, p in pruned.named_parameters() if p.grad is None]
    torch.testing.assert_close(pruned.forward_features(x), maps[levels[-1]].permute(0, 2, 3, 1))
    pruned.reset_classifier(5)
    assert pruned(x).shape == (2, 5)


@torch.no_grad()
def test_pruning_that_keeps_the_head_keeps_the_output() -> None:
    model, x = nano(pyramid=True), torch.randn(1, 3, 64, 64)
    expected = model(x)
    model.prune_intermediate_layers([0], prune_head=False)
    assert torch.equal(model(x), expected)
