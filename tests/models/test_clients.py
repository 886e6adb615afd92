"""What the released networks of other projects compute, from stored numbers: with the parts of our trunk alone.

Each test types what users of that project type; `docs/how_to/trackers.md` lists it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from published import GOLDEN, small_model
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.reference import ReferenceClassifier, rule_value
from fastitpn.models.backbone import FastITPN
from fastitpn.models.experts import add_experts
from fastitpn.models.registry import create_model
from fastitpn.models.taps import Taps
from fastitpn.models.tokens import foreground_shares
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import to_official_names

INDEX: dict[str, Any] = json.loads((GOLDEN / "clients" / "INDEX.json").read_text())
TYPES = ("template_background_token", "template_foreground_token", "search_token")


def stored(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / "clients" / f"{name}.safetensors")


def assert_stored(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5, check_stride=False)


def inputs(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def published_file(depth: int, in_chans: int = 3, **changes: Any) -> dict[str, Tensor]:
    """The released file of stored cases, a classifier of 64 px; or the trunk of a client with more channels."""
    model = ReferenceClassifier(embed_dim=64, depths=(1, 1, depth), num_heads=2, img_size=64, num_classes=10, **changes)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    shapes["patch_embed.proj.weight"] = torch.Size((16, in_chans, 4, 4))
    return {name: rule_value(name, shape) for name, shape in shapes.items()}


def trunk(depth: int, **arguments: Any) -> FastITPN:
    """Our trunk with the weights of the stored rule, but for its position table."""
    in_chans = arguments.get("in_chans", 3)
    model = small_model(depths=(1, 1, depth), num_classes=0, **arguments)
    file = published_file(depth, in_chans=in_chans, mean_pooling=arguments.get("fc_norm", True))
    load_weights(model, file)
    return model


def token(name: str, *shape: int) -> Tensor:
    return rule_value(name, shape or (64,))


def typed(shares: Tensor) -> Tensor:
    return torch.lerp(token(TYPES[0]), token(TYPES[1]), shares)


def shares_of(boxes: Tensor, side: int) -> Tensor:
    return foreground_shares(boxes * side, side, side)


# ------------------------------------------------------------------ SUTrack


@torch.no_grad()
def test_sutrack() -> None:
    case, model = stored("sutrack_tiny_cls_types_text"), trunk(4, in_chans=6)
    table = token("pos_embed", 1, 20, 64)
    template1, template2, search, text = inputs((2, 6, 32, 32), (2, 6, 32, 32), (2, 6, 64, 64), (2, 1, 64))
    assert_stored(shares_of(case["anno1_xywh"], 32).squeeze(2), case["inside_share_template1"])
    tokens = torch.cat(
        [
            token("cls_token", 1, 1, 64).expand(2, -1, -1),
            model.embed_tokens(search, table[:, :16]) + token("search_token"),
            model.embed_tokens(template1, table[:, 16:]) + typed(shares_of(case["anno1_xywh"], 32)),
            model.embed_tokens(template2, table[:, 16:]) + typed(shares_of(case["anno2_xywh"], 32)),
        ],
        1,
    )
    assert_stored(tokens, case["embedded_tokens"])
    assert_stored(model.normalize_tokens(model.attend_tokens(tokens)), case["tokens"])
    with_text = model.attend_tokens(torch.cat([tokens, text], 1))
    assert_stored(model.normalize_tokens(with_text), case["tokens_with_text"])


@torch.no_grad()
@pytest.mark.parametrize(("form", "search_px", "template_px"), [("halfcopy", 64, 32), ("copy", 96, 48)])
def test_sutrack_from_a_released_file(form: str, search_px: int, template_px: int) -> None:
    case = stored(f"sutrack_load_index_{form}_{search_px}_{template_px}")
    model = small_model(depths=(1, 1, 4), num_classes=0, in_chans=6, position_resize="crop")
    load_weights(model, {"module": published_file(4)}, first_kernel=form)
    tables = [model.position_table(px // 16, px // 16) for px in (search_px, template_px)]
    assert_stored(torch.cat(tables, 1), case["pos_embed"])
    assert_stored(model.patch_embed.proj.weight, case["patch_embed.proj.weight"])
    template, search = inputs((1, 6, template_px, template_px), (1, 6, search_px, search_px))
    types = typed(shares_of(case["anno_xywh"], template_px))
    tokens = [model.embed_tokens(search) + token("search_token"), model.embed_tokens(template) + types]
    tokens = model.attend_tokens(torch.cat([token("cls_token", 1, 1, 64), *tokens], 1))
    assert_stored(model.normalize_tokens(tokens), case["tokens"])


@torch.no_grad()
@pytest.mark.parametrize("name", list(stored("tracker_pos_tables_sutrack_mcitrack_uetrack_a")))
def test_position_tables_of_trackers(name: str) -> None:
    form, search_px, template_px = name.split("_")
    model = small_model(embed_dim=16, num_heads=1, img_size=224, num_classes=0)
    model.pos_embed.copy_(token("pos_embed", 1, 196, 16))
    form = {"index": "crop", "interpolate": "align_corners"}[form]
    tables = [model.position_table(int(px) // 16, int(px) // 16, form) for px in (search_px, template_px)]
    assert_stored(torch.cat(tables, 1), stored("tracker_pos_tables_sutrack_mcitrack_uetrack_a")[name])


# ------------------------------------------------------------------ MCITrack


@torch.no_grad()
def test_mcitrack() -> None:
    case, model = stored("mcitrack_tiny_5templates"), trunk(6)
    table = token("pos_embed", 1, 20, 64)
    *templates, search = inputs(*[(1, 3, 32, 32)] * 5, (1, 3, 64, 64))
    types = [typed(shares_of(case[f"anno_{parity}_xywh"], 32)) for parity in ("even", "odd")]
    tokens = [model.embed_tokens(search, table[:, :16]) + token("search_token")]
    tokens += [model.embed_tokens(t, table[:, 16:]) + types[i % 2] for i, t in enumerate(templates)]
    x = torch.cat(tokens, 1)
    assert_stored(x, case["embedded_tokens"])
    for number, (first, end) in enumerate(INDEX["mcitrack_tiny_5templates.safetensors"]["kwargs"]["slices"]):
        blocks = (first - 3, end - 4)  # of stage 3, which starts at number 4 of the published list
        x = model.attend_tokens(x, blocks)
        assert_stored(x, case[f"plain_after_{first}_{end}"])
        within = model.attend_tokens(case[f"neck_slice{number}_in"], blocks)
        assert_stored(within, case[f"neck_slice{number}_out"])
    assert_stored(model.normalize_tokens(x), case["plain_fc_norm"])
    final = model.normalize_tokens(case["neck_slice2_out"])
    assert final.shape == case["neck_final_tokens"].shape


# ------------------------------------------------------------------ UETrack


@torch.no_grad()
@pytest.mark.parametrize("experts", [True, False])
def test_uetrack(experts: bool) -> None:
    """A trunk cut to its first two blocks, and experts in the last of them."""
    name = "uetrack_tiny_layer2_experts2" if experts else "uetrack_tiny_layer2_no_experts"
    case, model = stored(name), small_model(num_classes=0, in_chans=6)
    file = published_file(4, in_chans=6)
    if experts:
        add_experts(model, 2, 2)
        file = {name: t for name, t in file.items() if not name.startswith("blocks.5.mlp.")}
        sizes = {"w1": (2, 192, 64), "w2": (2, 192, 64), "w3": (2, 64, 192)}
        shapes = {f"experts.{w}_weight": shape for w, shape in sizes.items()}
        shapes |= {f"experts.{w}_bias": shape[:2] for w, shape in sizes.items()}
        shapes |= {"experts.ffn_ln.weight": (192,), "experts.ffn_ln.bias": (192,)}
        shapes |= {"to_slot_embeds.0.weight": (128, 64), "to_slot_embeds.2.gamma": (64,)}
        file |= {f"blocks.5.{part}": rule_value(f"blocks.5.{part}", shape) for part, shape in shapes.items()}
    assert load_weights(model, {"net": file}, blocks="1-2").ok
    table, batch = token("pos_embed", 1, 20, 64), 2 if experts else 1
    template, search, text = inputs((batch, 6, 32, 32), (batch, 6, 64, 64), (batch, 1, 64))
    tokens = [
        token("cls_token", 1, 1, 64).expand(batch, -1, -1),
        model.embed_tokens(search, table[:, :16]) + token("search_token"),
        model.embed_tokens(template, table[:, 16:]) + typed(shares_of(case["anno_xywh"], 32)),
    ]
    x, features = model.attend_tokens(torch.cat([*tokens, text] if experts else tokens, 1), taps=Taps(blocks=(1, 2)))
    for block in (1, 2) if experts else (2,):
        assert_stored(features.blocks[block], case[f"after_block_{block}"])
    assert_stored(model.normalize_tokens(x), case["tokens"])


# ------------------------------------------------------------------ CSTrack, DUTrack


def normalising_first() -> FastITPN:
    """From a file that normalises after pooling: the norm before it is new."""
    model = small_model(depths=(1, 1, 4), num_classes=0, fc_norm=False, position_resize="size")
    report = load_weights(model, {"module": published_file(4)}, strict=False)
    assert report.missing == ["norm.weight", "norm.bias"]
    model.norm.weight.data = token("norm.weight")
    model.norm.bias.data = token("norm.bias")
    return model


@torch.no_grad()
def test_cstrack() -> None:
    case, model = stored("cstrack_tiny_96_48"), normalising_first()
    first_row = model.pos_embed.mean(1, keepdim=True)
    search_table, template_table = model.position_table(6, 6), model.position_table(3, 3)
    assert_stored(first_row, case["cls_token"])
    assert_stored(search_table, case["pos_embed_x"])
    assert_stored(template_table.repeat(1, 2, 1), case["pos_embed_z"])
    template0, template1, search = inputs((1, 3, 48, 48), (1, 3, 48, 48), (1, 3, 96, 96))
    on, beside, in_search = (token(f"token_type_{n}", 1, 1, 64) for n in ("template_fg", "template_bg", "search"))
    m0, m1 = case["soft_masks"]
    tokens = [
        first_row + first_row,
        model.embed_tokens(template0, template_table) + m0 * on + (1 - m0) * beside,
        model.embed_tokens(template1, template_table) + m1 * m0 * on + (1 - m1) * (1 - m0) * beside,
        model.embed_tokens(search, search_table) + in_search,
    ]
    x, features = model.attend_tokens(torch.cat(tokens, 1), taps=Taps(attention=(4,)))
    assert_stored(model.normalize_tokens(x), case["tokens"])
    matrix = model.attention_matrix(features.attention[4].tokens, 4)
    assert matrix.shape == (1, 2, 55, 55)
    assert_stored(matrix.mean(1), case["attention_of_last_block_mean_over_heads"])


@torch.no_grad()
def test_cstrack_s_class_token_in_the_model() -> None:
    """The file has none: the mean of its positions becomes the token and its position, and the rest is resized."""
    case = stored("cstrack_tiny_96_48")
    model = small_model(depths=(1, 1, 4), num_classes=0, class_token=True, img_size=96)
    report = load_weights(model, {"module": published_file(4)}, class_token="mean")
    assert report.ok
    assert_stored(model.cls_token, case["cls_token"])
    assert_stored(model.pos_embed, torch.cat([case["cls_token"], case["pos_embed_x"]], 1))


@torch.no_grad()
def test_dutrack() -> None:
    case, model = stored("dutrack_tiny_96_48"), normalising_first()
    template1, template2, search, text = inputs((1, 3, 48, 48), (1, 3, 48, 48), (1, 3, 96, 96), (1, 5, 64))
    assert_stored(model.position_table(3, 3), case["pos_embed_z"])
    assert_stored(model.position_table(6, 6), case["pos_embed_x"])
    templates = [model.embed_tokens(template) for template in (template1, template2)]
    on_search = model.embed_tokens(search)
    assert_stored(torch.cat(templates, 1), case["template_tokens"])
    assert_stored(on_search, case["search_tokens"])
    temporal = token("temporal_token", 1, 1, 64) + model.pos_embed[:, :1]
    before_last = model.attend_tokens(torch.cat([temporal, text, *templates, on_search], 1), (1, 3))
    matrix = model.attention_matrix(before_last, 4).mean(1)
    assert_stored(model.normalize_tokens(model.attend_tokens(before_last, (4, 4))), case["tokens"])
    assert_stored(matrix, case["attention_of_last_block_mean_over_heads"])
    scores = matrix[:, 3, -36:]
    assert_stored(scores, case["search_scores"])
    assert torch.equal(scores.topk(3).indices, case["top3"])


# ------------------------------------------------------------------ AQATrack and its like, with a HiViT


@torch.no_grad()
def test_trackers_with_a_hivit() -> None:
    case = stored("hivit_tiny_tracker_96_48")
    model = create_model(
        "hivit_base", embed_dim=64, depths=(2, 2, 3), num_heads=2, relative_position="off", fc_norm=False, num_classes=0
    ).eval()
    published = to_official_names(model.state_dict())
    shapes = {re.sub(r"^norm\.", "norm_.", name): tensor.shape for name, tensor in published.items()}
    assert load_weights(model, {"net": {name: rule_value(name, shape) for name, shape in shapes.items()}}).ok
    template, search = inputs((1, 3, 48, 48), (1, 3, 96, 96))
    assert_stored(model.position_table(3, 3), case["pos_embed_z"])
    assert_stored(model.position_table(6, 6), case["pos_embed_x"])
    tokens = torch.cat([model.embed_tokens(template), model.embed_tokens(search)], 1)
    assert_stored(model.normalize_tokens(model.attend_tokens(tokens)), case["tokens"])


# ------------------------------------------------------------------ Rotated_fast_itpn


@torch.no_grad()
def test_rotated_fast_itpn(path: str) -> None:
    """Maps after the first block and the first merge; stage 3 twice, the second time half as large."""
    case, model = stored("rotated_tiny_T_form_64"), trunk(2, fc_norm=False)
    *maps, last = model.block_maps(
        *inputs((1, 3, 64, 64)), INDEX["rotated_tiny_T_form_64.safetensors"]["kwargs"]["out_indices"]
    )
    maps.append(F.max_pool2d(last, 2))
    for number, features in enumerate(maps):
        name = "out_norms.3.1" if number == 3 else f"out_norms.{number}"
        weight, bias = (token(f"{name}.{part}", features.shape[1]) for part in ("weight", "bias"))
        normed = F.layer_norm(features.permute(0, 2, 3, 1), features.shape[1:2], weight, bias, 1e-6)
        assert_stored(normed.permute(0, 3, 1, 2), case[f"out{number}"])


def test_no_stored_case_is_left_out() -> None:
    """Of a project's trunk; those with another trunk have tests of their own."""
    text = Path(__file__).read_text()
    names = [name.removesuffix(".safetensors") for name in INDEX]
    loads = {f"sutrack_load_index_{form}" for form in ("copy", "halfcopy")}
    left = [n for n in names if n not in text and not n.startswith(tuple(loads))]
    assert left == []
