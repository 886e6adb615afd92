"""First kernels for more channels, and class tokens for files that have none."""

from typing import Any

import pytest
import torch
from published import reference_classifier, small_model
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.layers.position import resize_position_table
from fastitpn.models.weights.loading import load_weights


@pytest.fixture(scope="module")
def file() -> dict[str, Tensor]:
    return reference_classifier("meanpool").state_dict()


def loaded(file: dict[str, Tensor], options: dict[str, Any], **arguments: Any) -> tuple[Any, Any, Tensor]:
    model = small_model(num_classes=0, **arguments)
    before = model.patch_embed.proj.weight.detach().clone()
    return model, load_weights(model, file, **options), before


@pytest.mark.parametrize(("form", "channels"), [(f, c) for f in ("halfcopy", "copy", "random") for c in (3, 4, 6, 9)])
def test_first_kernels(form: str, channels: int, file: dict[str, Tensor]) -> None:
    model, report, before = loaded(file, {"first_kernel": form}, in_chans=channels)
    kernel, three = model.patch_embed.proj.weight, file["patch_embed.proj.weight"]
    copies = torch.cat([three] * 3, 1)[:, :channels]
    expected = {
        "halfcopy": copies * 3 / channels,
        "copy": copies,
        "random": torch.cat([three, before[:, 3:]], 1),
    }
    torch.testing.assert_close(kernel, expected[form], rtol=1e-6, atol=0)
    assert report.ok
    told = f"3 -> {channels} channels" + ("" if form == "halfcopy" else f" ({form})")
    assert report.resized == ({} if channels == 3 else {"patch_embed.proj.weight": told})


@pytest.mark.parametrize("side", [4, 6])
@pytest.mark.parametrize("form", ["fresh", "mean"])
def test_class_tokens_of_files_that_have_none(form: str, side: int, file: dict[str, Tensor]) -> None:
    model = small_model(num_classes=0, class_token=True, img_size=16 * side)
    before = model.cls_token.detach().clone()
    report = load_weights(model, file, class_token=form)
    assert report.ok
    mean = file["pos_embed"].mean(1, keepdim=True)
    rows = resize_position_table(file["pos_embed"], 4, 4, side, side)
    row = mean if form == "mean" else torch.zeros_like(mean)
    torch.testing.assert_close(model.pos_embed, torch.cat([row, rows], 1))
    torch.testing.assert_close(model.cls_token, mean if form == "mean" else before)
    told = "the class token is the mean" if form == "mean" else "cls_token randomly initialised"
    assert told in report.verdict


def test_a_file_s_own_class_token_is_taken_in_any_case() -> None:
    file = reference_classifier("clstoken_meanpool").state_dict()
    model = small_model(num_classes=0, class_token=True)
    load_weights(model, file, class_token="mean")
    assert torch.equal(model.cls_token, file["cls_token"])


def test_without_a_word_a_class_token_is_missing(file: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=r"MISSING: cls_token(.*\n)*.*class_token='fresh' or 'mean'"):
        load_weights(small_model(num_classes=0, class_token=True), file)


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        ({"first_kernel": "half"}, {}, "first_kernel='half'\n *expected: *one of halfcopy, copy, random"),
        ({"class_token": "zero"}, {}, "class_token='zero'\n *expected: *None, fresh or mean"),
        ({"first_kernel": "copy"}, {"in_chans": 1}, "first_kernel='copy' for 1 channels\n *expected: *more channels"),
    ],
)
def test_options_that_are_not_there(options: dict, arguments: dict, message: str, file: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match=message):
        loaded(file, options, **arguments)
