"""The example of a tracker's encoder: what it gives, and what it finds in the photograph that it is shown."""

import ast
import re
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image
from published import GOLDEN, reference_classifier
from safetensors.torch import load_file

import fastitpn
from benchmarks.reference import rule_value

FILE = Path(__file__).parents[2] / "examples" / "tracker_encoder.py"
EXAMPLE = runpy.run_path(str(FILE))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return EXAMPLE["TrackerEncoder"]("fastitpn_tiny").eval()


def parts(height: int = 64, width: int = 96) -> tuple[torch.Tensor, ...]:
    inside = torch.zeros(2, 1, 48, 48)
    inside[..., 16:32, 16:32] = 1
    return torch.randn(2, 6, 48, 48), inside, torch.randn(2, 6, height, width)


@torch.no_grad()
def test_tokens_of_both_images(encoder):
    asked, found = encoder(*parts())
    assert asked.shape == (2, 9, 384)
    assert found.shape == (2, 24, 384)
    assert EXAMPLE["score_map"](encoder, *(part[:1] for part in parts())).shape == (4, 6)


@torch.no_grad()
def test_each_image_and_the_box_change_the_tokens_of_the_other(encoder):
    template, inside, search = parts()
    asked, found = encoder(template, inside, search)
    assert not torch.allclose(encoder(template + 1, inside, search)[1], found, atol=1e-4)
    assert not torch.allclose(encoder(template, inside, search + 1)[0], asked, atol=1e-4)
    assert not torch.equal(encoder(template, torch.zeros_like(inside), search)[1], found)


def test_all_of_it_learns():
    encoder = EXAMPLE["TrackerEncoder"]("fastitpn_nano")
    sum(tokens.square().sum() for tokens in encoder(*parts())).backward()
    assert [name for name, parameter in encoder.named_parameters() if parameter.grad is None] == []


def test_weights_for_three_channels_are_spread_over_six(tmp_path, capsys):
    weights = fastitpn.create_model("fastitpn_nano", num_classes=0).state_dict()
    torch.save(weights, tmp_path / "weights.pt")
    encoder = EXAMPLE["TrackerEncoder"]("fastitpn_nano", str(tmp_path / "weights.pt"))
    assert "3 -> 6 channels" in capsys.readouterr().out
    kernel, given = encoder.backbone.patch_embed.proj.weight, weights["patch_embed.proj.weight"]
    torch.testing.assert_close(kernel, torch.cat((given, given), dim=1) / 2)


@torch.no_grad()
def test_token_types_are_on_the_object_around_it_and_on_the_search_image(encoder, monkeypatch):
    """A patch that is half object has the mean of both types."""
    monkeypatch.setattr(encoder.backbone, "embed_tokens", lambda image: torch.zeros(1, image.shape[-1] // 16, 384))
    monkeypatch.setattr(encoder.backbone, "attend_tokens", lambda tokens: tokens)
    monkeypatch.setattr(encoder.backbone, "normalize_tokens", lambda tokens: tokens)
    inside = torch.zeros(1, 1, 16, 48)
    inside[..., :24] = 1
    asked, found = encoder(torch.zeros(1, 6, 16, 48), inside, torch.zeros(1, 6, 16, 32))
    on_object, around_it, in_search = encoder.types
    torch.testing.assert_close(asked[0], torch.stack((on_object, (on_object + around_it) / 2, around_it)))
    torch.testing.assert_close(found[0], torch.stack((in_search, in_search)))


@torch.no_grad()
def test_it_computes_what_sutrack_does():
    """From a released file of 3 channels, with a template whose positions are cropped; stored numbers."""
    case = load_file(GOLDEN / "clients" / "sutrack_load_index_halfcopy_64_32.safetensors")
    file = {
        name: rule_value(name, t.shape)
        for name, t in reference_classifier("meanpool", depths=(1, 1, 4)).state_dict().items()
    }
    encoder = EXAMPLE["TrackerEncoder"]("fastitpn_nano", {"module": file}, embed_dim=64, depths=(1, 1, 4), num_heads=2)
    encoder.class_token.copy_(rule_value("cls_token", (1, 1, 64)))
    for number, name in enumerate(("template_foreground_token", "template_background_token", "search_token")):
        encoder.types[number] = rule_value(name, (64,))
    generator = torch.Generator().manual_seed(0)
    template, search = (torch.randn(1, 6, side, side, generator=generator) for side in (32, 64))
    (x, y, w, h), pixels = case["anno_xywh"][0] * 32, torch.arange(32)
    rows, columns = ((pixels >= start) & (pixels < start + size) for start, size in ((y, h), (x, w)))
    asked, searched = encoder.eval()(template, (rows[:, None] & columns).float()[None, None], search)
    torch.testing.assert_close(torch.cat((searched, asked), 1), case["tokens"][:, 1:], atol=1e-5, rtol=1e-5)


def test_it_finds_the_objects_and_draws_them(tmp_path, capsys):
    EXAMPLE["main"](f"out={tmp_path / 'tracker.png'}")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(EXAMPLE["OBJECTS"])
    for line in lines:
        found_x, found_y, x, y = map(int, re.findall(r"[xy]=(\d+)", line))
        assert abs(found_x - x) <= 24, line  # a token is 16 px
        assert abs(found_y - y) <= 24, line
    with Image.open(tmp_path / "tracker.png") as picture:
        assert all(low < high for low, high in picture.convert("RGB").getextrema())


def test_it_is_short():
    """Lines of code, without docstrings."""
    text = FILE.read_text(encoding="utf-8")
    tree = ast.parse(text)
    told = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [line for number, line in enumerate(text.splitlines(), 1) if line and number not in told]
    assert len(lines) <= 68
