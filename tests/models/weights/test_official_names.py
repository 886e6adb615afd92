"""Published names and layouts: every one of them, there and back."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from published import (
    CASES,
    assert_golden,
    fill,
    golden,
    layout,
    randn,
    reference_classifier,
    reference_pretraining,
    small_model,
    small_pretraining_model,
)
from torch import Tensor, nn

from benchmarks.reference import PatchEmbed, rule_weights
from fastitpn.errors import InputError
from fastitpn.models.layers.cells import cells_to_map, patchify
from fastitpn.models.registry import create_model
from fastitpn.models.weights.official_names import from_official_names, is_official, to_official_names
from fastitpn.pretraining.model import create_pretraining_model

KINDS = ("cls", "cls_nomeanpool", "pretrain")
NAMES = (Path(__file__).parents[3] / "docs" / "names.md").read_text()


def published_size(size: str, kind: str) -> nn.Module:
    if kind == "pretrain":
        return create_pretraining_model(f"fastitpn_{size}", teacher_dim=768, device="meta")
    return create_model(f"fastitpn_{size}", fc_norm=kind == "cls", device="meta")


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_published_size_has_the_published_names_shapes_and_count(size: str, kind: str) -> None:
    model, expected = published_size(size, kind), layout(size, kind)
    assert sum(p.numel() for p in model.parameters()) == expected["n_parameters"]
    official = to_official_names(model.state_dict())
    assert {name: list(tensor.shape) for name, tensor in official.items()} == expected["entries"]
    ours, origin = from_official_names(official)
    trunk_names = {name.removeprefix("backbone."): tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in ours.items()} == trunk_names
    assert sorted(name for names in origin.values() for name in names) == sorted(official)


@pytest.mark.parametrize(
    ("size", "count"), [("tiny", 24219976), ("small", 39902920), ("base", 84825192), ("large", 312063400)]
)
def test_parameter_counts_as_announced(size: str, count: int) -> None:
    model = create_model(f"fastitpn_{size}", device="meta")
    assert sum(p.numel() for p in model.parameters()) == count


def reference(case: str, **changes: Any) -> nn.Module:
    if case in CASES:
        return reference_classifier(case, **changes)
    if case == "wide pyramid":
        changes |= {"fpn_dim": 64, "fpn_hidden": 256}
    return reference_pretraining(**changes)


def published_state(case: str) -> dict[str, Tensor]:
    return reference(case).state_dict()


@pytest.mark.parametrize("case", [*CASES, "pretraining", "wide pyramid"])
def test_there_and_back_is_bit_exact(case: str) -> None:
    state = published_state(case)
    ours, _ = from_official_names(state)
    back = to_official_names(ours)
    assert back.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name
        assert back[name].shape == tensor.shape
        assert back[name].is_contiguous()
    again, _ = from_official_names(back)
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in published_state("pretraining").items()}
    ours, _ = from_official_names(state)
    assert {tensor.dtype for tensor in ours.values()} == {dtype}
    assert all(torch.equal(tensor, state[name]) for name, tensor in to_official_names(ours).items())


def test_our_prefix_does_not_matter() -> None:
    model = small_pretraining_model()
    fill(model, reference_pretraining())
    official, expected = to_official_names(model.state_dict()), published_state("pretraining")
    assert official.keys() == expected.keys()
    assert all(torch.equal(official[name], tensor) for name, tensor in expected.items())


def test_the_mask_token_hides_the_cells_the_published_one_hides() -> None:
    """Channel-major there, cells in hierarchical order here."""
    expected = golden("fast_masked_patch_embed")
    embed = PatchEmbed(16)
    rule_weights(embed)
    model = small_model()
    model.patch_embed.load_state_dict(embed.state_dict())
    official = {**reference_classifier("meanpool").state_dict(), "mask_token": expected["mask_token"]}
    token = from_official_names(official)[0]["mask_token"]
    model.stages = nn.ModuleList()
    cells = model.patch_embed(patchify(randn(2, 3, 64, 64)))
    assert_golden(cells_to_map(cells, 4, 4), expected["unmasked"])
    hidden = torch.where(expected["mask"][..., None, None], token, cells)
    assert_golden(cells_to_map(hidden, 4, 4), expected["masked"])


def test_names_without_a_counterpart_are_kept() -> None:
    state = {**published_state("meanpool"), "search_token": torch.zeros(64)}
    ours, origin = from_official_names(state)
    assert origin["search_token"] == ("search_token",)
    with pytest.raises(InputError, match=r"1 tensors have no published name\n.*search_token"):
        to_official_names(ours)


def test_published_names_are_told_from_ours() -> None:
    state = published_state("meanpool")
    assert is_official(state)
    assert not is_official(from_official_names(state)[0])


def test_buffers_of_the_published_relative_positions_follow_from_the_grid() -> None:
    state = published_state("rel_pos_cls")
    index = {"blocks.4.attn.relative_position_index": torch.zeros(17, 17, dtype=torch.long)}
    assert from_official_names({**state, **index})[0].keys() == from_official_names(state)[0].keys()


def test_other_networks_are_recognised() -> None:
    blocks = {"blocks.0.attn.qkv.weight": torch.zeros(3, 1), "blocks.1.attn.qkv.weight": torch.zeros(3, 1)}
    with pytest.raises(InputError, match="not Fast-iTPN weights: no two merges"):
        from_official_names(blocks)
    for shape in ((2, 4, 1), (2, 3), (3, 6), ()):
        merges = {f"blocks.{i}.reduction.weight": torch.zeros(shape) for i in (1, 3)}
        with pytest.raises(InputError, match=r"not Fast-iTPN weights: merges of shapes \[.*\n.*expected:.*HiViT"):
            from_official_names({**blocks, **merges})


def documented_names() -> list[tuple[re.Pattern[str], list[str]]]:
    """Our name, as a pattern with the block's number, and the published names it is made of, still to be filled in."""
    documented = []
    for _, ours, published, _ in re.findall(r"^\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", NAMES, re.MULTILINE):
        if name := re.search(r"`(.+)`", ours):
            pattern = re.escape(name[1]).replace(r"\{i\}", r"(\d+)") + r"(\.weight|\.bias)?"
            documented.append((re.compile(pattern), re.findall(r"`([^`]+)`", published)))
    return documented


@pytest.mark.parametrize("case", [*CASES, "pretraining"])
def test_the_table_in_the_documentation_has_every_parameter(case: str) -> None:
    depths = (2, 1, 2)
    state = reference(case, depths=depths).state_dict()
    _, origin = from_official_names(state)
    for name, made_of in origin.items():
        documented = []
        for pattern, published in documented_names():
            if match := pattern.fullmatch(name):
                *numbers, suffix = match.groups("")
                values = {"i": int("".join(numbers) or 0), "n1": depths[0], "n2": depths[1]}
                documented.append(tuple(fill_in(text, values) + suffix for text in published))
        assert made_of in documented, f"{name} is made of {made_of}; docs/names.md says {documented}"


def fill_in(text: str, values: dict[str, int]) -> str:
    """The text with each {sum of names and numbers} worked out."""

    def total(match: re.Match[str]) -> str:
        return str(sum(values[term] if term in values else int(term) for term in match[1].split(" + ")))

    return re.sub(r"\{([^}]+)\}", total, text)
