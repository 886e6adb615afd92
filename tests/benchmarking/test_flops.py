"""Operations, against counts by hand."""

import pytest
import timm
import torch
from torch import nn

import fastitpn
from fastitpn.benchmarking.flops import count_gflops
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.layers import onednn

D, DEPTHS, HIDDEN = 192, (1, 1, 6), 3 * 192
CELL_HIDDEN = 3


def attention_block(tokens: float, keys: float) -> float:
    """qkv and output, logits and weighted sum, and the three products of SwiGLU."""
    return 2 * tokens * (4 * D * D + 2 * keys * D + 3 * D * HIDDEN)


def before_attention(patches: int) -> int:
    """Embedding, stages 1 and 2, and the two merges."""
    low, mid = D // 4, D // 2
    cells = 2 * 16 * patches * (48 * low + DEPTHS[0] * 2 * CELL_HIDDEN * low * low)
    cells += 2 * 4 * patches * (4 * low * mid + DEPTHS[1] * 2 * CELL_HIDDEN * mid * mid)
    return cells + 2 * patches * 4 * mid * D


HEAD = 2 * D * 1000


def model(**acceleration) -> nn.Module:
    nano = fastitpn.create_model("fastitpn_nano", img_size=128).eval()
    nano.set_acceleration(**acceleration)
    return nano


def test_the_plain_model():
    patches = 64
    by_hand = before_attention(patches) + DEPTHS[2] * attention_block(patches, patches) + HEAD
    assert count_gflops(model(), 128) == pytest.approx(by_hand / 1e9, rel=1e-12)


@pytest.mark.parametrize("metric", ["mean", "random"])
def test_migration(metric):
    migration = Migration(keep_ratio=0.25, after_blocks=(2,), metric=metric)
    by_hand = before_attention(64) + 2 * attention_block(64, 64) + 4 * attention_block(16, 16) + HEAD
    assert count_gflops(model(migration=migration), 128) == pytest.approx(by_hand / 1e9, rel=1e-12)


def test_matching_is_work_too():
    cheap, bipartite = (
        count_gflops(model(migration=Migration(keep_ratio=0.25, after_blocks=(2,), metric=metric)), 128)
        for metric in ("mean", "bipartite")
    )
    destinations = 8  # one in 2 / 0.25 of 64
    assert 1e9 * (bipartite - cheap) == pytest.approx(2 * 64 * destinations * D)


def test_gathering():
    windows, patches = 4, 64
    gathering = Gathering(window=4, tokens_per_window=1, global_blocks=2)
    inside = patches / windows + 1
    windowed = windows * attention_block(inside, inside)
    windowed += 2 * windows * (4 * D * D + 2 * windows * D)  # between the windows: attention alone
    by_hand = before_attention(patches) + 2 * attention_block(patches, patches) + 4 * windowed + HEAD
    assert count_gflops(model(gathering=gathering), 128) == pytest.approx(by_hand / 1e9, rel=1e-12)


def test_the_same_with_and_without_onednn(monkeypatch):
    figures = []
    for enabled in (True, False):
        monkeypatch.setattr(onednn, "ENABLED", enabled)
        figures.append(count_gflops(model(), 128))
        assert onednn.ENABLED is enabled
    assert figures[0] == figures[1]


def test_a_peer():
    """A convolution and a Linear; what timm publishes for a ViT-B/16 at 224 px is 17.6 G multiply-adds."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.append(nn.Linear(8, 10))
    assert count_gflops(net, 16) == pytest.approx(2e-9 * (16 * 16 * 8 * 27 + 80))
    with torch.device("meta"):
        vit = timm.create_model("vit_base_patch16_224")
    assert count_gflops(vit, 224) == pytest.approx(2 * 17.56, abs=0.02)


def test_the_model_is_not_touched():
    net = model()
    before = {name: (tensor.data_ptr(), tensor.device.type) for name, tensor in net.named_parameters()}
    count_gflops(net, 128)
    assert before == {name: (tensor.data_ptr(), tensor.device.type) for name, tensor in net.named_parameters()}


def test_a_model_that_looks_at_the_data_has_no_count():
    class Looks(nn.Linear):
        def forward(self, x):
            return x if x.sum().item() > 0 else -x

    assert count_gflops(Looks(1, 1), 16) is None
