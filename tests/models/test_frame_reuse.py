"""Frames of a video: what changed is computed, and the rest kept."""

import pytest
import torch
from torch import Tensor

import fastitpn
from fastitpn.models import frame_reuse
from fastitpn.models.frame_reuse import FrameReuse


@pytest.fixture(params=[{}, {"class_token": True}, {"acceleration": "balanced"}], ids=["plain", "token", "balanced"])
def model(request):
    keys = dict(request.param)
    acceleration = keys.pop("acceleration", "off")
    model = fastitpn.create_model(
        "fastitpn_nano", img_size=(64, 96), pyramid=True, depths=(1, 1, 3), init_values=0.5, **keys
    ).eval()
    model.set_acceleration(acceleration)
    return model


def look(model, reuse: FrameReuse, frame: Tensor) -> list[Tensor]:
    reuse.next_frame()
    return [map_.clone() for map_ in model.pyramid_features(frame)] + [model(frame).clone()]


def plain(model, frame: Tensor) -> list[Tensor]:
    return [*model.pyramid_features(frame), model(frame)]


def frames(count: int) -> list[Tensor]:
    """A still picture in which another one of 24 patches changes from frame to frame."""
    still = torch.randn(1, 3, 64, 96)
    made = []
    for place in range(count):
        still = still.clone()
        row, column = 16 * (place % 4), 16 * (place % 6)
        still[:, :, row : row + 16, column : column + 16] += 1
        made.append(still)
    return made


def same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@torch.inference_mode()
@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_it_is_the_plain_result_to_the_bit_where_every_patch_changes(model, threshold):
    with FrameReuse(model, threshold) as reuse:
        pictures = [torch.randn(1, 3, 64, 96) for _ in range(3)]
        seen = [look(model, reuse, picture) for picture in pictures]
        assert reuse.computed == reuse.total == 2 * 3 * 24
    for picture, ours in zip(pictures, seen, strict=True):
        assert same(ours, plain(model, picture))
    assert "_encode" not in vars(model)


@torch.inference_mode()
def test_without_a_threshold_it_is_exact(model):
    stills = frames(4)
    with FrameReuse(model) as reuse:
        seen = [look(model, reuse, frame) for frame in (*stills, stills[-1])]
        assert (reuse.computed, reuse.total) == (2 * 4 * 24, 2 * 5 * 24)  # of the last frame nothing changed
    for frame, ours in zip(stills, seen, strict=False):
        torch.testing.assert_close(ours, plain(model, frame), atol=1e-5, rtol=1e-5)
    assert same(seen[4], seen[3])


@torch.inference_mode()
def test_only_patches_that_changed_are_computed_in_stages_1_and_2(model, monkeypatch):
    counts: list[int] = []
    encode = type(model)._encode_patches
    monkeypatch.setattr(type(model), "_encode_patches", lambda self, x: counts.append(x.shape[1]) or encode(self, x))
    with FrameReuse(model) as reuse:
        for frame in frames(3):
            reuse.next_frame()
            model(frame)
    assert counts == [24, 1, 1]


@torch.inference_mode()
def test_tokens_that_barely_changed_keep_what_they_became(monkeypatch):
    monkeypatch.setattr(frame_reuse, "REFRESH", 3)
    model = fastitpn.create_model("fastitpn_nano", img_size=(64, 96), depths=(1, 1, 3), init_values=0.5).eval()
    first, *others = frames(6)
    with FrameReuse(model, 0.01) as reuse:
        computed, maps = [], []
        for frame in (first, first + 1e-5, *others):
            reuse.next_frame()
            before = reuse.computed
            maps.append(model.forward_features(frame).clone())
            computed.append(reuse.computed - before)
        # After three frames all are computed again, exactly; noise below the threshold is nothing new.
        assert computed == [24, 0, 1, 1, 24, 1, 1]
    assert torch.equal(maps[1], maps[0])
    changed = (maps[2] != maps[1]).any(-1)[0]
    assert changed.nonzero().tolist() == [[1, 1]]
    torch.testing.assert_close(maps[4], model.forward_features(others[2]), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_token_that_changed_is_what_it_would_be_beside_the_kept_ones():
    """With one block nothing of it depends on what the others became: the changed token is exact."""
    model = fastitpn.create_model("fastitpn_nano", img_size=(64, 96), depths=(1, 1, 1), init_values=0.5).eval()
    before, after = frames(2)
    with FrameReuse(model, 0.01) as reuse:
        for frame in (before, after):
            reuse.next_frame()
            ours = model.forward_features(frame).clone()
    torch.testing.assert_close(ours[0, 1, 1], model.forward_features(after)[0, 1, 1], atol=1e-5, rtol=1e-5)
    assert torch.equal(ours[0, 3, 5], model.forward_features(before)[0, 3, 5])


@torch.inference_mode()
def test_passes_of_a_frame_have_their_own_memory():
    model = fastitpn.create_model("fastitpn_nano", img_size=(64, 96), depths=(1, 1, 1)).eval()
    frame = torch.randn(1, 3, 64, 96)
    with FrameReuse(model) as reuse:
        for _ in range(2):
            reuse.next_frame()
            for view in (frame, frame.flip(-1)):
                model(view)
        assert (reuse.computed, reuse.total) == (48, 96)
